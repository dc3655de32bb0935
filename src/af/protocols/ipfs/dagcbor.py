"""dag-cbor (https://ipld.io/specs/codecs/dag-cbor/spec/) and plain CBOR blocks, read and written by ``cbrrr``.

Strict: the one canonical form, or it is refused. Blocks are addressed by their bytes, so a second spelling of the same
value is somebody's mistake or trick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import cbrrr

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import BLOCK_BYTES_MAX, DEPTH_MAX, VALUES_MAX, Link, Value, check, walk
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded


def decode(block: bytes) -> Value:
    """The value of a dag-cbor block.

    :raises InvalidBlock: not dag-cbor.
    :raises LimitExceeded: larger than a block may be, too many values, or too deep.
    """
    return _decode(block, _link)


def decode_plain(block: bytes) -> Value:
    """The value of a CBOR block (codec 0x51) that keeps to dag-cbor's rules and has no links. Raises as `decode`."""
    return _decode(block, _no_link)


def encode(value: Value) -> bytes:
    """The dag-cbor block of a value; keys are sorted by length, then bytes.

    :raises InvalidBlock: the value is not in the data model.
    :raises LimitExceeded: too deep.
    """
    check(value)
    return cbrrr.encode_dag_cbor(_as_any(value), cid_type=Link)


def encode_plain(value: Value) -> bytes:
    """A CBOR block (codec 0x51). Raises as `encode`, and InvalidBlock for links: CBOR has none."""
    if any(isinstance(item, Link) for item in walk(value)):
        raise InvalidBlock("CBOR: a link cannot be written")
    return encode(value)


def _decode(block: bytes, to_link: Callable[[bytes], Link]) -> Value:
    if len(block) > BLOCK_BYTES_MAX:
        raise LimitExceeded(f"a block of {len(block):,} bytes is larger than {BLOCK_BYTES_MAX:,}")
    _measure(block)
    try:
        value: Any = cbrrr.decode_dag_cbor(block, cid_ctor=to_link)
    except ValueError as error:  # cbrrr's own, InvalidCid, bad UTF-8
        raise InvalidBlock(f"CBOR: {error}") from None
    found: Value = value
    return found


_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}  # RFC 8949 §3: how long what follows the first byte is
_BYTES, _TEXT, _LIST, _MAP, _TAG = 2, 3, 4, 5, 6


def _measure(block: bytes) -> None:
    """Counts values and levels without making them. What is not CBOR is left to the reader to refuse.

    :raises LimitExceeded: more than `VALUES_MAX` values or `DEPTH_MAX` levels.
    """
    left = [1]  # values still to come, of each open list or map
    position = count = 0
    while position < len(block):
        while left and left[-1] == 0:
            left.pop()
        if not left:
            return
        first = block[position]
        kind, argument = first >> 5, first & 31
        position += 1
        if argument >= 24:
            size = _ARGUMENT_BYTES.get(argument)
            if size is None:
                return
            argument = int.from_bytes(block[position : position + size], "big")
            position += size
        if kind == _TAG:
            continue
        left[-1] -= 1
        count += 1
        if kind in (_BYTES, _TEXT):
            position += argument
        elif kind in (_LIST, _MAP):
            left.append(argument if kind == _LIST else 2 * argument)
        if count > VALUES_MAX or len(left) > DEPTH_MAX + 1:
            raise LimitExceeded(f"CBOR: more than {VALUES_MAX:,} values, or {DEPTH_MAX} levels of them")


def _link(data: bytes) -> Link:
    return Link(CID(cids.from_bytes(data)))


def _no_link(_: bytes) -> NoReturn:
    raise InvalidBlock("CBOR: tag 42 (a link) is not allowed here")


def _as_any(value: Value) -> Any:
    return value
