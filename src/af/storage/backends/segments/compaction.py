"""Upkeep of segments: giving back the room of swept blocks, and re-hashing what is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends import Progress
from af.storage.backends.index import BlockIndex, Location, Placement, as_storage_error
from af.storage.backends.segments import files
from af.storage.backends.segments.catalog import Catalog, Move
from af.storage.backends.segments.writer import hold
from af.storage.models import ScrubReport

_COPY_BYTES = 8 << 20
_PROGRESS_BLOCKS = 1000
_CORRUPT_MAX = 10_000  # listed in a report
_log = structlog.get_logger()


class Appended(NamedTuple):
    """Copies that are durable, and the (number, end) of the segment that has them."""

    placements: Sequence[Placement]
    segment_end: tuple[int, int]


Append = Callable[[Sequence[tuple[CID, bytes]]], Appended]


def compact(directory: Path, index: BlockIndex, catalog: Catalog, append: Append) -> int:
    """Copy the live blocks out of segments that are more than half dead and delete these; returns the bytes freed.

    Copies are durable before the index points to them, and the old file goes after that, so a crash anywhere leaves
    every block readable. A reader that has looked up the old place either has the file open or looks again.
    """
    freed = 0
    live = catalog.live_bytes()
    for number in files.numbers(directory):
        path = files.path_of(directory, number)
        descriptor = hold(path)
        if descriptor is None:
            continue  # being written: its turn comes next time
        try:
            size = os.fstat(descriptor).st_size
            kept = live.get(number, 0)
            if kept * 2 >= size - len(files.HEADER):
                continue
            copied = _copy_live(descriptor, number, index, catalog, append)
            if copied is not None and catalog.retire(number):
                path.unlink()
                files.sync_directory(directory)
                freed += size - copied
        finally:
            os.close(descriptor)
    return max(0, freed)


def _copy_live(descriptor: int, number: int, index: BlockIndex, catalog: Catalog, append: Append) -> int | None:
    """Move the segment's blocks; returns their bytes, or `None` if some are damaged (then the segment stays)."""
    copied = 0
    whole = True
    batch: list[tuple[CID, bytes]] = []
    sources: list[Placement] = []

    def flush() -> None:
        if batch:
            appended = append(batch)
            moves = [Move(old.cid, old, new) for old, new in zip(sources, appended.placements, strict=True)]
            catalog.move(moves, appended.segment_end)
            batch.clear()
            sources.clear()

    held = 0
    for placement in catalog.blocks_in(number):
        data = os.pread(descriptor, placement.length, placement.offset)
        if not cids.matches(placement.cid, data):
            at = Location(number, placement.offset, placement.length, 0, 0)
            index.set_corrupt(placement.cid, at, corrupt=True)
            whole = False
            continue
        batch.append((placement.cid, data))
        sources.append(placement)
        copied += len(data)
        held += len(data)
        if held >= _COPY_BYTES:
            flush()
            held = 0
    flush()
    return copied if whole else None


def scrub(index: BlockIndex, reader: files.SegmentReader, progress: Progress | None) -> ScrubReport:
    """Re-hash all blocks in file order; damaged ones are marked, ones found whole again are unmarked."""
    connection = index.open_connection()
    try:
        with as_storage_error():
            # A copy, so that no read transaction stays open for hours and keeps the index's log from being folded in.
            connection.execute(
                "CREATE TEMP TABLE todo AS SELECT cid FROM blocks WHERE segment IS NOT NULL ORDER BY segment, offset"
            )
            total = connection.execute("SELECT count(*) FROM todo").fetchone()[0]
            rows = connection.execute("SELECT cid FROM todo ORDER BY rowid")
        blocks = size = 0
        corrupt: list[CID] = []
        for (cid,) in rows:
            checked = _check(index, reader, CID(cid))
            if checked is not None:
                blocks += 1
                size += checked.length
                if checked.corrupt and len(corrupt) < _CORRUPT_MAX:
                    corrupt.append(CID(cid))
            if progress is not None and blocks % _PROGRESS_BLOCKS == 0:
                progress(blocks, total)
        if progress is not None:
            progress(blocks, total)
        if corrupt:
            _log.error("damaged blocks found", count=len(corrupt), first=cids.to_text(corrupt[0]))
        return ScrubReport(blocks=blocks, bytes=size, corrupt=tuple(corrupt))
    finally:
        index.close_connection(connection)


def _check(index: BlockIndex, reader: files.SegmentReader, cid: CID) -> Location | None:
    """The block's place with ``corrupt`` as found now; `None` when it was swept meanwhile."""
    location = index.locate(cid)
    while location is not None and location.segment is not None:
        data = b""
        with contextlib.suppress(FileNotFoundError, OSError):  # unreadable is damaged
            data = reader.read(location.segment, location.offset, location.length)
        whole = cids.matches(cid, data)
        again = index.locate(cid)
        if again is not None and (again.segment, again.offset) != (location.segment, location.offset):
            location = again  # compaction moved it while we read
            continue
        if whole == bool(location.corrupt):
            index.set_corrupt(cid, location, corrupt=not whole)
        return None if again is None else location._replace(corrupt=int(not whole))
    return None
