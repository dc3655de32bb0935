"""Sign-In with Solana: Phantom, Solflare, Backpack and every other wallet with ``signMessage``.

The wallet signs the text that we wrote, byte for byte. The ``signIn`` feature of some wallets composes its own text;
pages use ``signMessage``, for which wallets check the same text (its domain above all).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from af.auth.backends import Asked, Identity, Opening, Proof, wallets
from af.auth.errors import InvalidClaim, WrongProof
from af.protocols import base58, siws

_CHAIN_ID = "mainnet"  # keys are the same on all clusters
_TEXT_MAX = 130  # 0x and 128 hex digits, the longest way to write 64 bytes


class Solana:
    """The claim is ``{"address"}``; the answer ``{"signature", "message"?, "address"?}``."""

    name = "solana"
    title = "Solana wallet"
    life = wallets.LIFE
    attempts_max = wallets.ATTEMPTS_MAX
    bound = False

    async def begin(self, asked: Asked) -> Opening:
        address = str(asked.claim.get("address", ""))
        try:
            siws.parse_address(address)
        except ValueError as error:
            raise InvalidClaim(f"The address of a Solana account {error}.", field="address") from None
        return wallets.open_question(asked, siws.write, subject=address, address=address, chain_id=_CHAIN_ID)

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        text, message = wallets.signed_message(secret, proof, siws.parse)
        if proof.values.get("address", message.address) != message.address:
            raise WrongProof("Another account was asked to sign.", hint="Begin again with this one.", field="address")
        signature = _signature(proof.values.get("signature"))
        if not siws.is_signature(siws.parse_address(message.address), text, signature):
            raise WrongProof(
                "The signature is not this account's for this message.",
                hint="Choose the account in the wallet that you began with.",
                field="signature",
            )
        return Identity(message.address, message.address, data={"chainId": _CHAIN_ID})


def _signature(text: object) -> bytes:
    """64 bytes in hex, base64 with its padding, or base58; the lengths and the padding tell them apart."""
    signature = b""
    if isinstance(text, str) and len(text) <= _TEXT_MAX:
        try:
            digits = text.removeprefix("0x")
            if len(digits) == 2 * siws.SIGNATURE_BYTES:
                signature = bytes.fromhex(digits)
            elif text.endswith("=="):
                signature = base64.b64decode(text, validate=True)
            else:
                signature = base58.decode(text)
        except ValueError:
            pass
    if len(signature) != siws.SIGNATURE_BYTES:
        raise WrongProof(
            "The signature is not 64 bytes in base58, base64 or hex.",
            hint="Send what signMessage gave.",
            field="signature",
        )
    return signature
