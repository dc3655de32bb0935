"""People with wallets, for tests of signing in: another implementation's Ethereum keys, both steps of the methods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from af.auth.backends import Asked, Backend, Identity, Opening, Proof
from af.auth.models import LoginMethod, Purpose

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORIGIN = "https://app.example.org:8443"
KEY: LocalAccount = Account.from_key("0x" + "11" * 32)
OTHER: LocalAccount = Account.from_key("0x" + "22" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


async def begin(backend: Backend, **claim: str) -> Opening:
    return await backend.begin(Asked(claim, Purpose.SIGN_IN, NOW, ORIGIN))


async def finish(
    backend: Backend, opening: Opening, *, now: datetime = NOW, origin: str = ORIGIN, **values: Any
) -> Identity:
    async def known(_: str) -> LoginMethod | None:
        return None

    return await backend.finish(opening.secret, Proof(values, now, origin, known))


def sign(text: str, key: LocalAccount = KEY) -> str:
    return "0x" + bytes(key.sign_message(encode_defunct(text=text)).signature).hex()
