"""The small protobuf messages of libp2p and IPNS, read strictly: one varint or one run of bytes for each field.

Protobuf itself lets the last of two equal fields win and ignores a field of the wrong type. Who signs something should
not be able to show two readers two things, so both are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping

from af.protocols.ipfs import varint
from af.protocols.ipfs.errors import InvalidBlock, InvalidVarint

Field = int | bytes
_VARINT, _BYTES = 0, 2  # protobuf wire types
FIELDS_MAX = 64


def encode(fields: Mapping[int, Field | None]) -> bytes:
    """The message with these fields (number -> value), in the order given; None is left out.

    :raises InvalidVarint: a number outside 0 … 2**63 - 1.
    """
    return b"".join(_encode_field(number, value) for number, value in fields.items() if value is not None)


def _encode_field(number: int, value: Field) -> bytes:
    if isinstance(value, bytes):
        return varint.encode(number << 3 | _BYTES) + varint.encode(len(value)) + value
    return varint.encode(number << 3 | _VARINT) + varint.encode(value)


def decode(data: bytes) -> dict[int, Field]:
    """Field number -> value.

    :raises InvalidBlock: cut short, a field twice, a wire type that none of these messages has, too many fields.
    """
    fields: dict[int, Field] = {}
    position = 0
    try:
        while position < len(data):
            key, position = varint.decode(data, position)
            number, wire = key >> 3, key & 7
            if number in fields or len(fields) >= FIELDS_MAX:
                raise InvalidBlock(f"field {number} is there twice, or there are more than {FIELDS_MAX} fields")
            if wire == _VARINT:
                fields[number], position = varint.decode(data, position)
            elif wire == _BYTES:
                fields[number], position = _read_bytes(data, position)
            else:
                raise InvalidBlock(f"field {number} has wire type {wire}")
    except InvalidVarint as error:
        raise InvalidBlock(f"not a protobuf message: {error}") from None
    return fields


def _read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    length, start = varint.decode(data, position)
    if length > len(data) - start:
        raise InvalidBlock("a field of a protobuf message is cut short")
    return data[start : start + length], start + length
