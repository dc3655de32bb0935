"""Blocks in append-only segment files, found by an SQLite index: the embedded block store.

    opening     the lock, the index (rebuilt when gone), recovery after a crash
    writer      the segment this process appends to
    files       reading
    catalog     what the index knows about segments
    compaction  giving the room of swept blocks back

Order of every write: bytes, `fdatasync`, index commit, answer. So an index row implies durable bytes, and what was
acknowledged survives `kill -9` and a power cut. Puts that arrive while another is being written share its sync.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from af.core.clock import Clock
from af.core.errors import Error
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends import Progress, Reachable
from af.storage.backends.index import BlockIndex, Claim, Location, Placement
from af.storage.backends.segments import compaction, files, opening
from af.storage.backends.segments.catalog import Catalog
from af.storage.backends.segments.writer import SegmentWriter
from af.storage.backends.sweep import Sweep, only_one
from af.storage.errors import BlockCorrupt, BlockMissing, StorageFull, StoreFailed
from af.storage.models import BlockStats, ScrubReport, Swept

_GROUP_BYTES = 32 << 20  # written with one sync
_PUTS_MAX = 32  # at once; the others wait their turn
_THREADS = 4
_MOVES_MAX = 3  # times that compaction may move a block while we look for it
T = TypeVar("T")


@dataclass(slots=True)
class _Put:
    blocks: Sequence[tuple[CID, bytes]]
    scope: str
    done: Future[int] = field(default_factory=Future)


class SegmentStore:
    """A `BlockStore` in ``directory``, which several processes may have open at once.

    ``touch_slack_seconds`` is how long a touch is good for before `missing` repeats it; it must not exceed the grace
    period of collections.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        segment_bytes: int = 512 << 20,
        free_bytes_min: int = 64 << 20,
        touch_slack_seconds: float = 0.0,
    ) -> None:
        """Opens the store, which may take a while after a crash. :raises StoreFailed:"""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._clock = clock
        self._slack = int(touch_slack_seconds * 1000)
        self._lock = opening.take_lock(directory)
        try:
            self._index: BlockIndex = opening.open_index(directory, self._lock, clock)
            self._catalog = Catalog(self._index)
            settle = opening.settler(directory, self._catalog, clock)
            opening.recover(directory, settle)
        except BaseException:
            os.close(self._lock)
            raise
        self._reader = files.SegmentReader(directory)
        self._writer = SegmentWriter(
            directory,
            segment_bytes=segment_bytes,
            free_bytes_min=free_bytes_min,
            settle=settle,
            last_number=self._catalog.last_number,
        )
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blocks")
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="blocks-write")
        self._upkeep_thread = ThreadPoolExecutor(1, thread_name_prefix="blocks-upkeep")
        self._scrub_thread = ThreadPoolExecutor(1, thread_name_prefix="blocks-scrub")
        self._waiting: list[_Put] = []
        self._waiting_lock = threading.Lock()
        self._places = asyncio.Semaphore(_PUTS_MAX)

    async def rebuilt(self) -> str:
        return self._index.fact(opening.REBUILT)

    # Reading

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        try:
            location = self._index.locate(cid)
        except StoreFailed:
            return None
        if location is None:
            return cids.digest(cid) if cids.is_identity(cid) else None
        if location.corrupt or (public_only and not location.public) or location.segment is None:
            return None
        return self._reader.read_cached(location.segment, location.offset, location.length)

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        data = self.peek(cid, public_only=public_only)
        if data is not None:
            return data
        return await self._in_thread(partial(self._read, cid, 0, None, public_only))

    async def read(self, cid: CID, offset: int, length: int, *, public_only: bool = False) -> bytes:
        location = self._visible(cid, public_only)
        if location is not None and location.segment is not None:
            wanted = max(0, min(length, location.length - offset))
            data = self._reader.read_cached(location.segment, location.offset + offset, wanted)
            if data is not None:
                return data
        return await self._in_thread(partial(self._read, cid, offset, length, public_only))

    def _visible(self, cid: CID, public_only: bool) -> Location | None:
        """Where the block is; `None` for an identity CID, which holds its own bytes."""
        location = self._index.locate(cid)
        if location is None and cids.is_identity(cid):
            return None
        if location is None or (public_only and not location.public):
            raise BlockMissing(cid)
        if location.corrupt:
            raise BlockCorrupt(cid)
        return location

    def _read(self, cid: CID, offset: int, length: int | None, public_only: bool) -> bytes:
        """``length`` `None` means to the end of the block."""
        for _ in range(_MOVES_MAX):
            location = self._visible(cid, public_only)
            if location is None:
                return cids.digest(cid)[offset:][:length]
            assert location.segment is not None
            rest = max(0, location.length - offset)
            wanted = rest if length is None else min(length, rest)
            try:
                data = self._reader.read(location.segment, location.offset + offset, wanted)
            except FileNotFoundError:
                continue  # compacted away since we looked: look again
            except OSError as error:
                raise StoreFailed("A block could not be read.", detail=f"{location}: {error}") from error
            if len(data) < wanted:
                raise BlockCorrupt(cid, detail=f"{location} ends early")
            return data
        raise BlockCorrupt(cid, detail=f"{location}: the segment is gone")

    # Writing

    async def put(self, blocks: Sequence[tuple[CID, bytes]], *, scope: str) -> int:
        async with self._places:
            return await asyncio.wrap_future(self._submit(blocks, scope))

    def _submit(self, blocks: Sequence[tuple[CID, bytes]], scope: str) -> Future[int]:
        put = _Put([block for block in blocks if not cids.is_identity(block[0])], scope)
        with self._waiting_lock:
            self._waiting.append(put)
        self._write_thread.submit(self._write_group)
        return put.done

    def _write_group(self) -> None:
        """Write what is waiting, as one group; each put submits one call, most find nothing left to do."""
        group = self._take_group()
        if not group:
            return
        try:
            self._store(group)
        except (Error, OSError) as error:
            _fail(group, error)
        except BaseException as error:
            _fail(group, error)
            raise
        finally:
            with self._waiting_lock:
                idle = not self._waiting
            if idle:
                self._writer.close()

    def _take_group(self) -> list[_Put]:
        with self._waiting_lock:
            group: list[_Put] = []
            size = 0
            while self._waiting and (not group or size < _GROUP_BYTES):
                put = self._waiting.pop(0)
                if not put.done.set_running_or_notify_cancel():
                    continue  # who asked is gone; from here on it cannot be cancelled
                size += sum(len(data) for _, data in put.blocks)
                group.append(put)
        return group

    def _store(self, group: list[_Put]) -> None:
        """Make the group durable and answer it."""
        blocks = {cid: data for put in group for cid, data in put.blocks}
        answers = [self._count_new(put) for put in group]
        claims = [Claim(put.scope, list({cid for cid, _ in put.blocks})) for put in group]
        known = [cid for cid in blocks if (at := self._index.locate(cid)) is not None and not at.corrupt]
        vanished = set(blocks).difference(known)
        while vanished or known:
            # One round, or two when a collection takes a known block in between.
            fresh = [(cid, blocks[cid]) for cid in vanished]
            placements = self._writer.append(fresh) if fresh else []
            end = (self._writer.number, self._writer.end) if fresh else None
            try:
                vanished = self._index.record(placements, known, claims, segment_end=end, now=self._now())
            except StorageFull:
                self._take_back(placements)
                raise
            known = []
        for put, answer in zip(group, answers, strict=True):
            put.done.set_result(answer)

    def _take_back(self, placements: Sequence[Placement]) -> None:
        """Give the room back, once it is certain that the index did not keep the rows."""
        if placements:
            first = placements[0]
            location = self._index.locate(first.cid)
            if location is None or (location.segment, location.offset) != (first.segment, first.offset):
                self._writer.take_back()

    def _count_new(self, put: _Put) -> int:
        wanted = {cid for cid, _ in put.blocks}
        return len(wanted) - len(self._index.visible(wanted, put.scope))

    async def missing(self, cids: Sequence[CID], *, scope: str) -> list[CID]:
        return await self._in_thread(partial(self._index.missing, cids, scope, self._now(), self._slack))

    async def publish(self, cids: Sequence[CID], *, scope: str | None = None) -> None:
        await self._in_thread(partial(self._index.grant, cids, scope))

    # Upkeep

    async def collect(self, reachable: Reachable, *, untouched_since: datetime, dry_run: bool) -> Swept:
        run = partial(asyncio.get_running_loop().run_in_executor, self._upkeep_thread)
        with only_one(self._directory):
            sweep = await run(Sweep, self._index)
            try:
                async for batch in reachable:
                    await run(sweep.mark, batch)
                cutoff = int(untouched_since.timestamp() * 1000)
                swept = await run(partial(_sweep, sweep, cutoff, dry_run))
            finally:
                await run(sweep.close)
            freed = 0 if dry_run else await run(self._compact)
        return replace(swept, freed_bytes=freed)

    def _compact(self) -> int:
        def append(blocks: Sequence[tuple[CID, bytes]]) -> compaction.Appended:
            return self._write_thread.submit(self._append_copies, blocks).result()

        try:
            return compaction.compact(self._directory, self._index, self._catalog, append)
        finally:
            self._write_thread.submit(self._writer.close).result()

    def _append_copies(self, blocks: Sequence[tuple[CID, bytes]]) -> compaction.Appended:
        placements = self._writer.append(blocks)
        return compaction.Appended(placements, (self._writer.number, self._writer.end))

    async def scrub(self, progress: Progress | None = None) -> ScrubReport:
        def check() -> ScrubReport:
            return compaction.scrub(self._index, self._reader, progress)

        with only_one(self._directory, "scrub"):
            return await asyncio.get_running_loop().run_in_executor(self._scrub_thread, check)

    async def stats(self) -> BlockStats:
        return await self._in_thread(self._stats)

    def _stats(self) -> BlockStats:
        numbers = files.numbers(self._directory)
        size = 0
        for number in numbers:
            try:
                size += files.path_of(self._directory, number).stat().st_size - len(files.HEADER)
            except FileNotFoundError:
                continue
        live = sum(self._catalog.live_bytes().values())
        return replace(self._index.stats(), segments=len(numbers), dead_bytes=max(0, size - live))

    async def restored(self) -> None:
        await self._in_thread(partial(self._index.set_fact, opening.REBUILT, None))

    async def close(self) -> None:
        """Finish what is under way; free files and locks. The store cannot be used afterwards."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close` for callers without an event loop."""
        self._upkeep_thread.shutdown(wait=True)
        self._scrub_thread.shutdown(wait=True)
        self._write_thread.shutdown(wait=True)
        self._threads.shutdown(wait=True)
        self._writer.close()
        self._reader.close()
        self._index.close()
        os.close(self._lock)

    def _now(self) -> int:
        return opening.milliseconds(self._clock)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _fail(group: list[_Put], error: BaseException) -> None:
    for put in group:
        if not put.done.done():
            put.done.set_exception(error)


def _sweep(sweep: Sweep, cutoff: int, dry_run: bool) -> Swept:
    blocks = size = 0
    for batch in sweep.sweep(cutoff, dry_run=dry_run):
        blocks += len(batch)
        size += sum(removed.length for removed in batch)
    return Swept(blocks=blocks, bytes=size)
