"""Segment stores on a disk that lies or is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.storage.errors import BlockCorrupt, StorageFull
from tests.unit.storage.stores import ADA, Block, assert_all, blocks, flip, nothing, opened, segments


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
