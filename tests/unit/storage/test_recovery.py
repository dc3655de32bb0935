"""Segment stores after a crash, and with a lost or broken index."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import car
from af.storage.backends.segments import files
from af.storage.errors import BlockCorrupt, BlockMissing, StoreFailed
from tests.unit.storage.stores import ADA, Block, assert_all, blocks, opened, segments

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
    assert await store.rebuilt(), "who may see what is not in the segments"
    assert len(await store.missing([cid for cid, _ in stored], scope=ADA)) == 30
    await store.publish([cid for cid, _ in stored], scope=ADA)
    await store.restored()
    assert not await store.rebuilt()
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
