"""arlocal, a node and gateway of Arweave on this machine whose blocks are mined on request.

It is the real npm program; only its SQLite driver, a native module, is Node's own (arlocal_sqlite.cjs). It checks ids,
signatures and data roots of what is posted, unpacks bundles, serves manifests and answers GraphQL.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import arweave_js, node, processes

_DRIVER = Path(__file__).with_name("arlocal_sqlite.cjs")
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ArLocal:
    """A running one. ``url`` is that of the node and of the gateway."""

    url: str

    def ask(self, path: str, *, method: str = "GET", body: Any = None) -> tuple[int, bytes]:
        """(status, body) of one request; ``body`` is sent as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def mint(self, address: str, winston: int) -> None:
        assert self.ask(f"/mint/{address}/{winston}")[0] == 200

    def mine(self, blocks: int = 1) -> None:
        assert self.ask(f"/mine/{blocks}")[0] == 200

    def balance(self, address: str) -> int:
        return int(float(self.ask(f"/wallet/{address}/balance")[1]))

    def drop(self, transaction: str) -> None:
        """Forget a transaction, as the network does with one that no block takes."""
        assert self.ask(f"/tx/{transaction}", method="DELETE")[0] == 200

    def graphql(self, query: str) -> Any:
        status, answer = self.ask("/graphql", method="POST", body={"query": query})
        assert status == 200, answer
        return json.loads(answer)["data"]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ArLocal]:
    """A fresh chain for a block; its files are in ``folder``. The first time on a machine npm installs it."""
    program = arweave_js.packages() / "node_modules" / "arlocal" / "bin" / "index.js"
    arguments: list[str | Path] = [
        node.node_itself(),
        "--no-warnings",
        "--require",
        _DRIVER,
        program,
        "1",
        "--dbpath=chain",
    ]
    with processes.running(arguments, log=folder / "arlocal.log", cwd=folder) as process:
        address = process.wait_for_line(r"listening on (127\.0\.0\.1:\d+)", seconds=_START_SECONDS)[1]
        chain = ArLocal(f"http://{address}")
        processes.wait_until(lambda: chain.ask("/tx_anchor")[1], seconds=_START_SECONDS, what="the first block")
        yield chain
