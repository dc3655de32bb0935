"""Reading segments back without an index: after a crash (the tail), or for a new index (all of it).

What an index row covers was acknowledged. What lies beyond the last indexed byte of a segment that nobody holds was
not: a writer died between its data and its index commit. Whole, verified records there are indexed all the same, seen
by nobody until someone puts the same bytes: that costs nothing, and loses nothing should the index be an older copy.
A torn record at the end is cut off, so that the segment can be written on.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid, InvalidVarint
from af.storage.backends.index import Placement
from af.storage.backends.segments import files

_FRAME_BYTES_MAX = (16 << 20) + cids.MAX_CID_BYTES  # the largest AF_BLOCK_BYTES_MAX
_SEARCHES_MAX = 10_000  # records tried behind a broken one: bounds what crafted content can cost
_MARK = b"\x12\x20"  # sha2-256, 32 bytes: in every CID that we make


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan read. ``end`` is the offset after the last whole record, ``lost_bytes`` lay between records."""

    placements: tuple[Placement, ...]
    corrupt: tuple[Placement, ...]
    end: int
    lost_bytes: int
    size: int


def scan(path: Path, number: int, start: int, *, search: bool) -> Found:
    """All records from ``start`` (0 for the whole file) whose bytes match their CID, and those that do not.

    ``search``: where the framing is broken, look for the next record: a flipped byte costs one block, not the segment.
    Without it the scan ends there (the torn tail after a crash).
    """
    size = path.stat().st_size
    if size <= max(start, len(files.HEADER)):
        return Found((), (), max(start, min(size, len(files.HEADER))), 0, size)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as view:
            return _scan(view, number, max(start, len(files.HEADER)), search)
    finally:
        os.close(descriptor)


def _scan(view: mmap.mmap, number: int, start: int, search: bool) -> Found:
    good: list[Placement] = []
    bad: list[Placement] = []
    position = end = start
    lost = 0
    while position < len(view):
        record = _record_at(view, position)
        if record is not None and _matches(view, *record):
            cid, offset, after = record
            good.append(Placement(cid, number, offset, after - offset))
            position = end = after
            continue
        # The length itself may be what is damaged, so the next record is not looked for where it says, but searched.
        following = _search(view, position + 1) if search else None
        if record is not None and record[2] == (len(view) if following is None else following) and search:
            cid, offset, after = record
            bad.append(Placement(cid, number, offset, after - offset))
            end = after
        elif following is not None:
            lost += following - position
        if following is None:
            break
        position = following
    return Found(tuple(good), tuple(bad), end, lost, len(view))


def _record_at(view: mmap.mmap, position: int) -> tuple[CID, int, int] | None:
    """(CID, start and end of the block) of the frame at ``position``, if one can be there."""
    try:
        length, cid_at = varint.decode(view[position : position + varint.MAX_BYTES])
        if not 0 < length <= _FRAME_BYTES_MAX or position + cid_at + length > len(view):
            return None
        cid, consumed = cids.read(view[position + cid_at : position + cid_at + min(length, cids.MAX_CID_BYTES)])
    except (InvalidVarint, InvalidCid):
        return None
    offset, after = position + cid_at + consumed, position + cid_at + length
    return (cid, offset, after) if offset <= after else None


def _matches(view: mmap.mmap, cid: CID, offset: int, after: int) -> bool:
    return cids.matches(cid, view[offset:after])


def _search(view: mmap.mmap, position: int) -> int | None:
    """Where the next verified record starts, at ``position`` or later."""
    for mark in islice(_marks(view, position), _SEARCHES_MAX):
        for cid_at in (mark - 2, mark):  # version 1 with a one-byte codec, version 0
            for head in range(1, 5):
                record = _record_at(view, cid_at - head) if cid_at - head >= position else None
                if record is not None and record[1] > mark and _matches(view, *record):
                    return cid_at - head
    return None


def _marks(view: mmap.mmap, position: int) -> Iterator[int]:
    while (position := view.find(_MARK, position)) >= 0:
        yield position
        position += 1
