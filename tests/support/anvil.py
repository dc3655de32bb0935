"""A real Ethereum node on loopback: Foundry's anvil, from its npm package. It mines a block per transaction and holds
unlocked, funded accounts."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import node, processes

PACKAGE = "@foundry-rs/anvil@1.7.1"
_BINARY = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"  # of the platform package: no install script has run


@dataclass(frozen=True, slots=True)
class Chain:
    """A running node. ``url`` is its JSON-RPC address, ``chain_id`` what it says it is."""

    url: str
    chain_id: str

    def call(self, method: str, *parameters: Any) -> Any:
        """One JSON-RPC call. :raises AssertionError: the node refuses."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def deploy(self, runtime: bytes) -> str:
        """A contract with this code; its address."""
        sender = self.call("eth_accounts")[0]
        code = "0x" + creation_code(runtime).hex()
        sent = self.call("eth_sendTransaction", {"from": sender, "data": code, "gas": hex(1_000_000)})
        receipt = processes.wait_until(
            lambda: self.call("eth_getTransactionReceipt", sent), seconds=20, what="receipt of a new contract"
        )
        assert receipt["status"] == "0x1", receipt
        address: str = receipt["contractAddress"]
        return address


def creation_code(runtime: bytes) -> bytes:
    """The code that makes a contract with ``runtime``: it copies what follows it and returns that."""
    #      PUSH2 size                              DUP1  PUSH1 12  PUSH1 0  CODECOPY  PUSH1 0  RETURN
    return b"\x61" + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600c6000396000f3") + runtime


@contextlib.contextmanager
def running(folder: Path, *, chain_id: int = 31337) -> Iterator[Chain]:
    """A node for a block; its log is in ``folder``."""
    program = node.npm_install(PACKAGE) / _BINARY
    arguments: list[str | Path] = [program, "--host", "127.0.0.1", "--port", "0", "--chain-id", str(chain_id)]
    with processes.running(arguments, log=folder / "anvil.log") as process:
        address = process.wait_for_line(r"Listening on (127\.0\.0\.1:\d+)", seconds=30)[1]
        yield Chain(f"http://{address}", str(chain_id))
