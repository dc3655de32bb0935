"""Names of ENS: `Client.ens`. What is so, only the chain says; an answer's ``status`` is what it said last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from alternatefutures import operations_ens as operations
from alternatefutures.errors import NameNotActive
from alternatefutures.transport import Transport

Document = dict[str, Any]
_PAGES_MAX = 100
_POLL_SECONDS = 3.0


class Ens:
    """Answers are documents as the platform's GraphQL schema has them. A record is named by its id or its ENS name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def records(self) -> Iterator[Document]:
        """The project's records, oldest first."""
        after: str | None = None
        for _ in range(_PAGES_MAX):
            page = self._transport.graphql(operations.ENS_RECORDS, {"after": after})["ensRecords"]
            yield from page["data"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def record(self, name: str) -> Document:
        return dict(self._transport.graphql(operations.ENS_RECORD, {"id": name})["ensRecord"])

    def add(
        self, name: str, *, site: str | None = None, ipns: str | None = None, content: str | None = None
    ) -> Document:
        """Have ``name`` point at a site (id) through its IPNS name, at an IPNS name (id), or at ``content``
        (``ipfs://CID``). Nothing changes on the chain."""
        variables = {"where": {"siteId": site, "ipnsRecordId": ipns}, "data": {"name": name, "content": content}}
        answer = self._transport.graphql(operations.CREATE_ENS_RECORD, variables, idempotent=False)
        return dict(answer["createEnsRecord"])

    def transaction(self, name: str, *, sender: str | None = None) -> Document:
        """What to sign: ``{chainId, from, to, data, value, gas, content}``. ``sender``: by default the name's owner."""
        variables = {"id": name, "from": sender}
        return dict(self._transport.graphql(operations.ENS_TRANSACTION, variables)["ensTransaction"])

    def verify(self, name: str, *, transaction: str | None = None) -> Document:
        """Have the chain asked. ``transaction``: the hash of what a wallet sent."""
        variables = {"id": name, "transaction": transaction}
        return dict(self._transport.graphql(operations.VERIFY_ENS_RECORD, variables)["verifyEnsRecord"])

    def send(self, name: str) -> Document:
        """Have the platform sign with its own key and send. For its operator."""
        answer = self._transport.graphql(operations.SEND_ENS_TRANSACTION, {"id": name}, idempotent=False)
        return dict(answer["sendEnsTransaction"])

    def wait(self, name: str, *, seconds: float) -> Document:
        """Ask until the chain has it. :raises NameNotActive: it refused, or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.verify(name)
            if found["status"] == "ACTIVE":
                return found
            if found["status"] == "ERROR" or time.monotonic() + _POLL_SECONDS > deadline:
                raise not_active(found)
            time.sleep(_POLL_SECONDS)

    def delete(self, name: str) -> Document:
        answer = self._transport.graphql(operations.DELETE_ENS_RECORD, {"id": name}, idempotent=False)
        return dict(answer["deleteEnsRecord"])

    def resolve(self, name: str) -> Document:
        """Any name as the chain has it now: ``{name, chainId, owner, resolver, content}``."""
        return dict(self._transport.graphql(operations.RESOLVE_ENS_NAME, {"name": name})["resolveEnsName"])


def not_active(record: Document) -> NameNotActive:
    """The error for a record that the chain does not have."""
    waits = record["status"] == "PENDING"
    hint = (
        f"`af ens verify {record['name']} --wait` waits for it."
        if waits
        else f"`af ens tx {record['name']}` shows what to sign."
    )
    return NameNotActive(
        f"{record['name']} does not point at {record['content']}.", cause=record["reason"] or "", hint=hint
    )
