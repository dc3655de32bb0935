"""Piece commitments of Filecoin (CommP): what storage providers prove that they hold. No I/O.

A piece is its payload, zero-filled to 127/128 of a power of two, with two zero bits let in behind every 254 (fr32), as
32-byte leaves of a binary tree of sha2-256 whose hashes lose their top two bits. Specs: FRC-0069 (piece CID version 2),
https://spec.filecoin.io/systems/filecoin_files/piece/ (version 1).

A chunk's root needs nothing but the chunk, so chunks can be hashed side by side: `chunk_root` in other processes and
`Tree` here (`Hasher` does both in one).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid, InvalidVarint

NODE_BYTES = 32
CHUNK_HEIGHT = 15
CHUNK_BYTES = 127 << (CHUNK_HEIGHT - 2)
"""Payload below one node of height `CHUNK_HEIGHT`, about 1 MiB: four leaves hold 127 bytes."""
PAYLOAD_BYTES_MIN = 65
"""Less than this is no piece for Filecoin (FRC-0069); it can be computed all the same."""
HEIGHT_MAX = 50  # 32 PiB

_SHA2_256_TRUNC254_PADDED = 0x1012
_FR32_SHA2_256_TRUNC254_PADBINTREE = 0x1011
_FIL_COMMITMENT_UNSEALED = 0xF101

_GROUPS = 256  # of 127 bytes, expanded at once: fits the first-level cache; fewer or more are slower
_BLOCK_BYTES = 127 * _GROUPS
_BLOCK_HEIGHT = 10
_TOP_BITS_OFF = bytes(value & 0x3F for value in range(256))


class InvalidPieceCid(ValueError):
    """Not a piece CID of version 2."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A payload of ``payload_bytes`` as the tree of ``height`` whose root is ``commitment``."""

    commitment: bytes
    height: int
    payload_bytes: int

    @property
    def padded_bytes(self) -> int:
        """What it takes in a sector: a power of two."""
        return NODE_BYTES << self.height

    @property
    def padding_bytes(self) -> int:
        """Zeros behind the payload, before the expansion."""
        return (127 << self.height - 2) - self.payload_bytes

    @property
    def cid_v1(self) -> CID:
        """``baga…``: the commitment alone; contracts and deals of the storage market use it with the padded size."""
        multihash = varint.encode(_SHA2_256_TRUNC254_PADDED) + b"\x20" + self.commitment
        return CID(b"\x01" + varint.encode(_FIL_COMMITMENT_UNSEALED) + multihash)

    @property
    def cid_v2(self) -> CID:
        """``bafkzcib…``: commitment and sizes (FRC-0069)."""
        digest = varint.encode(self.padding_bytes) + bytes([self.height]) + self.commitment
        multihash = varint.encode(_FR32_SHA2_256_TRUNC254_PADBINTREE) + varint.encode(len(digest)) + digest
        return CID(b"\x01" + varint.encode(cids.RAW) + multihash)


def read_cid_v2(cid: CID) -> Piece:
    """The piece that a version 2 piece CID describes. :raises InvalidPieceCid:"""
    try:
        function, start = varint.decode(cids.multihash(cid))
        if cids.codec(cid) != cids.RAW or function != _FR32_SHA2_256_TRUNC254_PADBINTREE:
            raise InvalidPieceCid("neither codec raw nor hash fr32-sha2-256-trunc254-padded-binary-tree")
        digest = cids.digest(cid)
        padding, start = varint.decode(digest)
    except (InvalidCid, InvalidVarint) as error:
        raise InvalidPieceCid(str(error)) from None
    if len(digest) != start + 1 + NODE_BYTES or not 2 <= digest[start] <= HEIGHT_MAX:
        raise InvalidPieceCid("not padding, height and commitment")
    height = digest[start]
    payload_bytes = (127 << height - 2) - padding
    if payload_bytes < 0 or _height_of(payload_bytes) != height:
        raise InvalidPieceCid(f"{padding} bytes of padding do not belong to height {height}")
    return Piece(digest[start + 1 :], height, payload_bytes)


# --- the tree -------------------------------------------------------------------------------------------------------


class Tree:
    """Roots of chunks, put together from left to right. Needs a node for each level at most."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []  # (height, root), heights falling

    def add(self, root: bytes) -> None:
        """The `chunk_root` of the next whole chunk."""
        height = CHUNK_HEIGHT
        while self._stack and self._stack[-1][0] == height:
            root = _parent(self._stack.pop()[1] + root)
            height += 1
        self._stack.append((height, root))

    def piece(self, payload_bytes: int, rest: bytes = b"") -> Piece:
        """The piece of all chunks and the ``rest`` behind them, shorter than one. Ends the tree."""
        height = _height_of(payload_bytes)
        if not self._stack:
            assert payload_bytes == len(rest) <= CHUNK_BYTES
            return Piece(_subtree(rest, height), height, payload_bytes)
        if rest:
            self.add(_subtree(rest, CHUNK_HEIGHT))
        level, root = self._stack.pop()
        while level < height:
            if self._stack and self._stack[-1][0] == level:
                root = _parent(self._stack.pop()[1] + root)
            else:
                root = _parent(root + _zeros()[level])
            level += 1
        assert not self._stack, "payload_bytes belongs to the chunks"
        return Piece(root, height, payload_bytes)


class Hasher:
    """A piece of bytes that come one after another."""

    def __init__(self) -> None:
        self._tree = Tree()
        self._rest = bytearray()
        self._size = 0

    def update(self, data: bytes) -> None:
        self._rest += data
        self._size += len(data)
        while len(self._rest) >= CHUNK_BYTES:
            self._tree.add(chunk_root(bytes(self._rest[:CHUNK_BYTES])))
            del self._rest[:CHUNK_BYTES]

    def piece(self) -> Piece:
        """Of everything; the hasher is used up."""
        return self._tree.piece(self._size, bytes(self._rest))


def chunk_root(chunk: bytes) -> bytes:
    """The root of exactly `CHUNK_BYTES`: about 15 ms."""
    assert len(chunk) == CHUNK_BYTES
    return _subtree(chunk, CHUNK_HEIGHT)


def _height_of(payload_bytes: int) -> int:
    """The lowest tree that holds so much; 128 bytes (height 2) at least."""
    height = 2
    while 127 << (height - 2) < payload_bytes:
        height += 1
    return height


def _subtree(data: bytes, height: int) -> bytes:
    """The root of ``height`` over ``data``, zeros behind it."""
    assert height <= CHUNK_HEIGHT
    assert len(data) <= 127 << (height - 2)
    level_height = min(height, _BLOCK_HEIGHT)
    block_bytes = 127 << (level_height - 2)
    level = bytearray()
    for start in range(0, len(data) or 1, block_bytes):
        nodes: bytes | bytearray = _expand(data[start : start + block_bytes].ljust(block_bytes, b"\0"))
        for _ in range(level_height):
            nodes = _parents(nodes)
        level += nodes
    while level_height < height:
        if len(level) % (2 * NODE_BYTES):
            level += _zeros()[level_height]
        level = _parents(level)
        level_height += 1
    return bytes(level)


def _expand(block: bytes) -> bytes:
    """fr32: 254 bits of the payload (little-endian) in each 32 bytes; all groups of 127 bytes as one number."""
    groups = len(block) // 127
    apart, masks = _spreading(groups)
    bits = int.from_bytes(b"\0".join(apart.unpack(block)), "little")
    first, second, third, fourth = masks
    bits = (bits & first) | (bits & second) << 2 | (bits & third) << 4 | (bits & fourth) << 6
    return bits.to_bytes(128 * groups, "little")


@lru_cache(maxsize=16)
def _spreading(groups: int) -> tuple[Struct, tuple[int, ...]]:
    """What takes a block apart into groups, and masks for each quarter of 254 bits in groups of 1,024."""
    quarters = (((1 << 254) - 1) << 254 * quarter for quarter in range(4))
    masks = (int.from_bytes(quarter.to_bytes(128, "little") * groups, "little") for quarter in quarters)
    return Struct("127s" * groups), tuple(masks)


def _parents(level: bytes | bytearray) -> bytearray:
    """The level above: a hash for each two nodes, with its top two bits off."""
    pairs = _pairs(len(level) // 64).unpack(level)
    parents = bytearray(b"".join([sha256(pair).digest() for pair in pairs]))
    parents[31::32] = parents[31::32].translate(_TOP_BITS_OFF)
    return parents


@lru_cache(maxsize=_BLOCK_HEIGHT + CHUNK_HEIGHT)
def _pairs(count: int) -> Struct:
    return Struct("64s" * count)


def _parent(pair: bytes) -> bytes:
    return bytes(_parents(pair))


@lru_cache(maxsize=1)
def _zeros() -> tuple[bytes, ...]:
    """The roots of trees of zeros, by height."""
    roots = [bytes(NODE_BYTES)]
    for _ in range(HEIGHT_MAX):
        roots.append(_parent(roots[-1] * 2))
    return tuple(roots)
