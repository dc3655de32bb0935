"""Sharded directories: a hash trie of dag-pb nodes (https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory).

A name's murmur3 hash is spent `log2(fanout)` bits a level. A shard's bitfield says which slots are taken; its links, in
slot order, are named `<slot in upper-case hex>` for a child shard and `<slot><name>` for an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import mmh3

from af.protocols.ipfs import dagpb
from af.protocols.ipfs.dagpb import Kind, Link, Node, UnixFS
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded

MURMUR3_X64_64 = 0x22
HASH_BITS = 64
MIN_FANOUT, MAX_FANOUT = 8, 1024


def hash_name(name: bytes) -> int:
    """The first 64 bits of murmur3-x64-128, as a number whose top bits pick the first slot."""
    return mmh3.hash64(name, signed=False)[0]


def slot_at(name_hash: int, level: int, fanout: int) -> int:
    """Which slot a name takes at `level` (0 is the root). Raises LimitExceeded when the hash has no bits left."""
    bits = fanout.bit_length() - 1
    shift = HASH_BITS - bits * (level + 1)
    if shift < 0:
        raise LimitExceeded("too many names in one directory have the same hash")
    return name_hash >> shift & (fanout - 1)


# --- writing -------------------------------------------------------------------------------------------------------


def build(entries: Sequence[Link], fanout: int, put_node: Callable[[Sequence[Link], bytes], Link]) -> Link:
    """Writes the shards of a directory bottom-up and returns a nameless link to the root.

    `put_node(links, data)` encodes and stores one node. Recursion is as deep as the hash has levels (8 at fanout 256).
    """
    hashed = [(hash_name(entry.name), entry) for entry in entries]
    return _build_shard(hashed, 0, fanout, put_node)


def _build_shard(
    hashed: Sequence[tuple[int, Link]],
    level: int,
    fanout: int,
    put_node: Callable[[Sequence[Link], bytes], Link],
) -> Link:
    slots: dict[int, list[tuple[int, Link]]] = {}
    for item in hashed:
        slots.setdefault(slot_at(item[0], level, fanout), []).append(item)
    digits = _digits(fanout)
    bitfield = 0
    links = []
    for slot in sorted(slots):
        bitfield |= 1 << slot
        prefix = b"%0*X" % (digits, slot)
        if len(slots[slot]) == 1:
            entry = slots[slot][0][1]
            links.append(Link(entry.cid, prefix + entry.name, entry.tsize))
        else:
            child = _build_shard(slots[slot], level + 1, fanout, put_node)
            links.append(Link(child.cid, prefix, child.tsize))
    data = dagpb.encode_unixfs(
        UnixFS(
            kind=Kind.HAMT_SHARD,
            data=bitfield.to_bytes((bitfield.bit_length() + 7) // 8, "big"),
            hash_type=MURMUR3_X64_64,
            fanout=fanout,
        )
    )
    return put_node(links, data)


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shard:
    """A checked shard node: `links[i]` is in the slot of the i-th set bit of `bitfield`."""

    links: tuple[Link, ...]
    bitfield: int
    fanout: int

    def in_slot(self, slot: int) -> Link | None:
        if not self.bitfield >> slot & 1:
            return None
        return self.links[(self.bitfield & (1 << slot) - 1).bit_count()]

    def is_child(self, link: Link) -> bool:
        """Whether `link` goes to a deeper shard rather than to an entry."""
        return len(link.name) == _digits(self.fanout)

    def entry_name(self, link: Link) -> bytes:
        return link.name[_digits(self.fanout) :]


def read_shard(node: Node, message: UnixFS, *, fanout: int | None = None) -> Shard:
    """Checks a decoded HAMT_SHARD node. `fanout`, when given, is the root's: all shards of a directory share it."""
    width = message.fanout
    if message.hash_type != MURMUR3_X64_64:
        raise InvalidBlock(f"HAMT: hash function {message.hash_type} is not murmur3-x64-64")
    if width is None or not MIN_FANOUT <= width <= MAX_FANOUT or width.bit_count() != 1:
        raise InvalidBlock(f"HAMT: fanout {width} is not a power of two from {MIN_FANOUT} to {MAX_FANOUT}")
    if fanout is not None and width != fanout:
        raise InvalidBlock(f"HAMT: fanout {width} differs from {fanout} at the root")
    bitfield = int.from_bytes(message.data or b"", "big")
    if bitfield.bit_length() > width or bitfield.bit_count() != len(node.links):
        raise InvalidBlock("HAMT: the bitfield does not fit the links")
    digits = _digits(width)
    for slot, link in zip(_set_bits(bitfield), node.links, strict=True):
        if link.name[:digits] != b"%0*X" % (digits, slot):
            raise InvalidBlock(f"HAMT: link {link.name[:16]!r} is not in its slot {slot}")
    return Shard(node.links, bitfield, width)


def _set_bits(bitfield: int) -> Iterator[int]:
    while bitfield:
        lowest = bitfield & -bitfield
        yield lowest.bit_length() - 1
        bitfield ^= lowest


def _digits(fanout: int) -> int:
    """How many hex digits a slot number takes."""
    return len("%X" % (fanout - 1))
