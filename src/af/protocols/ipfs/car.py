"""CAR archives: a header naming root CIDs, then length-prefixed (CID, block) frames.

Writes version 1 (https://ipld.io/specs/transport/car/carv1/); reads versions 1 and 2
(https://ipld.io/specs/transport/car/carv2/) as a stream, holding no more than one frame and one fed chunk. Digests are
not checked here: call `cid.verify(cid, block)` on every frame before trusting it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Any

import cbrrr

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCar, InvalidCid, InvalidVarint

CONTENT_TYPE = "application/vnd.ipld.car"
MAX_BLOCK_BYTES = 2 * 1024 * 1024  # what bitswap carries, so what the network can hold
MAX_HEADER_BYTES = 64 * 1024  # about 1,500 roots
_V2_HEADER_BYTES = 40
_V2_MAX_PADDING_BYTES = 1024 * 1024


# --- writing -------------------------------------------------------------------------------------------------------


def header(roots: Sequence[CID]) -> bytes:
    """The start of a CARv1 (dag-cbor `{"roots": [...], "version": 1}` with its length in front)."""
    body = cbrrr.encode_dag_cbor({"roots": [cbrrr.CID(root) for root in roots], "version": 1})
    return varint.encode(len(body)) + body


def frame(cid: CID, data: bytes) -> bytes:
    """One block as it stands in a CAR."""
    return b"".join((frame_head(cid, len(data)), data))


def frame_head(cid: CID, size_bytes: int) -> bytes:
    """What precedes a block of `size_bytes` in its frame, for writers that do not want to copy the block."""
    return varint.encode(len(cid) + size_bytes) + cid


# --- reading -------------------------------------------------------------------------------------------------------


class _Part(Enum):
    """What the next bytes of the stream are."""

    HEADER = auto()
    V2_HEADER = auto()
    V2_PADDING = auto()
    V1_HEADER_IN_V2 = auto()
    FRAMES = auto()
    V2_INDEX = auto()


class CarReader:
    """Takes a CAR in chunks of any size and gives back its blocks.

        reader = CarReader()
        for chunk in stream:
            for cid, block in reader.feed(chunk): ...
        reader.finish()

    `roots` is None until the header has been read. Every fault is an InvalidCar with the offset of the faulty part.
    `offset` is where the frame of the block just yielded begins. Iterate each `feed` to its end. A CARv2 index is
    skipped, not used; it may be at most `max_index_bytes`.
    """

    def __init__(
        self,
        *,
        max_block_bytes: int = MAX_BLOCK_BYTES,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_index_bytes: int = 1 << 30,
    ) -> None:
        self.roots: tuple[CID, ...] | None = None
        self.version = 1
        self.offset = 0
        self._max_frame_bytes = max_block_bytes + cids.MAX_CID_BYTES
        self._max_block_bytes = max_block_bytes
        self._max_header_bytes = max_header_bytes
        self._max_index_bytes = max_index_bytes
        self._part = _Part.HEADER
        self._buffer = bytearray()
        self._start = 0  # stream offset of the first byte in the buffer
        self._payload_end: int | None = None  # CARv2: where the inner CARv1 ends, as a stream offset
        self._skip_bytes = 0  # CARv2: padding before the inner CARv1

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[tuple[CID, bytes]]:
        """Takes the next bytes of the stream; yields the blocks that are now whole."""
        self._buffer += chunk
        return self._blocks()

    def finish(self) -> None:
        """Call when the stream has ended: raises InvalidCar if it stopped half way."""
        if self.roots is None:
            raise InvalidCar("CAR ends inside its header", self._start + len(self._buffer))
        if self._buffer and self._part is not _Part.V2_INDEX:
            raise InvalidCar("CAR ends inside a block", self._start)
        if self._part is _Part.FRAMES and self._payload_end is not None and self._start < self._payload_end:
            raise InvalidCar("CARv2 ends before its data does", self._start)

    def _blocks(self) -> Iterator[tuple[CID, bytes]]:
        position = 0
        try:
            while True:
                if self._next_part(position) is not _Part.FRAMES:
                    after = self._read_other(position)
                    if after is None:
                        return
                    position = after
                    continue
                self.offset = self._start + position
                found = self._next_frame(position)
                if found is None:
                    return
                cid, start, position = found
                with memoryview(self._buffer) as view:
                    block = bytes(view[start:position])
                yield cid, block
        finally:
            del self._buffer[:position]
            self._start += position

    def _next_part(self, position: int) -> _Part:
        if self._part is _Part.FRAMES and self._payload_end == self._start + position:
            self._part = _Part.V2_INDEX
        return self._part

    def _next_frame(self, position: int) -> tuple[CID, int, int] | None:
        """(CID, start and end of the block) of the frame at `position`, or None if it is not all there yet."""
        length_and_start = self._length_at(position, self._max_frame_bytes)
        if length_and_start is None:
            return None
        length, start = length_and_start
        end = start + length
        if self._payload_end is not None and self._start + end > self._payload_end:
            raise InvalidCar("a block runs past the end of the CARv2 data", self._start + position)
        if end > len(self._buffer):
            return None
        try:
            cid, data_start = cids.read(self._buffer, start)
        except InvalidCid as error:
            raise InvalidCar(str(error), self._start + start) from None
        if data_start > end:
            raise InvalidCar("a frame is shorter than its CID", self._start + position)
        if end - data_start > self._max_block_bytes:
            raise InvalidCar(f"a block is larger than {self._max_block_bytes:,} bytes", self._start + position)
        return cid, data_start, end

    def _length_at(self, position: int, limit: int) -> tuple[int, int] | None:
        """The length prefix at `position` and the offset after it; None if it has not all arrived."""
        head = self._buffer[position : position + varint.MAX_BYTES]
        if len(head) < varint.MAX_BYTES and all(byte >= 0x80 for byte in head):
            return None
        try:
            length, size = varint.decode(head)
        except InvalidVarint as error:
            raise InvalidCar(f"bad length: {error}", self._start + position) from None
        if length == 0:
            raise InvalidCar("zero-length frame", self._start + position)
        if length > limit:
            raise InvalidCar(f"length {length:,} is over the limit of {limit:,} bytes", self._start + position)
        return length, position + size

    def _read_other(self, position: int) -> int | None:
        """Handles whatever stands before or after the frames; returns the offset after it, None to wait for more."""
        available = len(self._buffer) - position
        match self._part:
            case _Part.V2_HEADER:
                return self._read_v2_header(position) if available >= _V2_HEADER_BYTES else None
            case _Part.V2_PADDING:
                return self._skip_padding(position, available)
            case _Part.V2_INDEX:
                return self._skip_index(position, available)
            case _:
                return self._read_header(position)

    def _read_header(self, position: int) -> int | None:
        found = self._length_at(position, self._max_header_bytes)
        if found is None or found[1] + found[0] > len(self._buffer):
            return None
        length, start = found
        at = self._start + position
        if self._payload_end is not None and self._start + start + length > self._payload_end:
            raise InvalidCar("the inner header runs past the end of the CARv2 data", at)
        fields = _decode_header(bytes(self._buffer[start : start + length]), at)
        inner = self._part is _Part.V1_HEADER_IN_V2
        if fields == {"version": 2} and not inner:
            self.version = 2
            self._part = _Part.V2_HEADER
            return start + length
        if fields.get("version") != 1 or isinstance(fields["version"], bool):
            raise InvalidCar(f"CAR version {fields.get('version')!r} is not supported (1 and 2 are)", at)
        roots = fields.get("roots")
        if fields.keys() != {"version", "roots"} or not isinstance(roots, list):
            raise InvalidCar("the header must have version and roots, nothing else", at)
        if not all(isinstance(root, _Root) for root in roots):
            raise InvalidCar("a root is not a CID", at)
        self.roots = tuple(root.cid for root in roots)
        self._part = _Part.FRAMES
        return start + length

    def _read_v2_header(self, position: int) -> int:
        """CARv2 header: characteristics (16 bytes), data offset, data size, index offset (64-bit little endian)."""
        at = self._start + position
        numbers = self._buffer[position + 16 : position + _V2_HEADER_BYTES]
        offset, size, index = (int.from_bytes(numbers[start : start + 8], "little") for start in (0, 8, 16))
        first = at + _V2_HEADER_BYTES
        if not first <= offset <= first + _V2_MAX_PADDING_BYTES:
            raise InvalidCar(f"CARv2 data offset {offset:,} is out of range", at)
        if size == 0 or size >= 1 << 62 or (index and index < offset + size):
            raise InvalidCar("CARv2 data size or index offset is out of range", at)
        self._skip_bytes = offset - first
        self._payload_end = offset + size
        self._part = _Part.V2_PADDING
        return position + _V2_HEADER_BYTES

    def _skip_padding(self, position: int, available: int) -> int | None:
        skipped = min(available, self._skip_bytes)
        self._skip_bytes -= skipped
        if self._skip_bytes == 0:
            self._part = _Part.V1_HEADER_IN_V2
            return position + skipped
        return position + skipped if skipped else None

    def _skip_index(self, position: int, available: int) -> int | None:
        assert self._payload_end is not None
        if self._start + position + available - self._payload_end > self._max_index_bytes:
            raise InvalidCar(f"CARv2 index is larger than {self._max_index_bytes:,} bytes", self._payload_end)
        return position + available if available else None


class _Root:
    """A CID in a header; cbrrr calls this with the bytes after the multibase zero."""

    __slots__ = ("cid",)

    def __init__(self, data: bytes) -> None:
        self.cid = cids.from_bytes(data)


def _decode_header(body: bytes, offset: int) -> dict[str, Any]:
    try:
        fields = cbrrr.decode_dag_cbor(body, cid_ctor=_Root)
    except ValueError as error:  # cbrrr's own, InvalidCid, bad UTF-8
        raise InvalidCar(f"bad header: {error}", offset) from None
    if not isinstance(fields, dict):
        raise InvalidCar("the header is not a map", offset)
    return fields
