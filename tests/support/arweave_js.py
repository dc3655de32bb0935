"""arweave-js and arbundles, the clients that the network's users have, as makers and judges of what we make.

python -m tests.support.arweave_js        print the vectors that tests/conformance/vectors/arweave.json holds
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from af.protocols.arweave.wallets import Wallet
from tests.support import node

PACKAGES = ("arweave@1.15.7", "arbundles@0.11.2", "arlocal@1.1.66")
OVERRIDES = {"avsc": "5.7.7"}  # an older arbundles, inside of arlocal, wants it from a git address
INSTALL_SECONDS = 900
_SCRIPT = Path(__file__).with_suffix(".mjs")
SIZES = (1, 32767, 262143, 262144, 262145, 294911, 294912, 524288, 524289, 786432, 1_000_000, 2_097_153)
"""Around every edge of the rules of cutting."""
TAGS = [{"name": "Content-Type", "value": "text/html"}, {"name": "Größe", "value": "1 €"}]


def packages() -> Path:
    """The folder whose ``node_modules`` has them all: one installation for the judges and for arlocal."""
    return node.npm_install(*PACKAGES, overrides=OVERRIDES, timeout_seconds=INSTALL_SECONDS)


@functools.cache
def wallet() -> Wallet:
    """One for all tests of a process: making a key takes seconds."""
    return Wallet.generate()


def pattern(size: int) -> bytes:
    """Bytes that both sides make: no two chunks of them are equal."""
    return b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(-(-size // 32)))[:size]


class Clients:
    """A running process of both."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, command: str, **arguments: Any) -> Any:
        """One command of the script. :raises AssertionError: it fails there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextlib.contextmanager
def running() -> Iterator[Clients]:
    arguments = [str(node.node()), str(_SCRIPT)]
    with subprocess.Popen(
        arguments, cwd=packages(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # closes its input, which ends it
        yield Clients(process)


def record() -> dict[str, Any]:
    """Vectors made by the clients alone; the key is thrown away."""
    jwk = json.loads(wallet().to_jwk())
    data = "PGgxPmhlbGxvPC9oMT4"
    with running() as clients:
        return {
            "made_by": list(PACKAGES[:2]),
            "trees": {str(size): clients.call("tree", size=size) for size in SIZES},
            "address": clients.call("address", jwk=jwk),
            "transaction": clients.call(
                "make_transaction", jwk=jwk, data=data, tags=TAGS, anchor="A" * 64, reward="2507000"
            ),
            "items": {
                "arweave": clients.call("make_item", jwk=jwk, data=data, tags=TAGS, anchor="x" * 32),
                "untagged": clients.call("make_item", jwk=jwk, data=data, tags=[]),
                **clients.call("make_foreign_items", data=data, tags=TAGS),
            },
            "bundle": clients.call(
                "make_bundle", jwk=jwk, items=[{"data": data, "tags": TAGS}, {"data": "eA", "tags": []}]
            ),
        }


if __name__ == "__main__":
    json.dump(record(), sys.stdout, indent=1)
    sys.stdout.write("\n")
