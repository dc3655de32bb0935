"""ANS-104: data items that travel to Arweave in bundles, signed by themselves. Made, read and verified; no network.

https://github.com/ArweaveTeam/arweave-standards/blob/master/ans/ANS-104.md. Items are made with an Arweave wallet;
those of Ed25519, Ethereum and Solana keys are verified, too. An item is its head (`Head`: at most some five kilobytes)
and its data, which is only ever hashed: it need not fit in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from af.protocols.arweave.encoding import BlobDigest, BlobHasher, deep_hash, to_base64url
from af.protocols.arweave.transactions import Tag
from af.protocols.arweave.wallets import Wallet, is_signed_by

TAGS_MAX = 128
TAG_NAME_BYTES_MAX = 1024
TAG_VALUE_BYTES_MAX = 3072
TAGS_BYTES_MAX = 4096
"""Of the tags as they are written; the reference implementation refuses more."""
ITEMS_MAX = 100_000
ITEM_BYTES_MAX = 1 << 40
BUNDLE_ENTRY_BYTES = 64
BUNDLE_COUNT_BYTES = 32
ID_BYTES = TARGET_BYTES = ANCHOR_BYTES = 32
BUNDLE_TAGS = (Tag.of("Bundle-Format", "binary"), Tag.of("Bundle-Version", "2.0.0"))
"""What the transaction or item that carries a bundle must be tagged with."""
_LONG_BYTES_MAX = 9


class InvalidItem(ValueError):
    """Not a data item, out of bounds, or not signed by its owner."""


class InvalidBundle(ValueError):
    """Not a bundle, or out of bounds."""


class Signing(IntEnum):
    """Kinds of keys, as the first two bytes of an item name them."""

    ARWEAVE = 1
    ED25519 = 2
    ETHEREUM = 3
    SOLANA = 4


_SIZES = {  # (signature, owner)
    Signing.ARWEAVE: (512, 512),
    Signing.ED25519: (64, 32),
    Signing.ETHEREUM: (65, 65),
    Signing.SOLANA: (64, 32),
}
HEAD_BYTES_MAX = 2 + 512 + 512 + 1 + TARGET_BYTES + 1 + ANCHOR_BYTES + 16 + TAGS_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An item without its data. ``written_tags`` is signed as it came, so it is kept as it came."""

    signing: Signing
    signature: bytes
    owner: bytes
    target: bytes
    anchor: bytes
    tags: tuple[Tag, ...]
    written_tags: bytes

    @property
    def raw_id(self) -> bytes:
        return hashlib.sha256(self.signature).digest()

    @property
    def id(self) -> str:
        return to_base64url(self.raw_id)

    @property
    def size_bytes(self) -> int:
        """Of the head as it is written: where the data begins."""
        return len(encode_head(self))

    def verify(self, data: bytes | BlobDigest) -> None:
        """:raises InvalidItem: its owner did not sign this data with this head."""
        message = deep_hash(_signed(self.signing, self.owner, self.target, self.anchor, self.written_tags, data))
        if not _VERIFIERS[self.signing](self.owner, message, self.signature):
            raise InvalidItem("the signature is not its owner's")


@dataclass(frozen=True, slots=True)
class Entry:
    """An item in the table at the head of a bundle: its bytes are ``start`` to ``start + size_bytes`` of the bundle."""

    id: str
    start: int
    size_bytes: int


# --- items ----------------------------------------------------------------------------------------------------------


def sign(wallet: Wallet, data: bytes | BlobDigest, *, tags: Sequence[Tag] = (), anchor: bytes = b"") -> Head:
    """The head of an item with this data (or data with this digest). It is signed without salt, so the same data and
    tags have the same id however often they are signed: an upload that is repeated is known, and not paid twice. Where
    two ids are wanted, give two anchors.

    :raises InvalidItem: tags or anchor are out of bounds.
    """
    if anchor and len(anchor) != ANCHOR_BYTES:
        raise InvalidItem(f"anchor: {len(anchor)} bytes, not {ANCHOR_BYTES}")
    written = _write_tags(tags)
    message = deep_hash(_signed(Signing.ARWEAVE, wallet.owner, b"", anchor, written, data))
    return Head(
        signing=Signing.ARWEAVE,
        signature=wallet.sign(message, salt_bytes=0),
        owner=wallet.owner,
        target=b"",
        anchor=anchor,
        tags=tuple(tags),
        written_tags=written,
    )


def encode_head(head: Head) -> bytes:
    """The head as it is written; the data follows it."""
    return b"".join(
        (
            head.signing.to_bytes(2, "little"),
            head.signature,
            head.owner,
            b"\1" + head.target if head.target else b"\0",
            b"\1" + head.anchor if head.anchor else b"\0",
            len(head.tags).to_bytes(8, "little"),
            len(head.written_tags).to_bytes(8, "little"),
            head.written_tags,
        )
    )


def head_bytes(tags: Sequence[Tag]) -> int:
    """How long the head of an item with these tags is, without target and anchor. :raises InvalidItem: too many."""
    return 2 + sum(_SIZES[Signing.ARWEAVE]) + 1 + 1 + 16 + len(_write_tags(tags))


def read_head(start: bytes) -> Head:
    """The head that an item begins with; ``start`` is the first `HEAD_BYTES_MAX` bytes of it, or all of it.

    :raises InvalidItem: it is none, or of a kind of key that is not verified here.
    """
    kind = int.from_bytes(start[:2], "little")
    if kind not in _SIZES:
        raise InvalidItem(f"signed by a key of kind {kind}, which is not known here")
    signing = Signing(kind)
    signature_bytes, owner_bytes = _SIZES[signing]
    signature, at = _take(start, 2, signature_bytes)
    owner, at = _take(start, at, owner_bytes)
    target, at = _optional(start, at, TARGET_BYTES)
    anchor, at = _optional(start, at, ANCHOR_BYTES)
    numbers, at = _take(start, at, 16)
    count, written_bytes = int.from_bytes(numbers[:8], "little"), int.from_bytes(numbers[8:], "little")
    if count > TAGS_MAX or written_bytes > TAGS_BYTES_MAX:
        raise InvalidItem(f"tags: {count} with {written_bytes} bytes (at most {TAGS_MAX} with {TAGS_BYTES_MAX})")
    written, at = _take(start, at, written_bytes)
    tags = _read_tags(written)
    if len(tags) != count:
        raise InvalidItem(f"tags: {len(tags)}, where {count} were said")
    return Head(
        signing=signing,
        signature=signature,
        owner=owner,
        target=target,
        anchor=anchor,
        tags=tags,
        written_tags=written,
    )


def read_item(item: bytes) -> tuple[Head, bytes]:
    """A whole item in memory, verified: its head and its data. :raises InvalidItem: it is none."""
    head = read_head(item)
    data = item[head.size_bytes :]
    head.verify(data)
    return head, data


class ItemReader:
    """Reads an item in pieces of any size: `data` gives on what of a piece belongs to the data, `finish` verifies."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._head: Head | None = None
        self._hasher = BlobHasher()

    def data(self, piece: bytes) -> bytes:
        """:raises InvalidItem: the head is none."""
        if self._head is not None:
            self._hasher.update(piece)
            return piece
        self._start += piece
        return b"" if len(self._start) < HEAD_BYTES_MAX else self._open()

    def rest(self) -> bytes:
        """After the last piece: data that was held back until the head was complete. :raises InvalidItem: as `data`."""
        return self._open() if self._head is None else b""

    def finish(self) -> Head:
        """After `rest`. :raises InvalidItem: the owner did not sign this data."""
        assert self._head is not None, "rest() comes first"
        self._head.verify(self._hasher.digest())
        return self._head

    def _open(self) -> bytes:
        self._head = read_head(bytes(self._start))
        data = bytes(self._start[self._head.size_bytes :])
        self._start.clear()
        self._hasher.update(data)
        return data


def _signed(
    signing: Signing, owner: bytes, target: bytes, anchor: bytes, tags: bytes, data: bytes | BlobDigest
) -> list[bytes | BlobDigest]:
    return [b"dataitem", b"1", b"%d" % signing, owner, target, anchor, tags, data]


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise InvalidItem("cut off")
    return data[at : at + size], at + size


def _optional(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    present, at = _take(data, at, 1)
    if present not in (b"\0", b"\1"):
        raise InvalidItem("a mark of presence that is neither 0 nor 1")
    return _take(data, at, size) if present == b"\1" else (b"", at)


# --- tags: an Avro array of records of two byte strings ---------------------------------------------------------------


def _write_tags(tags: Sequence[Tag]) -> bytes:
    if len(tags) > TAGS_MAX:
        raise InvalidItem(f"tags: more than {TAGS_MAX}")
    if not tags:
        return b""
    parts = [_long(len(tags))]
    for tag in tags:
        _check_tag(tag)
        parts += (_long(len(tag.name)), tag.name, _long(len(tag.value)), tag.value)
    written = b"".join((*parts, _long(0)))
    if len(written) > TAGS_BYTES_MAX:
        raise InvalidItem(f"tags: {len(written)} bytes (at most {TAGS_BYTES_MAX})")
    return written


def _read_tags(written: bytes) -> tuple[Tag, ...]:
    tags: list[Tag] = []
    at = 0
    while at < len(written):
        count, at = _read_long(written, at)
        if count == 0:
            break
        if count < 0:  # a block that says its size in bytes, too
            count = -count
            _, at = _read_long(written, at)
        if count > TAGS_MAX - len(tags):
            raise InvalidItem(f"tags: more than {TAGS_MAX}")
        for _ in range(count):
            name, at = _read_text(written, at)
            value, at = _read_text(written, at)
            tag = Tag(name, value)
            _check_tag(tag)
            tags.append(tag)
    if at != len(written) or (tags and written[-1:] != b"\0"):
        raise InvalidItem("tags: not closed, or more behind them")
    return tuple(tags)


def _check_tag(tag: Tag) -> None:
    if not 0 < len(tag.name) <= TAG_NAME_BYTES_MAX or not 0 < len(tag.value) <= TAG_VALUE_BYTES_MAX:
        raise InvalidItem(
            f"tags: a name has 1 to {TAG_NAME_BYTES_MAX} bytes, a value 1 to {TAG_VALUE_BYTES_MAX} (ANS-104 §2.1)"
        )


def _read_text(written: bytes, at: int) -> tuple[bytes, int]:
    size, at = _read_long(written, at)
    if size < 0:
        raise InvalidItem("tags: a negative size")
    return _take(written, at, size)


def _long(value: int) -> bytes:
    """A zigzag variable-length number."""
    rest, out = value << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*out, rest))


def _read_long(written: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(written[at : at + _LONG_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + position + 1
    raise InvalidItem("tags: a number that does not end")


# --- bundles --------------------------------------------------------------------------------------------------------


def bundle_head(items: Sequence[tuple[bytes, int]]) -> bytes:
    """The table of a bundle of these items, (raw id, size with head) each; the items follow it in that order.

    :raises InvalidBundle: too many.
    """
    if len(items) > ITEMS_MAX:
        raise InvalidBundle(f"more than {ITEMS_MAX} items")
    entries = (size.to_bytes(32, "little") + raw_id for raw_id, size in items)
    return b"".join((len(items).to_bytes(BUNDLE_COUNT_BYTES, "little"), *entries))


def bundle_head_bytes(start: bytes) -> int:
    """How long the table is, told by its first 32 bytes. :raises InvalidBundle: it is none."""
    count = int.from_bytes(start[:BUNDLE_COUNT_BYTES], "little")
    if len(start) < BUNDLE_COUNT_BYTES or count > ITEMS_MAX:
        raise InvalidBundle(f"not a bundle of at most {ITEMS_MAX} items")
    return BUNDLE_COUNT_BYTES + count * BUNDLE_ENTRY_BYTES


def read_bundle_head(start: bytes) -> tuple[Entry, ...]:
    """The table that a bundle begins with. :raises InvalidBundle: it is none."""
    end = bundle_head_bytes(start)
    if len(start) < end:
        raise InvalidBundle("its table is cut off")
    entries = []
    position = end
    for at in range(BUNDLE_COUNT_BYTES, end, BUNDLE_ENTRY_BYTES):
        size = int.from_bytes(start[at : at + 32], "little")
        if size > ITEM_BYTES_MAX:
            raise InvalidBundle(f"an item of {size} bytes (at most {ITEM_BYTES_MAX})")
        entries.append(Entry(to_base64url(start[at + 32 : at + 64]), position, size))
        position += size
    return tuple(entries)


def read_bundle(bundle: bytes) -> Iterator[tuple[Head, bytes]]:
    """The items of a bundle in memory, each verified before it is given. :raises InvalidBundle, InvalidItem:"""
    entries = read_bundle_head(bundle)
    if entries and entries[-1].start + entries[-1].size_bytes != len(bundle):
        raise InvalidBundle("cut off, or more behind its items")
    for entry in entries:
        head, data = read_item(bundle[entry.start : entry.start + entry.size_bytes])
        if head.id != entry.id:
            raise InvalidBundle("an item is not the one that the table names")
        yield head, data


# --- keys -----------------------------------------------------------------------------------------------------------


def _is_ed25519(owner: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(owner).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_solana(owner: bytes, message: bytes, signature: bytes) -> bool:
    return _is_ed25519(owner, message.hex().encode(), signature)


def _is_ethereum(owner: bytes, message: bytes, signature: bytes) -> bool:
    """``owner`` is the uncompressed public key; the message is signed as ``personal_sign`` does (EIP-191)."""
    from af.protocols import ethereum

    digest = ethereum.keccak_256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)
    try:
        address = ethereum.recover(digest, signature)
    except ethereum.InvalidSignature:
        return False
    return owner[:1] == b"\4" and ethereum.keccak_256(owner[1:])[12:] == address


_VERIFIERS = {
    Signing.ARWEAVE: is_signed_by,
    Signing.ED25519: _is_ed25519,
    Signing.ETHEREUM: _is_ethereum,
    Signing.SOLANA: _is_solana,
}
