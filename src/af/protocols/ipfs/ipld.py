"""Paths through blocks of dag-cbor and dag-json (https://ipld.io/docs/data-model/pathing/): maps by key, lists by
number, on through links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from af.protocols.ipfs import dagjson
from af.protocols.ipfs.cid import CID


def follow(codec: int, block: bytes, segments: Sequence[bytes]) -> tuple[CID | None, tuple[bytes, ...] | None]:
    """Where ``segments`` lead from ``block``: the first link on the way and what is left of them behind it. Without a
    link: ``(None, segments)`` when they end inside of the block, ``(None, None)`` when nothing is there.

    :raises InvalidBlock, UnsupportedCodec:
    """
    value: Any = dagjson.decode_block(codec, block)
    for taken, segment in enumerate(segments):
        value = _below(value, segment)
        if value is _ABSENT:
            return None, None
        if isinstance(value, dagjson.Link):
            return value.cid, tuple(segments[taken + 1 :])
    return None, tuple(segments)


_ABSENT: Any = object()


def _below(value: Any, segment: bytes) -> Any:
    if isinstance(value, dict):
        return value.get(segment.decode("utf-8", "surrogateescape"), _ABSENT)
    if isinstance(value, list) and segment.isdigit() and len(segment) < 10 and int(segment) < len(value):
        return value[int(segment)]
    return _ABSENT
