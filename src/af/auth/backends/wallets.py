"""What the wallets of all chains share: the message that is signed, and the rule that it is the one we wrote."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from af.auth.backends import Asked, Opening, Proof
from af.auth.errors import WrongProof
from af.core.clock import iso
from af.protocols import siwx
from af.protocols.siwx import InvalidMessage, Message, Mismatch

STATEMENT = "Sign in to Alternate Futures with your wallet"
LIFE = timedelta(minutes=15)
ATTEMPTS_MAX = 3
NONCE_BYTES = 16


def open_question(
    asked: Asked, write: Callable[[Message], str], *, subject: str, address: str, chain_id: str
) -> Opening:
    """The message for ``address`` (as the chain writes it) to sign."""
    nonce = secrets.token_hex(NONCE_BYTES)  # EIP-4361 wants letters and digits only
    message = write(
        Message(
            domain=urlsplit(asked.origin).netloc,
            address=address,
            statement=STATEMENT,
            uri=asked.origin,
            version="1",
            chain_id=chain_id,
            nonce=nonce,
            issued_at=_written(asked.now),
            expiration_time=_written(asked.now + LIFE),
        )
    )
    secret = {"message": message, "nonce": nonce, "chain_id": chain_id}
    shown = {"message": message, "nonce": nonce, "expiresIn": int(LIFE.total_seconds())}
    return Opening(subject, secret, shown, lookup=nonce)


def signed_message(secret: Mapping[str, Any], proof: Proof, parse: Callable[[str], Message]) -> tuple[str, Message]:
    """The message that must have been signed, as text and taken apart: always the one we wrote. A wallet that signed
    another one is told which fields differ.

    :raises WrongProof: another message, for another address of ours, or not in its time.
    """
    text: str = secret["message"]
    message = parse(text)
    given = proof.values.get("message", text)
    if given != text:
        raise _other_message(given, message, parse)
    try:
        siwx.check(
            message,
            domain=urlsplit(proof.origin).netloc,
            uri=proof.origin,
            chain_id=secret["chain_id"],
            nonce=secret["nonce"],
            now=proof.now,
        )
    except Mismatch as mismatch:
        raise WrongProof(
            "The message is not for this platform, or its time is over.",
            hint="Begin again.",
            detail=str(mismatch),
            field="message",
        ) from None
    return text, message


def _other_message(given: object, expected: Message, parse: Callable[[str], Message]) -> WrongProof:
    try:
        found = parse(given if isinstance(given, str) else "")
    except InvalidMessage as invalid:
        what, detail = "The signed message is not the one that was asked for.", str(invalid)
    else:
        fields = siwx.differences(expected, found)
        names = ", ".join(field.replace("_", " ") for field in fields)
        what = f"The signed message is not the one that was asked for: {names or 'its letters'} differ."
        detail = "; ".join(f"{name}: {getattr(found, name)!r:.100}" for name in fields)
    return WrongProof(what, hint="Sign the message exactly as it was given.", detail=detail, field="message")


def _written(moment: datetime) -> str:
    """As JavaScript's ``toISOString``: wallets parse that best."""
    return iso(moment)
