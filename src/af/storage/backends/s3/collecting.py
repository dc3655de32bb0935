"""Garbage collection over a shared bucket, safe on several machines.

Blocks: as in `backends.sweep`, whose proof holds here word for word. Every DELETE tests ``touched_at`` itself, and
times are the database's clock, with a margin for what is left of the difference between machines.

Objects: a put commits the object's row before it writes the object, and its blocks' rows (with the row marked whole)
after. So an object whose row was never there, or has gone, will never be pointed at, and may be deleted:

- rows that stayed unfinished for an hour go first; a put that was only slow finds its row gone and writes again;
- whole objects that no block is in lose their row by a statement that checks that, then the object is deleted;
- objects in the bucket without a row are what a crash left between the two.

A reader that looked up a place before a block moved gets "no such object" and looks again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends import Reachable
from af.storage.backends.s3 import objects
from af.storage.backends.s3.client import Bucket
from af.storage.backends.s3.reading import Reader
from af.storage.backends.s3.store import Forgotten, Move, Placement, SharedIndex, Stored, Usage
from af.storage.backends.s3.timekeeping import SharedTime
from af.storage.errors import StorageFull
from af.storage.models import Swept

_PAGE_BLOCKS = 2000
_ABANDONED_MILLISECONDS = 3_600_000
_ORPHAN_AGE = timedelta(days=1)
_SMALL_BYTES = 1 << 20
_SMALL_OBJECTS = 8  # so many small objects are worth being written as one
_DELETES_AT_ONCE = 8
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Collector:
    index: SharedIndex
    bucket: Bucket
    time: SharedTime
    reader: Reader

    async def sweep(self, reachable: Reachable, untouched_since: datetime, *, dry_run: bool) -> Swept:
        """Remove the rows of blocks that are neither reachable nor touched since (dry: count them)."""
        await self.time.check(anew=True)
        cutoff = await self.time.at(untouched_since) - self.time.margin
        marks = await asyncio.to_thread(_Marks)
        blocks = size = 0
        try:
            async for batch in reachable:
                await asyncio.to_thread(marks.add, batch)
            after = b""
            while page := await self.index.blocks.page(after, _PAGE_BLOCKS):
                after = page[-1]
                unreachable = await asyncio.to_thread(marks.absent, page)
                take = self.index.blocks.unwanted if dry_run else self.index.blocks.remove
                removed = await take(unreachable, cutoff)
                if not dry_run:
                    self.reader.forget(row.cid for row in removed)
                blocks += len(removed)
                size += sum(row.length for row in removed)
        finally:
            await asyncio.to_thread(marks.close)
        return Swept(blocks=blocks, bytes=size)

    async def compact(self) -> int:
        """Delete objects that nothing is in, write anew what is mostly dead or small; returns the bytes freed."""
        abandoned = await self.index.objects.forget_abandoned(await self.time.now() - _ABANDONED_MILLISECONDS)
        await self._delete(abandoned)
        freed = 0
        wasteful = await self.index.objects.wasteful(small_bytes=_SMALL_BYTES)
        empty = [usage for usage in wasteful if not usage.live_bytes]
        freed += await self._drop(empty)
        half_dead = [usage for usage in wasteful if usage.live_bytes and usage.live_bytes * 2 < usage.size]
        small = [usage for usage in wasteful if usage.live_bytes and usage.live_bytes * 2 >= usage.size]
        freed += await self._rewrite([*half_dead, *(small if len(small) + len(half_dead) >= _SMALL_OBJECTS else ())])
        await self._delete_orphans()
        return max(0, freed)

    async def _rewrite(self, chosen: Sequence[Usage]) -> int:
        """Copy what is in use into new objects and delete the old ones, some at a time; returns the bytes freed. In a
        full bucket that ends early: then what is wholly dead was deleted, and the rest is for the next time."""
        freed = held = 0
        batch: list[tuple[Placement, bytes]] = []
        sources: list[Usage] = []
        for usage in chosen:
            sources.append(usage)
            batch += await self._live_blocks(usage.number)
            held += usage.live_bytes
            if held < objects.OBJECT_BYTES and usage is not chosen[-1]:
                continue
            try:
                written = await self._move(batch)
            except StorageFull as error:
                _log.warning("there is no room to write objects anew", reason=error.detail)
                return freed
            freed += await self._drop(sources) - written
            batch, sources, held = [], [], 0
        return freed

    async def _live_blocks(self, number: int) -> list[tuple[Placement, bytes]]:
        """An object's blocks; damaged ones are marked, and keep the object where it is."""
        body = await self.bucket.get(objects.key_of(number), limit=objects.OBJECT_BYTES_MAX)
        placements = await self.index.blocks.in_object(number)
        sound, damaged = await asyncio.to_thread(_parted, placements, body or b"")
        for placement in damaged:
            await self.index.blocks.set_corrupt(placement, True)
        return sound

    async def _move(self, batch: Sequence[tuple[Placement, bytes]]) -> int:
        """Make copies durable, then point the index at them."""
        written = 0
        for built, moves in await asyncio.to_thread(_copies, batch):
            await self.index.objects.begin([built.number], await self.time.now())
            await self.bucket.put(objects.key_of(built.number), built.body)
            with suppress(
                Forgotten
            ):  # we were away for an hour: the copies are nobody's, the blocks are where they were
                await self.index.blocks.move(Stored(built.number, len(built.body)), moves)
            written += len(built.body)
        return written

    async def _drop(self, chosen: Sequence[Usage]) -> int:
        """Delete those that no block is in (any more); returns their bytes."""
        gone = [usage for usage in chosen if await self.index.objects.forget_unused(usage.number)]
        await self._delete([usage.number for usage in gone])
        return sum(usage.size for usage in gone)

    async def _delete_orphans(self) -> None:
        """Objects that no row tells of, and that are older than a day."""
        oldest = SystemClock().now().astimezone(UTC) - _ORPHAN_AGE
        token = ""
        while True:
            listed, token = await self.bucket.list(objects.FOLDER, token)
            old = [n for each in listed if each.modified < oldest and (n := objects.number_of(each.key)) is not None]
            known = await self.index.objects.known(old)
            await self._delete([number for number in old if number not in known])
            if not token:
                return

    async def _delete(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _DELETES_AT_ONCE):
            some = numbers[start : start + _DELETES_AT_ONCE]
            await asyncio.gather(*(self.bucket.delete(objects.key_of(number)) for number in some))
        if numbers:
            _log.info("objects deleted", count=len(numbers))


def _copies(batch: Sequence[tuple[Placement, bytes]]) -> list[tuple[objects.Built, list[Move]]]:
    """New objects with these blocks, and what moves into each."""
    old = {placement.cid: placement for placement, _ in batch}
    return [
        (built, sorted(Move(old[p.cid], Placement(p.cid, built.number, p.offset, p.length)) for p in built.placed))
        for built in objects.build((placement.cid, data) for placement, data in batch)
    ]


def _parted(placements: Sequence[Placement], body: bytes) -> tuple[list[tuple[Placement, bytes]], list[Placement]]:
    """(blocks that are what their CIDs say, damaged ones)"""
    sound: list[tuple[Placement, bytes]] = []
    damaged: list[Placement] = []
    for placement in placements:
        data = body[placement.offset : placement.offset + placement.length]
        if cids.matches(placement.cid, data):
            sound.append((placement, data))
        else:
            damaged.append(placement)
    return sound, damaged


class _Marks:
    """CIDs that must stay, in a temporary file: memory stays flat for any number of them. Used from one thread at a
    time."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute("CREATE TABLE marks(cid BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, cids: Sequence[CID]) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO marks VALUES (?)", [(cid,) for cid in cids])
        self._connection.execute("COMMIT")

    def absent(self, cids: Sequence[CID]) -> list[CID]:
        find = partial(self._connection.execute, "SELECT 1 FROM marks WHERE cid = ?")
        return [cid for cid in cids if find((cid,)).fetchone() is None]

    def close(self) -> None:
        self._connection.close()
