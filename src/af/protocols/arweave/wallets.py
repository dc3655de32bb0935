"""Wallets: RSA-4096 keys in JWK files, signatures, addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from af.protocols.arweave.encoding import InvalidEncoding, from_base64url, to_base64url

KEY_BITS = 4096
OWNER_BYTES = SIGNATURE_BYTES = KEY_BITS // 8
PUBLIC_EXPONENT = 65537
JWK_BYTES_MAX = 16 << 10
SALT_BYTES = 32
"""What browsers' keys use."""


class InvalidWallet(ValueError):
    """Not the JWK of an RSA-4096 private key. The message never shows any part of it."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """An RSA-4096 key. ``owner`` is its modulus, 512 bytes; it prints as its address."""

    owner: bytes = field(repr=False)
    _key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new one; takes a second or two."""
        return cls._of(rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS))

    @classmethod
    def from_jwk(cls, text: str | bytes) -> Self:
        """The wallet in a key file, as every Arweave wallet exports it (RFC 7518 §6.3).

        :raises InvalidWallet: it is something else, or its numbers do not fit each other.
        """
        if len(text) > JWK_BYTES_MAX:
            raise InvalidWallet(f"a key file has at most {JWK_BYTES_MAX} bytes")
        try:
            jwk = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidWallet("not JSON") from error
        if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
            raise InvalidWallet("not the JWK of an RSA key")
        n, e, d, p, q, dp, dq, qi = (_number(jwk, name) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi"))
        if n.bit_length() != KEY_BITS or e != PUBLIC_EXPONENT:
            raise InvalidWallet(f"not an RSA key of {KEY_BITS} bits with the exponent {PUBLIC_EXPONENT}")
        if (
            min(p, q) < 3
            or p * q != n
            or not (1 < d < n and (dp, dq) == (d % (p - 1), d % (q - 1)) and qi * q % p == 1)
        ):
            raise InvalidWallet("its numbers do not belong together")
        numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n))
        try:  # whether p and q are prime would take half a second, and only whoever made the key would suffer
            wallet = cls._of(numbers.private_key(unsafe_skip_rsa_key_validation=True))
        except ValueError:
            raise InvalidWallet("its numbers do not belong together") from None  # the cause may quote them
        if not is_signed_by(wallet.owner, b"", wallet.sign(b"")):
            raise InvalidWallet("it cannot sign")
        return wallet

    @classmethod
    def _of(cls, key: rsa.RSAPrivateKey) -> Self:
        return cls(key.public_key().public_numbers().n.to_bytes(OWNER_BYTES, "big"), key)

    @property
    def address(self) -> str:
        return address_of(self.owner)

    def to_jwk(self) -> str:
        """The key file: a secret."""
        private = self._key.private_numbers()
        public = private.public_numbers
        names = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
        numbers = (public.n, public.e, private.d, private.p, private.q, private.dmp1, private.dmq1, private.iqmp)
        texts = (to_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in numbers)
        return json.dumps({"kty": "RSA", **dict(zip(names, texts, strict=True))})

    def sign(self, message: bytes, *, salt_bytes: int = SALT_BYTES) -> bytes:
        """RSA-PSS with SHA-256. Without salt the same message always gets the same signature."""
        return self._key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), salt_bytes), hashes.SHA256())

    def __str__(self) -> str:
        return self.address


def address_of(owner: bytes) -> str:
    """The address of the wallet with this public key."""
    return to_base64url(hashlib.sha256(owner).digest())


def is_signed_by(owner: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the RSA-4096 key ``owner`` signed it, with a salt of any size."""
    if len(owner) != OWNER_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        key = rsa.RSAPublicNumbers(PUBLIC_EXPONENT, int.from_bytes(owner, "big")).public_key()
        key.verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256())
    except (InvalidSignature, ValueError):  # ValueError: an even modulus and the like
        return False
    return True


def _number(jwk: Mapping[str, Any], name: str) -> int:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise InvalidWallet(f"{name} is missing: a private key is needed, not a public one")
    try:
        return int.from_bytes(from_base64url(value), "big")
    except InvalidEncoding:
        raise InvalidWallet(f"{name} is not base64url") from None
