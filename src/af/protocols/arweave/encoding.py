"""What Arweave's formats share: base64url, ids, amounts, and the deep hash that owners sign.

Binary values are unpadded base64url in JSON. Amounts are winston, 10⁻¹² AR.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

WINSTON_PER_AR = 10**12
ID_BYTES = 32
ID_CHARACTERS = 43
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class InvalidEncoding(ValueError):
    """Not unpadded base64url."""


# --- encodings ------------------------------------------------------------------------------------------------------


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Strict: one text for each value. :raises InvalidEncoding: padding, another alphabet, or stray bits."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidEncoding("not base64url") from error
    if to_base64url(data) != text:
        raise InvalidEncoding("not base64url as it is written here: padding, or bits left over")
    return data


def is_id(text: str) -> bool:
    """Whether it can be the id of a transaction or item, or an address: 43 characters that are 32 bytes."""
    if not _ID.fullmatch(text):
        return False
    try:
        return len(from_base64url(text)) == ID_BYTES
    except InvalidEncoding:
        return False


def to_ar(winston: int) -> str:
    """An amount for people: ``0.002507`` AR; exact, without trailing zeros."""
    whole, part = divmod(winston, WINSTON_PER_AR)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".")


# --- deep hash ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BlobDigest:
    """What a deep hash needs of a value that is too large to hold: its SHA-384 and its size."""

    sha384: bytes
    size_bytes: int


class BlobHasher:
    """Reads such a value in pieces."""

    def __init__(self) -> None:
        self._hash = hashlib.sha384()
        self._size_bytes = 0

    def update(self, piece: bytes | memoryview) -> None:
        self._hash.update(piece)
        self._size_bytes += len(piece)

    def digest(self) -> BlobDigest:
        return BlobDigest(self._hash.digest(), self._size_bytes)


Nested: TypeAlias = "bytes | BlobDigest | Sequence[Nested]"


def deep_hash(value: Nested) -> bytes:
    """SHA-384 over nested lists of bytes, each with its kind and size: what owners sign. Nesting is our own, so it is
    not bounded here."""
    if isinstance(value, bytes):
        return deep_hash(BlobDigest(_sha384(value), len(value)))
    if isinstance(value, BlobDigest):
        return _sha384(_sha384(b"blob%d" % value.size_bytes) + value.sha384)
    found = _sha384(b"list%d" % len(value))
    for part in value:
        found = _sha384(found + deep_hash(part))
    return found


def _sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()
