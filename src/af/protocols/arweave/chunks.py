"""The chunk tree of an Arweave transaction: how data is cut, the Merkle root over it, and the proof of each chunk.

The root (``data_root``) is what a format-2 transaction signs; chunks travel beside it, each with its proof
(``data_path``): https://docs.arweave.org/developers/arweave-node-server/http-api#upload-chunks. The rules of cutting
and of the tree are those of the reference implementation (arweave-js ``src/common/lib/merkle.ts``).

Data is read once, in pieces of any size, by a `ChunkHasher`; 64 bytes are kept for each 256 KiB of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

CHUNK_BYTES_MAX = 256 << 10
CHUNK_BYTES_MIN = 32 << 10
DATA_BYTES_MAX = 1 << 40
"""Above this the tree alone would take 256 MB."""
HASH_BYTES = 32
NOTE_BYTES = 32
"""Offsets are big-endian numbers of this size."""
_LEVELS_MAX = 64


class InvalidChunks(ValueError):
    """Sizes that cannot be, or a proof that does not lead to its root."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes ``start`` to ``end`` (exclusive) of the data, their SHA-256, and the proof that the root holds them."""

    start: int
    end: int
    data_hash: bytes
    proof: bytes

    @property
    def size_bytes(self) -> int:
        return self.end - self.start

    @property
    def offset(self) -> int:
        """What a node is told as ``offset``: the position of the chunk's last byte."""
        return self.end - 1


@dataclass(frozen=True, slots=True)
class _Node:
    """``end`` is the end of the data below it."""

    id: bytes
    end: int


@dataclass(frozen=True, slots=True)
class ChunkTree:
    """What `ChunkHasher.finish` found. ``size_bytes`` is that of the data."""

    size_bytes: int
    _hashes: tuple[bytes, ...] = field(repr=False)
    _ends: tuple[int, ...] = field(repr=False)
    _levels: tuple[tuple[_Node, ...], ...] = field(repr=False)

    @property
    def root(self) -> bytes:
        """``data_root``, 32 bytes."""
        return self._levels[-1][0].id

    @property
    def count(self) -> int:
        """How many chunks are to be sent: the empty one that closes data of N times 256 KiB is in the tree only."""
        return len(self._ends) - (self.size_bytes > 0 and self.size_bytes % CHUNK_BYTES_MAX == 0)

    def chunk(self, index: int) -> Chunk:
        """:raises IndexError: not below `count`."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        start = self._ends[index - 1] if index else 0
        return Chunk(start, self._ends[index], self._hashes[index], self._proof(index))

    def _proof(self, index: int) -> bytes:
        parts = [self._hashes[index] + _note(self._ends[index])]
        for level in self._levels[:-1]:
            left = index - index % 2
            if left + 1 < len(level):  # the last of an odd number goes up as it is
                parts.append(level[left].id + level[left + 1].id + _note(level[left].end))
            index //= 2
        return b"".join(reversed(parts))


class ChunkHasher:
    """Reads data whose size is known beforehand: where it is cut depends on it."""

    def __init__(self, size_bytes: int) -> None:
        """:raises InvalidChunks: no data, or more than `DATA_BYTES_MAX`."""
        if not 0 < size_bytes <= DATA_BYTES_MAX:
            raise InvalidChunks(f"data must have 1 to {DATA_BYTES_MAX} bytes, not {size_bytes}")
        self._size_bytes = size_bytes
        self._position = 0
        self._end = next_cut(0, size_bytes)
        self._hash = hashlib.sha256()
        self._hashes: list[bytes] = []
        self._ends: list[int] = []

    def update(self, piece: bytes | memoryview) -> None:
        """:raises InvalidChunks: more data than was said."""
        rest = memoryview(piece)
        if self._position + len(rest) > self._size_bytes:
            raise InvalidChunks(f"more data than the {self._size_bytes} bytes that were said")
        while len(rest):
            part = rest[: self._end - self._position]
            self._hash.update(part)
            self._position += len(part)
            rest = rest[len(part) :]
            if self._position == self._end and self._position < self._size_bytes:
                self._close_chunk()

    def finish(self) -> ChunkTree:
        """:raises InvalidChunks: less data than was said."""
        if self._position != self._size_bytes:
            raise InvalidChunks(f"{self._position} bytes of data, {self._size_bytes} were said")
        full = self._size_bytes % CHUNK_BYTES_MAX == 0
        self._close_chunk()
        if full:
            self._close_chunk()  # the reference implementation closes whole chunks by an empty one
        leaves = tuple(_leaf(data_hash, end) for data_hash, end in zip(self._hashes, self._ends, strict=True))
        return ChunkTree(self._size_bytes, tuple(self._hashes), tuple(self._ends), _levels(leaves))

    def _close_chunk(self) -> None:
        self._hashes.append(self._hash.digest())
        self._ends.append(self._position)
        self._hash = hashlib.sha256()
        self._end = next_cut(self._position, self._size_bytes)


def next_cut(start: int, size_bytes: int) -> int:
    """The end of the chunk that begins at ``start``: the last two share what would leave too small a last one."""
    rest = size_bytes - start
    if rest <= CHUNK_BYTES_MAX:
        return size_bytes
    if rest - CHUNK_BYTES_MAX < CHUNK_BYTES_MIN:
        return start + (rest + 1) // 2
    return start + CHUNK_BYTES_MAX


def tree_of(data: bytes) -> ChunkTree:
    """The tree of data that is in memory. :raises InvalidChunks: it is empty."""
    hasher = ChunkHasher(len(data))
    hasher.update(data)
    return hasher.finish()


def verify(root: bytes, chunk: Chunk, data: bytes, *, size_bytes: int) -> None:
    """Check that ``data`` is the chunk of the data with this root that its proof says.

    :raises InvalidChunks: it is not.
    """
    expected, proof = root, chunk.proof
    left, right = 0, size_bytes
    step = 2 * HASH_BYTES + NOTE_BYTES
    for _ in range(_LEVELS_MAX):
        if len(proof) <= HASH_BYTES + NOTE_BYTES:
            break
        left_id, right_id = proof[:HASH_BYTES], proof[HASH_BYTES : 2 * HASH_BYTES]
        middle = int.from_bytes(proof[2 * HASH_BYTES : step], "big")
        if _branch_id(left_id, right_id, middle) != expected:
            raise InvalidChunks("the proof does not lead to the root")
        if chunk.offset < middle:
            expected, right = left_id, min(right, middle)
        else:
            expected, left = right_id, max(left, middle)
        proof = proof[step:]
    if len(proof) != HASH_BYTES + NOTE_BYTES:
        raise InvalidChunks("the proof is cut off or too long")
    data_hash, end = proof[:HASH_BYTES], int.from_bytes(proof[HASH_BYTES:], "big")
    if _leaf(data_hash, end).id != expected or (left, min(right, end)) != (chunk.start, chunk.end):
        raise InvalidChunks("the proof is of another chunk")
    if hashlib.sha256(data).digest() != data_hash or len(data) != chunk.size_bytes:
        raise InvalidChunks("the data is not that of the chunk")


def _levels(leaves: tuple[_Node, ...]) -> tuple[tuple[_Node, ...], ...]:
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [_branch(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append((*pairs, *below[2 * len(pairs) :]))
    return tuple(levels)


def _leaf(data_hash: bytes, end: int) -> _Node:
    return _Node(_sha256(_sha256(data_hash) + _sha256(_note(end))), end)


def _branch(left: _Node, right: _Node) -> _Node:
    return _Node(_branch_id(left.id, right.id, left.end), right.end)


def _branch_id(left_id: bytes, right_id: bytes, middle: int) -> bytes:
    return _sha256(_sha256(left_id) + _sha256(right_id) + _sha256(_note(middle)))


def _note(offset: int) -> bytes:
    return offset.to_bytes(NOTE_BYTES, "big")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
