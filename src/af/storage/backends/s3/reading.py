"""Blocks out of the bucket: through memory and disk, asked for once, neighbours brought along.

What is remembered of the index: where a block is and that it is public. Neither becomes wrong in a way that matters (a
public block stays public until a collection takes it, a moved one is looked up again), so a row is good for a minute,
and for as long as the database does not answer. That a block is missing or hidden is never remembered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from af.core import metrics
from af.core.batch import Batch
from af.core.clock import monotonic
from af.core.errors import Unavailable
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.s3 import objects
from af.storage.backends.s3.cache import DiskCache
from af.storage.backends.s3.client import Bucket
from af.storage.backends.s3.store import Location, SharedIndex
from af.storage.errors import BlockCorrupt, BlockMissing

WINDOW_BYTES = 512 << 10
"""Small blocks are fetched with what follows them: a folder's blocks lie together, and a call costs more than bytes."""
ROW_SECONDS = 60.0
_ROWS_MAX = 50_000
_MEMORY_BYTES = 32 << 20
_BLOCK_BYTES_MAX = 17 << 20
_MOVES_MAX = 3


class _Row(NamedTuple):
    at: Location
    seen: float


class _Flight(NamedTuple):
    """Bytes of an object that are on their way."""

    start: int
    end: int
    task: asyncio.Task[dict[CID, bytes] | None]


class Reader:
    """For one process. ``fetches`` counts calls to the bucket."""

    def __init__(self, index: SharedIndex, bucket: Bucket, disk: DiskCache) -> None:
        self._index = index
        self._bucket = bucket
        self._disk = disk
        self._rows: OrderedDict[CID, _Row] = OrderedDict()
        self._memory: OrderedDict[CID, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._flights: dict[int, list[_Flight]] = {}
        self._asking: Batch[CID, Location] | None = None
        self.fetches = 0

    def peek(self, cid: CID, *, public_only: bool) -> bytes | None:
        """The block if it is in memory and its row is fresh."""
        if cids.is_identity(cid):
            return cids.digest(cid)
        row = self._rows.get(cid)
        if row is None or monotonic() - row.seen > ROW_SECONDS or not _is_seen(row.at, public_only):
            return None
        return self._recall(cid)

    async def get(self, cid: CID, *, public_only: bool) -> bytes:
        """:raises BlockMissing, BlockCorrupt, BucketUnreachable, BucketRefused:"""
        if cids.is_identity(cid):
            return cids.digest(cid)
        at = await self._locate(cid, public_only)
        data, source = self._recall(cid), "memory"
        if data is None:
            data, source = await asyncio.to_thread(self._disk.get, cid), "disk"
            if data is None:
                data, source = await self._fetch(cid, at, public_only), "bucket"
            self._remember(cid, data)
        metrics.counter("af_storage_s3_reads_total").labels(source).inc()
        return data

    async def close(self) -> None:
        """Nothing is on its way any more."""
        tasks = [flight.task for flights in self._flights.values() for flight in flights]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def learn(self, rows: Iterable[tuple[CID, Location]]) -> None:
        """What the index says of blocks."""
        now = monotonic()
        for cid, at in rows:
            self._rows[cid] = _Row(at, now)
            self._rows.move_to_end(cid)
        while len(self._rows) > _ROWS_MAX:
            self._rows.popitem(last=False)

    def forget(self, wanted: Iterable[CID]) -> None:
        """The index has changed."""
        for cid in wanted:
            self._rows.pop(cid, None)

    # The index

    async def _locate(self, cid: CID, public_only: bool, *, anew: bool = False) -> Location:
        known = self._rows.get(cid)
        if known is not None and not anew and _is_seen(known.at, public_only):
            if monotonic() - known.seen <= ROW_SECONDS:
                return known.at
            try:
                at = await self._ask(cid)
            except Unavailable:
                return known.at  # the database is away; what was public still is
        else:
            at = await self._ask(cid)
        if at is None or (public_only and not at.public):
            raise BlockMissing(cid)
        if at.corrupt:
            raise BlockCorrupt(cid)
        return at

    async def _ask(self, cid: CID) -> Location | None:
        """The block's row; those asked for at the same time are one query."""
        if self._asking is None:
            self._asking = Batch(self._load)
            asyncio.get_running_loop().call_soon(self._close_batch)
        at = await self._asking.load(cid)
        if at is None:
            self.forget([cid])
        else:
            self.learn([(cid, at)])
        return at

    def _close_batch(self) -> None:
        self._asking = None

    async def _load(self, wanted: Sequence[CID]) -> dict[CID, Location]:
        return await self._index.blocks.locate(wanted)

    # The bucket

    async def _fetch(self, cid: CID, at: Location, public_only: bool) -> bytes:
        for _ in range(_MOVES_MAX):
            found = await self._flown(cid, at)
            if found is not None:
                if cid not in found:
                    raise BlockCorrupt(cid, detail=f"{objects.key_of(at.object)} at {at.offset} has other bytes")
                return found[cid]
            before = at
            at = await self._locate(cid, public_only, anew=True)  # the object is gone: compacted away since we looked
            if at == before:
                break
        raise BlockCorrupt(cid, detail=f"{objects.key_of(at.object)} is gone")

    async def _flown(self, cid: CID, at: Location) -> dict[CID, bytes] | None:
        """The blocks that come with this one: with something on its way already, or by a new call."""
        end = at.offset + at.length
        for flight in self._flights.get(at.object, ()):
            if flight.start <= at.offset and end <= flight.end:
                found = await asyncio.shield(flight.task)
                if found is None or cid in found:
                    return found
                break  # something broken lies between
        return await asyncio.shield(self._start(cid, at))

    def _start(self, cid: CID, at: Location) -> asyncio.Task[dict[CID, bytes] | None]:
        end = at.offset + max(at.length, WINDOW_BYTES)
        task = asyncio.create_task(self._bring(cid, at, end))
        flight = _Flight(at.offset, end, task)
        self._flights.setdefault(at.object, []).append(flight)
        task.add_done_callback(lambda _: self._land(at.object, flight))
        return task

    def _land(self, number: int, flight: _Flight) -> None:
        flying = self._flights[number]
        flying.remove(flight)
        if not flying:
            del self._flights[number]
        if not flight.task.cancelled():
            flight.task.exception()  # counts as seen: who asked may be gone

    async def _bring(self, cid: CID, at: Location, end: int) -> dict[CID, bytes] | None:
        """The verified blocks in these bytes of the object, kept on disk too; `None`: there is no such object."""
        if at.length == 0:
            return {cid: b""} if cids.matches(cid, b"") else {}
        self.fetches += 1
        limit = max(_BLOCK_BYTES_MAX, end - at.offset)
        data = await self._bucket.get(objects.key_of(at.object), start=at.offset, end=end, limit=limit)
        if data is None:
            return None
        found = await asyncio.to_thread(self._keep, cid, at.length, data)
        with suppress(Unavailable):  # the neighbours' rows in one query, too: they are asked for next
            self.learn((await self._index.blocks.locate(found)).items())
        for neighbour, block in found.items():
            self._remember(neighbour, block)
        return found

    def _keep(self, cid: CID, length: int, data: bytes) -> dict[CID, bytes]:
        found: dict[CID, bytes] = {}
        if len(data) >= length and cids.matches(cid, data[:length]):
            found[cid] = data[:length]
        for placed in objects.frames(data, length):
            block = data[placed.offset : placed.offset + placed.length]
            if cids.matches(placed.cid, block):
                found[placed.cid] = block
        self._disk.put(found.items())
        return found

    # Memory

    def _recall(self, cid: CID) -> bytes | None:
        data = self._memory.get(cid)
        if data is not None:
            self._memory.move_to_end(cid)
        return data

    def _remember(self, cid: CID, data: bytes) -> None:
        if len(data) > _MEMORY_BYTES // 8 or cid in self._memory:
            return
        self._memory[cid] = data
        self._memory_bytes += len(data)
        while self._memory_bytes > _MEMORY_BYTES:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= len(dropped)


def _is_seen(at: Location, public_only: bool) -> bool:
    return not at.corrupt and (at.public or not public_only)
