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
from af.protocols.ipfs.datamodel import BLOCK_BYTES_MAX, Link, Value, check, check_depth, walk
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded


def decode(block: bytes) -> Value:
    """The value of a dag-cbor block.

    :raises InvalidBlock: not dag-cbor.
    :raises LimitExceeded: larger than a block may be, or too deep.
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
    try:
        value: Any = cbrrr.decode_dag_cbor(block, cid_ctor=to_link)
    except ValueError as error:  # cbrrr's own, InvalidCid, bad UTF-8
        raise InvalidBlock(f"CBOR: {error}") from None
    check_depth(value)
    found: Value = value
    return found


def _link(data: bytes) -> Link:
    return Link(CID(cids.from_bytes(data)))


def _no_link(_: bytes) -> NoReturn:
    raise InvalidBlock("CBOR: tag 42 (a link) is not allowed here")


def _as_any(value: Value) -> Any:
    return value
