"""Format-2 transactions: made, signed, written as a node takes them, read and verified.

Only those that carry data and move no winston: there is no way here to send money to anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from af.protocols.arweave import chunks
from af.protocols.arweave.chunks import HASH_BYTES, Chunk, ChunkTree
from af.protocols.arweave.encoding import InvalidEncoding, deep_hash, from_base64url, to_base64url
from af.protocols.arweave.wallets import OWNER_BYTES, SIGNATURE_BYTES, Wallet, is_signed_by

TAGS_MAX = 128
TAG_BYTES_MAX = 2048
"""Of all names and values of a transaction together; nodes refuse more."""
ANCHOR_BYTES_MAX = 48
REWARD_MAX = 10**22
"""Winston; more than there will ever be."""
_FIELD_CHARACTERS_MAX = 20 << 20


class InvalidTransaction(ValueError):
    """Not a format-2 transaction, out of bounds, or not signed by its owner."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A pair of bytes that indexes find content by; `of` makes one of text."""

    name: bytes
    value: bytes

    @classmethod
    def of(cls, name: str, value: str) -> Self:
        return cls(name.encode(), value.encode())

    @property
    def size_bytes(self) -> int:
        return len(self.name) + len(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A signed transaction that carries data. ``anchor`` is a recent block or the wallet's last transaction, after
    which it may be mined; ``reward_winston`` is what it pays; root and size of the data are those of its chunk tree."""

    owner: bytes
    anchor: bytes
    tags: tuple[Tag, ...]
    reward_winston: int
    data_bytes: int
    data_root: bytes
    signature: bytes

    @property
    def id(self) -> str:
        return to_base64url(hashlib.sha256(self.signature).digest())

    def verify(self) -> None:
        """:raises InvalidTransaction: out of bounds, or the signature is not its owner's."""
        _check(self.anchor, self.tags, self.reward_winston, self.data_bytes)
        message = _message(self.owner, self.anchor, self.tags, self.reward_winston, self.data_bytes, self.data_root)
        if len(self.data_root) != HASH_BYTES or not is_signed_by(self.owner, message, self.signature):
            raise InvalidTransaction("the signature is not its owner's")

    def to_json(self, data: bytes | None = None) -> dict[str, Any]:
        """What ``POST /tx`` takes, with its data inside of it or, when the chunks follow, without."""
        return {
            "format": 2,
            "id": self.id,
            "last_tx": to_base64url(self.anchor),
            "owner": to_base64url(self.owner),
            "tags": [{"name": to_base64url(tag.name), "value": to_base64url(tag.value)} for tag in self.tags],
            "target": "",
            "quantity": "0",
            "data": to_base64url(data or b""),
            "data_size": str(self.data_bytes),
            "data_root": to_base64url(self.data_root),
            "reward": str(self.reward_winston),
            "signature": to_base64url(self.signature),
        }


def sign(wallet: Wallet, *, tree: ChunkTree, tags: tuple[Tag, ...], anchor: bytes, reward_winston: int) -> Transaction:
    """A transaction for data with this tree. :raises InvalidTransaction: out of bounds."""
    _check(anchor, tags, reward_winston, tree.size_bytes)
    message = _message(wallet.owner, anchor, tags, reward_winston, tree.size_bytes, tree.root)
    return Transaction(
        owner=wallet.owner,
        anchor=anchor,
        tags=tags,
        reward_winston=reward_winston,
        data_bytes=tree.size_bytes,
        data_root=tree.root,
        signature=wallet.sign(message),
    )


def chunk_to_json(tree: ChunkTree, chunk: Chunk, data: bytes) -> dict[str, str]:
    """What ``POST /chunk`` takes: it belongs to every transaction with this root."""
    return {
        "data_root": to_base64url(tree.root),
        "data_size": str(tree.size_bytes),
        "data_path": to_base64url(chunk.proof),
        "offset": str(chunk.offset),
        "chunk": to_base64url(data),
    }


def read(value: Mapping[str, Any]) -> tuple[Transaction, bytes]:
    """A transaction as nodes give it, verified, and the data that came inside of it (empty when it travels apart),
    which has the root that was signed.

    :raises InvalidTransaction: another format, one that moves winston, out of bounds, or not signed.
    """
    if value.get("format") != 2 or value.get("target") or str(value.get("quantity", "0")) != "0":
        raise InvalidTransaction("not a format-2 transaction that only carries data")
    transaction = Transaction(
        owner=_bytes(value, "owner", OWNER_BYTES),
        anchor=_bytes(value, "last_tx"),
        tags=_tags(value.get("tags")),
        reward_winston=_amount(value, "reward"),
        data_bytes=_amount(value, "data_size"),
        data_root=_bytes(value, "data_root", HASH_BYTES),
        signature=_bytes(value, "signature", SIGNATURE_BYTES),
    )
    transaction.verify()
    if value.get("id") != transaction.id:
        raise InvalidTransaction("the id is not that of the signature")
    data = _bytes(value, "data") if value.get("data") else b""
    if data and (len(data) != transaction.data_bytes or chunks.tree_of(data).root != transaction.data_root):
        raise InvalidTransaction("the data is not what was signed")
    return transaction, data


def _message(owner: bytes, anchor: bytes, tags: tuple[Tag, ...], reward: int, data_bytes: int, root: bytes) -> bytes:
    """What the owner signs: format, owner, target, quantity, reward, anchor, tags, size and root of the data."""
    pairs = [[tag.name, tag.value] for tag in tags]
    return deep_hash([b"2", owner, b"", b"0", b"%d" % reward, anchor, pairs, b"%d" % data_bytes, root])


def _check(anchor: bytes, tags: tuple[Tag, ...], reward_winston: int, data_bytes: int) -> None:
    if len(tags) > TAGS_MAX or sum(tag.size_bytes for tag in tags) > TAG_BYTES_MAX:
        raise InvalidTransaction(f"tags: at most {TAGS_MAX}, with {TAG_BYTES_MAX} bytes together")
    if len(anchor) > ANCHOR_BYTES_MAX:
        raise InvalidTransaction(f"last_tx: at most {ANCHOR_BYTES_MAX} bytes")
    if not 0 <= reward_winston <= REWARD_MAX:
        raise InvalidTransaction("reward: not an amount that can be")
    if not 0 < data_bytes <= chunks.DATA_BYTES_MAX:
        raise InvalidTransaction("data_size: no data, or too much")


def _tags(value: object) -> tuple[Tag, ...]:
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise InvalidTransaction(f"tags: not a list of at most {TAGS_MAX}")
    if not all(isinstance(tag, dict) for tag in value):
        raise InvalidTransaction("tags: not objects")
    return tuple(Tag(_bytes(tag, "name"), _bytes(tag, "value")) for tag in value)


def _bytes(value: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > _FIELD_CHARACTERS_MAX:
        raise InvalidTransaction(f"{name}: missing or too long")
    try:
        found = from_base64url(text)
    except InvalidEncoding as error:
        raise InvalidTransaction(f"{name}: {error}") from error
    if size is not None and len(found) != size:
        raise InvalidTransaction(f"{name}: {len(found)} bytes, not {size}")
    return found


def _amount(value: Mapping[str, Any], name: str) -> int:
    text = str(value.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) <= 30):
        raise InvalidTransaction(f"{name}: not a number")
    return int(text)
