"""dag-pb nodes and the UnixFS message inside them.

dag-pb is a protobuf with two fields and a fixed order (https://ipld.io/specs/codecs/dag-pb/spec/); UnixFS `Data` is an
ordinary protobuf in the node's Data field (https://specs.ipfs.tech/unixfs/). Written by hand rather than generated: the
byte layout is part of every CID, and decoding must refuse what Kubo refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, InvalidCid, InvalidVarint

MAX_LINKS = 65_536  # a block of 2 MiB cannot hold more real links than this; bounds what hostile bytes make us build

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf wire types


class Link(NamedTuple):
    """One edge of the graph. A tuple because imports and listings make them by the hundred thousand.

    `tsize` is the total size in bytes of everything below, as its maker claimed it: good for display, never for limits.
    """

    cid: CID
    name: bytes
    tsize: int


@dataclass(frozen=True, slots=True)
class Node:
    links: tuple[Link, ...]
    data: bytes | None


class Kind(IntEnum):
    """UnixFS `DataType`."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixFS:
    """UnixFS `Data`. `mtime` is (seconds since 1970, nanoseconds); `mode` holds POSIX permission bits."""

    kind: Kind
    data: bytes | None = None
    size_bytes: int | None = None
    block_sizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    mtime: tuple[int, int] | None = None


# --- encoding ------------------------------------------------------------------------------------------------------


def encode_link(link: Link) -> bytes:
    """A `PBLink` with its field tag, ready to be joined into a node."""
    address, name, tsize = link
    body = b"\x0a%b%b\x12%b%b\x18%b" % (
        varint.encode(len(address)),
        address,
        varint.encode(len(name)),
        name,
        varint.encode(tsize),
    )
    return b"\x12%b%b" % (varint.encode(len(body)), body)


def encoded_link_size(link: Link) -> int:
    """`len(encode_link(link))`, without building it."""
    address, name = len(link.cid), len(link.name)
    body = 3 + varint.size(address) + address + varint.size(name) + name + varint.size(link.tsize)
    return 1 + varint.size(body) + body


def encode_node(links: Iterable[Link], data: bytes | None) -> bytes:
    """A dag-pb block. Links are written in the order given: sorting is the caller's (file links keep file order)."""
    encoded = b"".join(map(encode_link, links))
    return encoded if data is None else b"%b\x0a%b%b" % (encoded, varint.encode(len(data)), data)


def encode_unixfs(message: UnixFS) -> bytes:
    parts = [b"\x08", varint.encode(message.kind)]
    if message.data is not None:
        parts += (b"\x12", varint.encode(len(message.data)), message.data)
    if message.size_bytes is not None:
        parts += (b"\x18", varint.encode(message.size_bytes))
    for size_bytes in message.block_sizes:
        parts += (b"\x20", varint.encode(size_bytes))
    if message.hash_type is not None:
        parts += (b"\x28", varint.encode(message.hash_type))
    if message.fanout is not None:
        parts += (b"\x30", varint.encode(message.fanout))
    if message.mode is not None:
        parts += (b"\x38", varint.encode(message.mode))
    if message.mtime is not None:
        encoded = _encode_mtime(*message.mtime)
        parts += (b"\x42", varint.encode(len(encoded)), encoded)
    return b"".join(parts)


def _encode_mtime(seconds: int, nanoseconds: int) -> bytes:
    encoded = b"\x08" + _encode_int64(seconds)
    return encoded + b"\x15" + nanoseconds.to_bytes(4, "little") if nanoseconds else encoded


def _encode_int64(value: int) -> bytes:
    if value >= 0:
        return varint.encode(value)
    low = value & (1 << 63) - 1  # a negative int64 is ten bytes of two's complement
    return bytes(low >> shift & 0x7F | 0x80 for shift in range(0, 63, 7)) + b"\x01"


# --- decoding ------------------------------------------------------------------------------------------------------


def decode_node(block: bytes) -> Node:
    """Reads a dag-pb block. Raises InvalidBlock on anything but Links and at most one Data, not interleaved.

    Data before Links is accepted, as the spec asks of decoders: old writers made such blocks.
    """
    links: list[Link] = []
    data: bytes | None = None
    links_closed = False
    position, end = 0, len(block)
    while position < end:
        tag = block[position]
        start, position = _length_delimited(block, position + 1, end)
        if tag == 0x12:
            if links_closed:
                raise InvalidBlock("dag-pb: Links are interleaved with Data")
            if len(links) >= MAX_LINKS:
                raise InvalidBlock(f"dag-pb: more than {MAX_LINKS} links")
            links.append(_decode_link(block, start, position))
        elif tag == 0x0A:
            if data is not None:
                raise InvalidBlock("dag-pb: Data appears twice")
            data = block[start:position]
            links_closed = bool(links)
        else:
            raise InvalidBlock(f"dag-pb: unexpected field tag 0x{tag:02x}")
    return Node(tuple(links), data)


def _decode_link(block: bytes, position: int, end: int) -> Link:
    """Fields in order Hash, Name, Tsize, each at most once; Hash is required."""
    if position >= end or block[position] != 0x0A:
        raise InvalidBlock("dag-pb: a link does not begin with its Hash")
    start, position = _length_delimited(block, position + 1, end)
    try:
        address = cids.from_bytes(block[start:position])
    except InvalidCid as error:
        raise InvalidBlock(f"dag-pb: bad link: {error}") from None
    name, tsize = b"", 0
    if position < end and block[position] == 0x12:
        start, position = _length_delimited(block, position + 1, end)
        name = block[start:position]
    if position < end and block[position] == 0x18:
        tsize, position = _varint(block, position + 1, end)
    if position != end:
        raise InvalidBlock("dag-pb: a link has unexpected, repeated or misplaced fields")
    return Link(address, name, tsize)


def decode_unixfs(data: bytes | None) -> UnixFS:
    """Reads the UnixFS message in a node's Data. Unknown fields are skipped, as in protobuf. Raises InvalidBlock."""
    if data is None:
        raise InvalidBlock("UnixFS: the node has no Data")
    numbers: dict[int, int] = {}  # the singular varint fields; protobuf: the last one wins
    block_sizes: list[int] = []
    content: bytes | None = None
    mtime: tuple[int, int] | None = None
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position, end)
        field, wire = tag >> 3, tag & 7
        start, position = _skip(data, position, end, wire)
        if (field in _NUMBER_FIELDS and wire == _VARINT) or (field == 4 and wire == _VARINT):
            value, _ = _varint(data, start, end)
            if field == 4:
                block_sizes.append(value)
            else:
                numbers[field] = value
        elif field == 4 and wire == _BYTES:
            block_sizes += _unpack(data, start, position)
        elif field == 2 and wire == _BYTES:
            content = data[start:position]
        elif field == 8 and wire == _BYTES:
            mtime = _decode_mtime(data[start:position])
        elif 1 <= field <= 8 or field == 0:
            raise InvalidBlock(f"UnixFS: field {field} has wire type {wire}")
    return UnixFS(
        kind=_kind(numbers.get(1)),
        data=content,
        size_bytes=numbers.get(3),
        block_sizes=tuple(block_sizes),
        hash_type=numbers.get(5),
        fanout=numbers.get(6),
        mode=numbers.get(7),
        mtime=mtime,
    )


_NUMBER_FIELDS = frozenset({1, 3, 5, 6, 7})  # Type, filesize, hashType, fanout, mode


def _kind(number: int | None) -> Kind:
    if number is None:
        raise InvalidBlock("UnixFS: no Type")
    try:
        return Kind(number)
    except ValueError:
        raise InvalidBlock(f"UnixFS: unknown Type {number}") from None


def _decode_mtime(message: bytes) -> tuple[int, int]:
    seconds: int | None = None
    nanoseconds = 0
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position, end)
        start, position = _skip(message, position, end, tag & 7)
        if tag == 0x08:
            seconds = _int64(message, start, position)
        elif tag == 0x15:
            nanoseconds = int.from_bytes(message[start:position], "little")
        elif tag >> 3 in (0, 1, 2):
            raise InvalidBlock("UnixFS: malformed mtime")
    if seconds is None or nanoseconds > 999_999_999:
        raise InvalidBlock("UnixFS: mtime without seconds, or with a second or more of nanoseconds")
    return seconds, nanoseconds


def _unpack(data: bytes, position: int, end: int) -> list[int]:
    values = []
    while position < end:
        value, position = _varint(data, position, end)
        values.append(value)
    return values


# --- protobuf primitives -------------------------------------------------------------------------------------------


def _varint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    if position < end and buffer[position] < 0x80:
        return buffer[position], position + 1
    try:
        value, position = varint.decode(buffer, position)
    except InvalidVarint as error:
        raise InvalidBlock(f"protobuf: {error}") from None
    if position > end:
        raise InvalidBlock("protobuf: a number runs past the end of its message")
    return value, position


def _length_delimited(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Start and end of the bytes whose length is at `position`."""
    length, start = _varint(buffer, position, end)
    if length > end - start:
        raise InvalidBlock(f"protobuf: a field of {length} bytes runs past the end of its message")
    return start, start + length


def _skip(buffer: bytes, position: int, end: int, wire: int) -> tuple[int, int]:
    """Start and end of a field's value, whatever it is."""
    if wire == _BYTES:
        return _length_delimited(buffer, position, end)
    if wire == _VARINT:
        after = position
        while after < end and buffer[after] >= 0x80 and after - position < varint.MAX_BYTES:
            after += 1
        after += 1
    elif wire in (_FIXED64, _FIXED32):
        after = position + (8 if wire == _FIXED64 else 4)
    else:
        raise InvalidBlock(f"protobuf: wire type {wire} is not supported")
    if after > end:
        raise InvalidBlock("protobuf: a field runs past the end of its message")
    return position, after


def _int64(buffer: bytes, start: int, end: int) -> int:
    """A varint that may be a negative int64, so up to ten bytes."""
    value = 0
    for index in range(start, end):
        value |= (buffer[index] & 0x7F) << 7 * (index - start)
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
