"""ENS on a local chain: the real registry and public resolver, from the bytecode that ENS' own npm packages carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.support import node, processes
from tests.support.anvil import Chain

PACKAGES = ("@ensdomains/ens@0.6.2", "@ensdomains/resolver@0.3.1")
GAS = 6_000_000
_ETHER = 10**18


def node_of(name: str) -> bytes:
    """Namehash (ENSIP-1), written here once more so that tests do not believe ours."""
    found = bytes(32)
    for label in reversed(name.split(".")):
        found = keccak(found + keccak(text=label))
    return found


@dataclass(frozen=True, slots=True)
class Contracts:
    """Deployed contracts. ``root`` is the account (unlocked) that owns the root and every name not given away."""

    chain: Chain
    registry: str
    resolver: str
    root: str

    def register(self, name: str, owner: str | None = None, *, resolver: bool = True) -> None:
        """Give ``name`` (and, to the root, every name above it) to ``owner``; with the public resolver unless not."""
        labels = name.split(".")
        for start in range(len(labels) - 1, -1, -1):
            parent = node_of(".".join(labels[start + 1 :])) if start + 1 < len(labels) else bytes(32)
            types = ("bytes32", "bytes32", "address")
            self.act("setSubnodeOwner", types, (parent, keccak(text=labels[start]), self.root))
        if resolver:
            self.act("setResolver", ("bytes32", "address"), (node_of(name), self.resolver))
        if owner is not None:
            self.act("setOwner", ("bytes32", "address"), (node_of(name), owner))

    def act(self, function: str, types: tuple[str, ...], values: tuple[Any, ...], *, to: str | None = None) -> None:
        """A transaction of the root account to the registry (or ``to``)."""
        data = keccak(text=f"{function}({','.join(types)})")[:4] + encode(types, values)
        transaction = {"from": self.root, "to": to or self.registry, "data": "0x" + data.hex(), "gas": hex(GAS)}
        receipt = mined(self.chain, self.chain.call("eth_sendTransaction", transaction))
        assert receipt["status"] == "0x1", receipt

    def contenthash(self, name: str) -> bytes:
        """What the resolver holds, read here without our code."""
        data = keccak(text="contenthash(bytes32)")[:4] + node_of(name)
        answer = bytes.fromhex(
            self.chain.call("eth_call", {"to": self.resolver, "data": "0x" + data.hex()}, "latest")[2:]
        )
        return answer[64 : 64 + int.from_bytes(answer[32:64], "big")]


def deploy(chain: Chain) -> Contracts:
    root = to_checksum_address(chain.call("eth_accounts")[0])
    folder = node.npm_install(*PACKAGES) / "node_modules/@ensdomains"
    registry = _create(chain, root, folder / "ens/build/contracts/ENSRegistry.json")
    resolver = _create(chain, root, folder / "resolver/build/contracts/PublicResolver.json", registry)
    return Contracts(chain, registry, resolver, root)


def _create(chain: Chain, sender: str, artifact: Path, *addresses: str) -> str:
    code: str = json.loads(artifact.read_text())["bytecode"]
    data = code + encode(["address"] * len(addresses), addresses).hex()
    receipt = mined(chain, chain.call("eth_sendTransaction", {"from": sender, "data": data, "gas": hex(GAS)}))
    assert receipt["status"] == "0x1", receipt
    return to_checksum_address(receipt["contractAddress"])


def mined(chain: Chain, transaction: str) -> Any:
    """The receipt."""
    return processes.wait_until(
        lambda: chain.call("eth_getTransactionReceipt", transaction), seconds=20, what=f"receipt of {transaction}"
    )


def wallet(chain: Chain, *, ether: int = 10) -> LocalAccount:
    """A new account whose key only the test has."""
    made: LocalAccount = Account.create()
    chain.call("anvil_setBalance", made.address, hex(ether * _ETHER))
    return made


def sign_and_send(chain: Chain, signer: LocalAccount, to: str, data: str, gas: int, **more: Any) -> str:
    """Sign with eth-account, as a wallet does, and send; the hash."""
    transaction = {
        "type": 2,
        "chainId": int(chain.call("eth_chainId"), 16),
        "nonce": int(chain.call("eth_getTransactionCount", signer.address, "pending"), 16),
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "gas": gas,
        "to": to,
        "value": 0,
        "data": data,
        **more,
    }
    sent: str = chain.call(
        "eth_sendRawTransaction", "0x" + bytes(signer.sign_transaction(transaction).raw_transaction).hex()
    )
    return sent
