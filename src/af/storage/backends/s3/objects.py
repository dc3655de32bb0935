"""The objects in the bucket: CARv1 archives (https://ipld.io/specs/transport/car/carv1/) without roots, written once.

They describe themselves: with the database's index lost, it is made again from them, and any CAR tool reads them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from af.protocols.ipfs import car, varint
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid, InvalidVarint

FOLDER = "objects/"
MARKER = "store.json"
OBJECT_BYTES = 8 << 20
"""An object is closed at the first block that brings it to this size."""
OBJECT_BYTES_MAX = 64 << 20
"""Longer ones are not ours: no block is larger than 16 MiB."""
_FRAME_BYTES_MAX = (16 << 20) + cids.MAX_CID_BYTES


class Placed(NamedTuple):
    """A block in an object; ``offset`` is where its bytes begin, behind the frame's head."""

    cid: CID
    offset: int
    length: int


class Built(NamedTuple):
    """An object ready to be written."""

    number: int
    body: bytes
    placed: tuple[Placed, ...]


def new_number() -> int:
    """A number that no object has had: 63 random bits."""
    return secrets.randbits(63)


def key_of(number: int) -> str:
    return f"{FOLDER}{number:016x}.car"


def number_of(key: str) -> int | None:
    """The inverse of `key_of`; `None` for what is none of ours."""
    name = key.removeprefix(FOLDER).removesuffix(".car")
    try:
        number = int(name, 16)
    except ValueError:
        return None
    return number if key_of(number) == key else None


def build(blocks: Iterable[tuple[CID, bytes]]) -> Iterator[Built]:
    """The blocks as objects of about `OBJECT_BYTES`."""
    parts: list[bytes] = []
    placed: list[Placed] = []
    size = 0
    for cid, data in blocks:
        if not parts:
            parts.append(car.header([]))
            size = len(parts[0])
        head = car.frame_head(cid, len(data))
        placed.append(Placed(cid, size + len(head), len(data)))
        parts += (head, data)
        size += len(head) + len(data)
        if size >= OBJECT_BYTES:
            yield Built(new_number(), b"".join(parts), tuple(placed))
            parts, placed = [], []
    if parts:
        yield Built(new_number(), b"".join(parts), tuple(placed))


def after_header(body: bytes) -> int | None:
    """Where the first frame begins; `None` when the object is no CARv1 of ours."""
    header = car.header([])
    return len(header) if body.startswith(header) else None


def frames(data: bytes, start: int) -> Iterator[Placed]:
    """The whole frames from ``start``, until one is cut short or is none. Blocks are not verified."""
    position = start
    while position < len(data):
        try:
            length, head_end = varint.decode(data, position)
            end = head_end + length
            if not 0 < length <= _FRAME_BYTES_MAX or end > len(data):
                return
            cid, offset = cids.read(data, head_end)
        except (InvalidVarint, InvalidCid):
            return
        if offset > end:
            return
        yield Placed(cid, offset, end - offset)
        position = end
