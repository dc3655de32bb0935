"""The segment store by itself: what is on disk, and what happens when the disk or a process fails."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import SegmentStore, files
from af.storage.errors import BlockCorrupt, BlockMissing, StorageFull, StoreFailed

ADA = "prj_ada"
Block = tuple[CID, bytes]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def opened(folder: Path, clock: FixedClock, **options: int) -> SegmentStore:
    return SegmentStore(folder, clock=clock, **{"free_bytes_min": 0, **options})


def blocks(count: int, size: int = 1000) -> list[Block]:
    data = [os.urandom(size) for _ in range(count)]
    return [(cids.of(cids.RAW, part), part) for part in data]


def segments(folder: Path) -> list[Path]:
    return [files.path_of(folder, number) for number in files.numbers(folder)]


async def nothing() -> AsyncIterator[Sequence[CID]]:
    for batch in ():
        yield batch


async def assert_all(store: SegmentStore, stored: Sequence[Block]) -> None:
    for cid, data in stored:
        assert await store.get(cid) == data


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


# --- a crash ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"\x00" * 500, b"\xff" * 40, car.frame(*blocks(1)[0])[:-1], b"\x80"])
async def test_a_torn_tail_is_cut_off_and_the_segment_goes_on(tmp_path: Path, clock: FixedClock, torn: bytes) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(4)
    await store.put(stored, scope=ADA)
    await store.close()
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    with segment.open("ab") as file:
        file.write(torn)

    store = opened(tmp_path, clock)
    assert segment.read_bytes() == whole
    more = blocks(2)
    await store.put(more, scope=ADA)
    await assert_all(store, [*stored, *more])
    await store.close()
    assert segments(tmp_path) == [segment]


async def test_whole_records_behind_the_index_are_indexed_but_belong_to_nobody(
    tmp_path: Path, clock: FixedClock
) -> None:
    store = opened(tmp_path, clock)
    await store.put(blocks(1), scope=ADA)
    await store.close()
    (segment,) = segments(tmp_path)
    late = blocks(1)[0]
    with segment.open("ab") as file:
        file.write(car.frame(*late) + b"\x80\x80")

    store = opened(tmp_path, clock)
    assert await store.get(late[0]) == late[1]
    assert await store.missing([late[0]], scope=ADA) == [late[0]]
    size = segment.stat().st_size
    assert await store.put([late], scope=ADA) == 1
    assert segment.stat().st_size == size, "the bytes were there already"
    await store.close()


async def test_a_segment_that_another_process_writes_is_left_alone(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    await store.put(blocks(1), scope=ADA)
    await store.close()
    (segment,) = segments(tmp_path)
    with segment.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(b"half of a recor")
        writer.flush()
        before = segment.read_bytes()
        store = opened(tmp_path, clock)
        await store.put(blocks(1), scope=ADA)
        assert segment.read_bytes() == before
        assert len(segments(tmp_path)) == 2
        await store.close()


async def test_an_empty_segment_left_by_a_crash_goes(tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "00000001.car").write_bytes(b"")
    (tmp_path / "00000002.car").write_bytes(files.HEADER[:5])
    store = opened(tmp_path, clock)
    assert segments(tmp_path) == []
    await store.close()


# --- a lost or broken index ------------------------------------------------------------------------------------------


async def filled(folder: Path, clock: FixedClock) -> list[Block]:
    store = opened(folder, clock, segment_bytes=8_000)
    stored = blocks(30)
    for start in range(0, 30, 3):
        await store.put(stored[start : start + 3], scope=ADA)
    await store.close()
    return stored


def rows(folder: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "index.sqlite")
    try:
        found = connection.execute("SELECT cid, segment, offset, length, corrupt FROM blocks ORDER BY cid").fetchall()
        return found + connection.execute("SELECT number, end, state FROM segments ORDER BY number").fetchall()
    finally:
        connection.close()


async def test_a_lost_index_is_made_again_equal(tmp_path: Path, clock: FixedClock) -> None:
    stored = await filled(tmp_path, clock)
    before = rows(tmp_path)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()

    store = opened(tmp_path, clock)
    assert rows(tmp_path) == before
    await assert_all(store, stored)
    assert store.rebuilt, "who may see what is not in the segments"
    assert len(await store.missing([cid for cid, _ in stored], scope=ADA)) == 30
    await store.publish([cid for cid, _ in stored], scope=ADA)
    await store.restored()
    assert not store.rebuilt
    assert await store.missing([cid for cid, _ in stored], scope=ADA) == []
    await store.close()


async def test_a_broken_index_is_kept_aside_and_made_again(tmp_path: Path, clock: FixedClock) -> None:
    stored = await filled(tmp_path, clock)
    (tmp_path / "index.sqlite").write_bytes(b"not a database" * 1000)
    store = opened(tmp_path, clock)
    await assert_all(store, stored)
    assert (tmp_path / "index.sqlite.damaged").exists()
    await store.close()


async def test_a_broken_index_that_others_use_is_an_error(tmp_path: Path, clock: FixedClock) -> None:
    await filled(tmp_path, clock)
    other = opened(tmp_path, clock)
    other._index.close()  # or SQLite sees its own damage through the shared file first
    (tmp_path / "index.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreFailed, match="other processes"):
        await asyncio.to_thread(opened, tmp_path, clock)
    await other.close()


@pytest.mark.parametrize("where", ["length", "cid", "data"])
async def test_a_flipped_byte_costs_one_block_when_the_index_is_made_again(
    tmp_path: Path, clock: FixedClock, where: str
) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(20)
    await store.put(stored, scope=ADA)
    await store.close()
    (segment,) = segments(tmp_path)
    content = bytearray(segment.read_bytes())
    hurt, data = stored[0]
    at = content.index(data)
    content[{"length": at - 38, "cid": at - 20, "data": at + 7}[where]] ^= 0x10
    segment.write_bytes(content)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()

    store = opened(tmp_path, clock)
    for cid, data in stored[1:]:
        assert await store.get(cid) == data
    with pytest.raises((BlockCorrupt, BlockMissing)):
        await store.get(hurt)
    assert await store.put([stored[0]], scope=ADA) == 1
    assert await store.get(hurt) == stored[0][1]
    await store.close()


# --- a bad disk ------------------------------------------------------------------------------------------------------


def flip(segment: Path, data: bytes) -> None:
    at = segment.read_bytes().index(data)
    with segment.open("r+b") as file:
        file.seek(at)
        first = file.read(1)
        file.seek(at)
        file.write(bytes([first[0] ^ 1]))


async def test_scrub_finds_a_flipped_byte_and_a_new_upload_heals_it(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(5)
    await store.put(stored, scope=ADA)
    await store.publish([cid for cid, _ in stored])
    hurt, data = stored[2]
    flip(segments(tmp_path)[0], data)

    assert (await store.scrub()).corrupt == (hurt,)
    assert store.peek(hurt) is None
    with pytest.raises(BlockCorrupt) as caught:
        await store.get(hurt)
    assert caught.value.cid == hurt
    assert await store.missing([cid for cid, _ in stored], scope=ADA) == [hurt], "so that clients send it again"
    assert (await store.stats()).corrupt_blocks == 1

    await store.put([(hurt, data)], scope=ADA)
    assert await store.get(hurt, public_only=True) == data
    assert (await store.scrub()).corrupt == ()
    await store.close()


async def test_a_segment_cut_short_is_noticed(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(3)
    await store.put(stored, scope=ADA)
    await store.close()
    (segment,) = segments(tmp_path)
    os.truncate(segment, segment.stat().st_size - 10)
    store = opened(tmp_path, clock)
    assert len((await store.scrub()).corrupt) == 1
    await store.put(stored, scope=ADA)
    await assert_all(store, stored)
    await store.close()


async def test_too_little_free_disk_refuses_writes_and_serves_on(tmp_path: Path, clock: FixedClock) -> None:
    store = opened(tmp_path, clock)
    stored = blocks(3)
    await store.put(stored, scope=ADA)
    await store.close()
    store = opened(tmp_path, clock, free_bytes_min=1 << 60)
    with pytest.raises(StorageFull):
        await store.put(blocks(1), scope=ADA)
    await assert_all(store, stored)
    assert await store.put(stored, scope=ADA) == 0, "what is there needs no room"
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: cannot mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"CANNOT MOUNT: {done.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.root
async def test_a_full_disk_refuses_whole_puts_and_serves_on(small_disk: Path, clock: FixedClock) -> None:
    store = opened(small_disk, clock)
    stored: list[Block] = []
    refused: list[Block] = []
    for _ in range(40):
        batch = blocks(4, 64 << 10)
        try:
            await store.put(batch, scope=ADA)
            stored += batch
        except StorageFull:
            refused += batch
    assert len(stored) >= 20
    assert refused
    await assert_all(store, stored)
    assert sorted(await store.missing([cid for cid, _ in refused], scope=ADA)) == sorted(cid for cid, _ in refused)
    live = sum(map(len, (data for _, data in stored)))
    assert sum(path.stat().st_size for path in segments(small_disk)) < live + 60 * len(stored) + 4096
    await store.close()
    store = opened(small_disk, clock)
    await assert_all(store, stored)
    assert (await store.scrub()).corrupt == ()
    await store.close()


@pytest.mark.root
async def test_room_made_on_a_full_disk_is_used_again(small_disk: Path, clock: FixedClock) -> None:
    store = opened(small_disk, clock, segment_bytes=256 << 10)
    stored: list[Block] = []
    with pytest.raises(StorageFull):
        for _ in range(100):
            batch = blocks(1, 64 << 10)
            await store.put(batch, scope=ADA)
            stored += batch
    clock.advance(timedelta(hours=1))
    swept = await store.collect(nothing(), untouched_since=clock.now(), dry_run=False)
    assert swept.blocks == len(stored)
    assert swept.freed_bytes > 1 << 20
    again = blocks(8, 64 << 10)
    await store.put(again, scope=ADA)
    await assert_all(store, again)
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
