"""The segment store by itself: files, compaction, several writers."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.errors import BlockCorrupt
from tests.unit.storage.stores import ADA, assert_all, blocks, flip, nothing, opened, segments

# --- files -----------------------------------------------------------------------------------------------------------


async def test_a_segment_is_a_car(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(3)
    await store.put(stored, scope=ADA)
    await store.close()
    reader = car.CarReader()
    (segment,) = segments(tmp_path)
    assert sorted(reader.feed(segment.read_bytes())) == sorted(stored)
    reader.finish()


async def test_restarts_go_on_in_the_same_segment(tmp_path: Path, clock: FixedClock) -> None:
    stored = blocks(5)
    for one in stored:
        store = opened(tmp_path, clock)
        await store.put([one], scope=ADA)
        await store.close()
    assert len(segments(tmp_path)) == 1
    store = opened(tmp_path, clock)
    await assert_all(store, stored)
    await store.close()


async def test_a_full_segment_is_followed_by_another(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock, segment_bytes=10_000)
    stored = blocks(40)
    for one in stored:
        await store.put([one], scope=ADA)
    assert len(segments(tmp_path)) == 4
    await assert_all(store, stored)
    await store.close()


async def test_a_store_that_only_reads_makes_no_segment(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    assert await store.missing([blocks(1)[0][0]], scope=ADA) != []
    await store.close()
    assert segments(tmp_path) == []


async def test_puts_that_wait_are_written_together(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(30)
    counts = await asyncio.gather(*(store.put([one], scope=ADA) for one in stored))
    assert counts == [1] * 30
    await assert_all(store, stored)
    await store.close()


# --- compaction ------------------------------------------------------------------------------------------------------


async def test_compaction_gives_room_back_and_keeps_live_blocks(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock, segment_bytes=20_000)
    stored = blocks(60)
    for one in stored:
        await store.put([one], scope=ADA)
    before = sum(path.stat().st_size for path in segments(tmp_path))
    kept = stored[::5]

    async def marks() -> AsyncIterator[Sequence[CID]]:
        yield [cid for cid, _ in kept]

    clock.advance(timedelta(hours=1))
    swept = await store.collect(marks(), untouched_since=clock.now(), dry_run=False)
    after = sum(path.stat().st_size for path in segments(tmp_path))
    assert swept.blocks == 48
    assert swept.freed_bytes > 0
    assert after < before / 2
    await assert_all(store, kept)
    await store.close()
    store = opened(tmp_path, clock)
    await assert_all(store, kept)
    assert (await store.scrub()).corrupt == ()
    await store.close()


async def test_readers_never_miss_a_block_that_compaction_moves(tmp_path: Path, clock: FixedClock) -> None:
    """The reader is another store (as in another process) that has looked the blocks up before they move."""
    writer = opened(tmp_path, clock, segment_bytes=20_000)
    reader = opened(tmp_path, clock)
    stored = blocks(60)
    for one in stored:
        await writer.put([one], scope=ADA)
    kept = stored[::6]
    done = asyncio.Event()

    async def read() -> int:
        rounds = 0
        while not done.is_set() or rounds < 2:
            await assert_all(reader, kept)
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    async def marks() -> AsyncIterator[Sequence[CID]]:
        yield [cid for cid, _ in kept]

    task = asyncio.create_task(read())
    clock.advance(timedelta(hours=1))
    assert (await writer.collect(marks(), untouched_since=clock.now(), dry_run=False)).freed_bytes > 0
    done.set()
    assert await task >= 2
    await writer.close()
    await reader.close()


async def test_a_segment_number_is_never_used_again(tmp_path: Path, clock: FixedClock) -> None:
    """Another process may still have the deleted file of that number open."""
    writer, reader = opened(tmp_path, clock), opened(tmp_path, clock)
    old = blocks(1)
    await writer.put(old, scope=ADA)
    await assert_all(reader, old)
    clock.advance(timedelta(hours=1))
    await writer.collect(nothing(), untouched_since=clock.now(), dry_run=False)
    assert segments(tmp_path) == []
    new = blocks(1)
    await writer.put(new, scope=ADA)
    assert [path.name for path in segments(tmp_path)] == ["00000002.car"]
    await assert_all(reader, new)
    await writer.close()
    await reader.close()


async def test_a_damaged_block_is_not_lost_by_compaction(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(10)
    await store.put(stored, scope=ADA)
    flip(segments(tmp_path)[0], stored[0][1])

    async def marks() -> AsyncIterator[Sequence[CID]]:
        yield [stored[0][0], stored[1][0]]

    clock.advance(timedelta(hours=1))
    await store.collect(marks(), untouched_since=clock.now(), dry_run=False)
    await assert_all(store, [stored[1]])
    with pytest.raises(BlockCorrupt):
        await store.get(stored[0][0])
    assert await store.put([stored[0]], scope=ADA) == 1
    await assert_all(store, stored[:2])
    await store.close()


# --- several processes -----------------------------------------------------------------------------------------------

_WRITER = """
import asyncio, hashlib, sys
from pathlib import Path
from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.storage.backends.segments import SegmentStore

async def main(folder, name):
    store = SegmentStore(Path(folder), clock=SystemClock(), segment_bytes=100_000)
    for number in range(60):
        own = hashlib.sha512(f"{name}-{number}".encode()).digest() * 10
        shared = hashlib.sha512(f"shared-{number}".encode()).digest() * 10
        await store.put([(cids.of(cids.RAW, data), data) for data in (own, shared)], scope=name)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_four_processes_write_at_once(tmp_path: Path, clock: FixedClock) -> None:
    folder = tmp_path / "blocks"
    names = [f"writer{n}" for n in range(4)]
    running = [await asyncio.create_subprocess_exec(sys.executable, "-c", _WRITER, folder, name) for name in names]
    assert await asyncio.gather(*(process.wait() for process in running)) == [0] * 4

    store = opened(folder, clock)
    wanted = [f"{name}-{number}" for name in (*names, "shared") for number in range(60)]
    for text in wanted:
        data = hashlib.sha512(text.encode()).digest() * 10
        assert await store.get(cids.of(cids.RAW, data)) == data
    shared = [cids.of(cids.RAW, hashlib.sha512(f"shared-{n}".encode()).digest() * 10) for n in range(60)]
    for name in names:
        assert await store.missing(shared, scope=name) == []
    assert (await store.stats()).blocks == len(wanted)
    await store.close()
