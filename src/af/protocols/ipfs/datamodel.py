"""The IPLD data model (https://ipld.io/docs/data-model/): what a block of dag-cbor, dag-json or dag-pb says, whatever
bytes it says it with.

Python's own types carry it: `None`, `bool`, `int`, `float`, `str`, `bytes`, `list`, `dict` with `str` keys, and `Link`
for a CID. Values come from hostile blocks, so nothing here recurses and nothing is deeper than `DEPTH_MAX`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded

DEPTH_MAX = 256
"""How many lists and maps may be inside of one another. Python's JSON reader stops at about 1,000 by itself."""
BLOCK_BYTES_MAX = 2 << 20
VALUES_MAX = 200_000
"""How many values one block may hold. Two million empty lists fit a block; as objects they take 110 MB and a second."""
INT_MIN, INT_MAX = -(1 << 64), (1 << 64) - 1
"""What dag-cbor can write; Kubo reads integers of 64 bits with a sign only."""


@dataclass(frozen=True, slots=True)
class Link:
    """A CID as a value: the edge to another block."""

    cid: CID

    def __bytes__(self) -> bytes:
        return bytes(self.cid)


Value: TypeAlias = "bool | int | float | str | bytes | Link | list[Value] | dict[str, Value] | None"


def walk(value: Value) -> Iterator[Value]:
    """The value and all below it, level by level; map keys are not given out.

    :raises LimitExceeded: it is deeper than `DEPTH_MAX` (a Python value that contains itself is, too).
    """
    level: list[Value] = [value]
    for _ in range(DEPTH_MAX + 1):
        yield from level
        level = list(chain.from_iterable(_below(level)))
        if not level:
            return
    raise LimitExceeded(f"the value is more than {DEPTH_MAX} levels deep")


def _below(level: list[Value]) -> Iterator[Iterable[Value]]:
    for item in level:
        if isinstance(item, dict):
            yield item.values()
        elif isinstance(item, list):
            yield item


def links(value: Value) -> list[CID]:
    """Every CID in it, repeats kept."""
    return [item.cid for item in walk(value) if isinstance(item, Link)]


def check(value: Value) -> None:
    """Whether the value is one that a codec could write.

    :raises InvalidBlock: an integer beyond 64 bits, NaN or infinity, a string that is not Unicode, another type.
    :raises LimitExceeded: too deep.
    """
    for item in walk(value):
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict):
            for key in item:
                _check_text(key)
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise InvalidBlock("IPLD: NaN and infinity are not values")
        elif isinstance(item, int):
            if not INT_MIN <= item <= INT_MAX:
                raise InvalidBlock("IPLD: an integer does not fit 64 bits and a sign")
        elif not (item is None or isinstance(item, bytes | Link | list)):
            raise InvalidBlock(f"IPLD: {type(item).__name__} is not a kind of value")


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidBlock("IPLD: a map's keys are strings")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidBlock("IPLD: a string has a lone surrogate") from None
