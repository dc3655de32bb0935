"""Blocks in an S3-compatible bucket that many machines share, found by an index in the platform's database.

    client, refusals   the bucket, over HTTP
    objects            what is in it: batches of blocks as CAR archives
    store              the shared index: where blocks are, who may see them, when they were last wanted
    reading, cache     blocks out of the bucket, through memory and disk
    opening            which bucket belongs to which index; an index made anew
    collecting, claims, scrubbing, timekeeping   upkeep, by one machine at a time

Order of every write: the object's row, the object, the blocks' rows, the answer. So a block's row implies durable
bytes, and what was acknowledged on one machine is found by all others at once. Decision 0027.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from af.core.clock import Clock
from af.core.db import Database
from af.protocols.ipfs.cid import CID, is_identity
from af.storage.backends import Progress, Reachable
from af.storage.backends.s3 import objects, opening, scrubbing
from af.storage.backends.s3.cache import DiskCache
from af.storage.backends.s3.claims import holding
from af.storage.backends.s3.client import Address, Bucket
from af.storage.backends.s3.collecting import Collector
from af.storage.backends.s3.reading import Reader
from af.storage.backends.s3.store import Forgotten, Location, Placement, SharedIndex, Stored
from af.storage.backends.s3.timekeeping import SharedTime
from af.storage.errors import StoreFailed
from af.storage.models import BlockStats, ScrubReport, Swept

_COLLECT_CLAIM = "claim:collect"
_SCRUB_CLAIM = "claim:scrub"
_PUTS_MAX = 16
_ROUNDS_MAX = 5


class S3Store:
    """A `BlockStore` over the bucket at ``address``; ``directory`` holds this machine's cache.

    ``free_bytes_min`` is what the cache leaves of the disk. ``touch_slack_seconds`` is how long a touch is good for
    before `missing` repeats it; it must not exceed the grace period of collections. Call `open` before anything else.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: Address,
        database: Database,
        clock: Clock,
        cache_bytes: int,
        free_bytes_min: int = 64 << 20,
        touch_slack_seconds: float = 0.0,
    ) -> None:
        self._bucket = Bucket(address)
        self._index = SharedIndex(database)
        self._time = SharedTime(clock, self._index.facts)
        self._disk = DiskCache(directory, limit_bytes=cache_bytes, free_bytes_min=free_bytes_min, clock=clock)
        self._reader = Reader(self._index, self._bucket, self._disk)
        self._collector = Collector(self._index, self._bucket, self._time, self._reader)
        self._slack = int(touch_slack_seconds * 1000)
        self._puts = asyncio.Semaphore(_PUTS_MAX)

    async def open(self) -> None:
        """Check that bucket and index belong together; makes a lost index anew, which reads the whole bucket.

        :raises WrongBucket, BucketUnreachable, BucketRefused:
        """
        await opening.open_store(self._index, self._bucket, self._time)

    async def rebuilt(self) -> str:
        return await self._index.facts.get(opening.REBUILT)

    # Reading

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        return self._reader.peek(cid, public_only=public_only)

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        return await self._reader.get(cid, public_only=public_only)

    async def read(self, cid: CID, offset: int, length: int, *, public_only: bool = False) -> bytes:
        return (await self.get(cid, public_only=public_only))[offset : offset + length]

    # Writing

    async def put(self, blocks: Sequence[tuple[CID, bytes]], *, scope: str) -> int:
        wanted = {cid: data for cid, data in blocks if not is_identity(cid)}
        if not wanted:
            return 0
        async with self._puts:
            visible = await self._index.blocks.visible(wanted, scope)
            rows = await self._index.blocks.locate(wanted)
            known = [cid for cid, at in rows.items() if not at.corrupt]
            fresh = {cid: data for cid, data in wanted.items() if cid not in set(known)}
            await self._store(wanted, fresh, known, scope)
        return len(wanted) - len(visible)

    async def _store(self, wanted: dict[CID, bytes], fresh: dict[CID, bytes], known: list[CID], scope: str) -> None:
        """One round; more when a collection takes a known block, or an object that took too long, in between."""
        for _ in range(_ROUNDS_MAX):
            stored, placements = await self._write(fresh)
            try:
                now = await self._time.now()
                vanished = await self._index.blocks.record(stored, placements, known, scope, now)
            except Forgotten:
                continue
            await self._learn(placements, fresh)
            if not vanished:
                return
            fresh, known = {cid: wanted[cid] for cid in vanished}, []
        raise StoreFailed("Blocks could not be stored: collections kept taking them.", hint="Try again.")

    async def _write(self, fresh: dict[CID, bytes]) -> tuple[list[Stored], list[Placement]]:
        """Objects with these blocks, durable."""
        if not fresh:
            return [], []
        built = await asyncio.to_thread(lambda: list(objects.build(fresh.items())))
        await self._index.objects.begin([one.number for one in built], await self._time.now())
        await asyncio.gather(*(self._bucket.put(objects.key_of(one.number), one.body) for one in built))
        placements = [Placement(p.cid, one.number, p.offset, p.length) for one in built for p in one.placed]
        return [Stored(one.number, len(one.body)) for one in built], placements

    async def _learn(self, placements: Sequence[Placement], fresh: dict[CID, bytes]) -> None:
        """Who uploads reads it back soon (the walk before a deployment)."""
        self._reader.learn((p.cid, Location(p.object, p.offset, p.length, False, False)) for p in placements)
        if fresh:
            await asyncio.to_thread(self._disk.put, list(fresh.items()))

    async def missing(self, cids: Sequence[CID], *, scope: str) -> list[CID]:
        asked = list(dict.fromkeys(cids))
        now = await self._time.now()
        visible = await self._index.blocks.visible(asked, scope)
        stale = [cid for cid, touched_at in visible.items() if touched_at < now - self._slack]
        if not await self._index.blocks.touch(stale, now):
            visible = await self._index.blocks.visible(asked, scope)  # a collection took some in between
        return [cid for cid in asked if cid not in visible and not is_identity(cid)]

    async def publish(self, cids: Sequence[CID], *, scope: str | None = None) -> None:
        await self._index.blocks.grant(cids, scope)
        self._reader.forget(cids)

    # Upkeep

    async def collect(self, reachable: Reachable, *, untouched_since: datetime, dry_run: bool) -> Swept:
        async with holding(self._index.facts, _COLLECT_CLAIM, self._time, work="garbage collection"):
            if not dry_run:
                await opening.check_owner(self._index, self._bucket)
            swept = await self._collector.sweep(reachable, untouched_since, dry_run=dry_run)
            freed = 0 if dry_run else await self._collector.compact()
        return replace(swept, freed_bytes=freed)

    async def scrub(self, progress: Progress | None = None) -> ScrubReport:
        async with holding(self._index.facts, _SCRUB_CLAIM, self._time, work="scrub"):
            return await scrubbing.scrub(self._index, self._bucket, progress)

    async def stats(self) -> BlockStats:
        count, dead = await self._index.objects.totals()
        return replace(await self._index.blocks.stats(), segments=count, dead_bytes=dead)

    async def restored(self) -> None:
        await self._index.facts.remove(opening.REBUILT)

    async def close(self) -> None:
        await self._reader.close()
        await self._bucket.close()
        await asyncio.to_thread(self._disk.close)
