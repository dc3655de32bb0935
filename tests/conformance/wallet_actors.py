"""People with wallets, for `test_login_methods`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct

from af.auth.backends import Backend, Opening
from af.auth.backends.ethereum import Ethereum
from af.auth.backends.solana import Solana
from af.core.http import Client
from af.protocols import base58


class EthereumKey:
    """Signs with a key, by another implementation than ours."""

    registered_subject = ""
    registered_data: Mapping[str, Any] = {}
    impossible_claims: tuple[Mapping[str, str], ...] = ({}, {"address": "0x12"}, {"address": "0x" + "Ab" * 20})

    def __init__(self, key: str) -> None:
        self._account = Account.from_key(key)
        self.backend: Backend = Ethereum(Client(), {})
        self.claim: Mapping[str, str] = {"address": self._account.address}

    async def answer(self, opening: Opening) -> Mapping[str, Any]:
        message = opening.shown["message"]
        signature = bytes(self._account.sign_message(encode_defunct(text=message)).signature)
        return {"address": self._account.address, "message": message, "signature": "0x" + signature.hex()}

    def spoiled(self, answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield from _spoiled(answer, "0x" + "22" * 65)

    def hidden(self, opening: Opening) -> Iterator[str]:
        return iter(())  # a wallet is asked in the open

    @asynccontextmanager
    async def other(self) -> AsyncIterator[EthereumKey]:
        yield EthereumKey("0x" + "44" * 32)


class SolanaKey:
    registered_subject = ""
    registered_data: Mapping[str, Any] = {}
    impossible_claims: tuple[Mapping[str, str], ...] = ({}, {"address": "abc"}, {"address": "1" * 32})

    def __init__(self, key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self._address = base58.encode(self._key.public_key().public_bytes_raw())
        self.backend: Backend = Solana()
        self.claim: Mapping[str, str] = {"address": self._address}

    async def answer(self, opening: Opening) -> Mapping[str, Any]:
        message = opening.shown["message"]
        signature = base58.encode(self._key.sign(message.encode()))
        return {"address": self._address, "message": message, "signature": signature}

    def spoiled(self, answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield from _spoiled(answer, base58.encode(b"\2" * 64))

    def hidden(self, opening: Opening) -> Iterator[str]:
        return iter(())

    @asynccontextmanager
    async def other(self) -> AsyncIterator[SolanaKey]:
        yield SolanaKey(b"\4" * 32)


def _spoiled(answer: Mapping[str, Any], another: str) -> Iterator[Mapping[str, Any]]:
    yield {**answer, "signature": another}
    yield {**answer, "signature": answer["signature"][:-2]}
    yield {**answer, "message": answer["message"] + " "}
    yield {**answer, "address": "somebody"}


@asynccontextmanager
async def ethereum() -> AsyncIterator[EthereumKey]:
    yield EthereumKey("0x" + "33" * 32)


@asynccontextmanager
async def solana() -> AsyncIterator[SolanaKey]:
    yield SolanaKey(b"\3" * 32)
