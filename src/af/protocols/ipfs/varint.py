"""Unsigned varints (LEB128), as in multiformats (https://github.com/multiformats/unsigned-varint) and protobuf."""

from __future__ import annotations

from af.protocols.ipfs.errors import InvalidVarint

MAX_BYTES = 9  # multiformats: at most 63 bits


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_TWO_BYTES = 1 << 14
_SMALL = [_encode(value) for value in range(_TWO_BYTES)]  # most lengths and sizes; ~0.6 MB, made once


def encode(value: int) -> bytes:
    """The shortest encoding of `value` (0 <= value < 2**63)."""
    if 0 <= value < _TWO_BYTES:
        return _SMALL[value]
    if not 0 <= value < 1 << 63:
        raise InvalidVarint(f"{value} does not fit an unsigned varint of 63 bits")
    return _encode(value)


def size(value: int) -> int:
    """How many bytes `encode(value)` takes."""
    return max(1, (value.bit_length() + 6) // 7)


def decode(buffer: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """Reads a varint at `offset`; returns it and the offset after it. Refuses padding and more than 63 bits."""
    end = min(len(buffer), offset + MAX_BYTES)
    value = shift = 0
    for position in range(offset, end):
        byte = buffer[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise InvalidVarint("varint is not minimal")
            return value, position + 1
        shift += 7
    raise InvalidVarint("varint is cut short" if end - offset < MAX_BYTES else "varint is longer than 9 bytes")
