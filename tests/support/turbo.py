"""A STAND-IN for Turbo's upload and payment services, which cannot be reached from tests: its HTTP contract as its
source has it (https://github.com/ardriveapp/turbo-upload-service: router.ts, dataItemPost.ts, status.ts), on loopback.

It refuses what is no valid item, counts credit, knows items it has, and bundles them for real: `bundle` posts what
came in as one transaction to an arlocal, whose arbundles checks and unpacks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from af.protocols import ans104
from af.protocols.ans104 import InvalidItem
from af.protocols.arweave import chunks, transactions, wallets
from af.protocols.arweave.encoding import from_base64url
from af.protocols.arweave.wallets import Wallet
from tests.support import answering
from tests.support.answering import Asked, Handler
from tests.support.arlocal import ArLocal

WINC_PER_BYTE = 100


@dataclass
class Turbo:
    """``url`` is that of both services. ``credit`` is in winston credits, for whoever asks."""

    url: str
    credit: int = 10**15
    items: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: int = 0
    failure: int = 0
    """Answer uploads with this status, if not 0."""

    def answer(self, handler: Handler, asked: Asked) -> None:
        status, body = self._answer(asked)
        kind = "application/json" if isinstance(body, dict) else "text/plain"
        answering.reply(status, json.dumps(body).encode() if isinstance(body, dict) else body, kind)(handler, asked)

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any] | bytes]:
        parts = asked.path.strip("/").split("/")
        if asked.method == "POST" and parts == ["v1", "tx"]:
            return self._take(asked)
        if asked.method == "GET" and parts[:2] == ["v1", "tx"] and parts[3:] == ["status"]:
            found = self.states.get(parts[2])
            return (404, b"TX doesn't exist") if found is None else (200, found)
        if asked.method == "GET" and parts[:3] == ["v1", "price", "bytes"]:
            return 200, {"winc": str(int(parts[3]) * WINC_PER_BYTE), "adjustments": [], "fees": []}
        return 404, b"Not Found"

    def _take(self, asked: Asked) -> tuple[int, dict[str, Any] | bytes]:
        self.uploads += 1
        if self.failure:
            return self.failure, b"Upload Service is Unavailable"
        if "Content-Length" not in asked.headers or asked.headers.get("Content-Type") != "application/octet-stream":
            return 400, b"Invalid Content Type"
        try:
            head, _ = ans104.read_item(asked.body)
        except InvalidItem:
            return 400, b"Invalid Data Item!"
        if head.id in self.items:
            return 202, b""
        cost = len(asked.body) * WINC_PER_BYTE
        if cost > self.credit:
            return 402, b"Insufficient balance"
        self.credit -= cost
        self.items[head.id] = asked.body
        self.states[head.id] = {"status": "CONFIRMED", "info": "new", "winc": str(cost)}
        return 200, {
            "id": head.id,
            "timestamp": 1764010000000,
            "winc": str(cost),
            "version": "1.0.0",
            "deadlineHeight": 1000200,
            "dataCaches": ["arweave.net"],
            "fastFinalityIndexes": ["arweave.net"],
            "public": "",
            "signature": "",
            "owner": wallets.address_of(head.owner),
        }

    def bundle(self, chain: ArLocal, wallet: Wallet) -> str:
        """Post what is new as one bundle, signed by the service's own wallet; its id."""
        new = [id for id, state in self.states.items() if state["info"] == "new"]
        table = ans104.bundle_head([(from_base64url(id), len(self.items[id])) for id in new])
        data = table + b"".join(self.items[id] for id in new)
        anchor = from_base64url(chain.ask("/tx_anchor")[1].decode())
        made = transactions.sign(
            wallet, tree=chunks.tree_of(data), tags=ans104.BUNDLE_TAGS, anchor=anchor, reward_winston=1
        )
        status, said = chain.ask("/tx", method="POST", body=made.to_json(data))
        assert status == 200, said
        for id in new:
            self.states[id] |= {"info": "pending", "bundleId": made.id}
        return made.id

    def finish(self) -> None:
        for state in self.states.values():
            state |= {"status": "FINALIZED", "info": "permanent"}


@contextmanager
def running() -> Iterator[Turbo]:
    with answering.running() as server:
        turbo = Turbo(f"{server.url}/v1")
        server.answers.append(turbo.answer)
        yield turbo
