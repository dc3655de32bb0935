"""Collections over a bucket that several machines share, a lost index, a full bucket; on a real S3 server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import car
from af.protocols.ipfs.cid import CID
from af.storage.backends.s3 import S3Store
from af.storage.errors import BlockMissing, StorageFull, StoreBusy, WrongBucket
from tests.support import s3
from tests.support.s3_machines import Machines
from tests.unit.storage.stores import ADA, assert_all, blocks, nothing

pytestmark = pytest.mark.s3


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


async def keep(*kept: CID) -> AsyncIterator[Sequence[CID]]:
    yield kept


async def collect(store: S3Store, clock: FixedClock, *kept: CID) -> int:
    """A collection of what was put until now; returns the bytes freed."""
    clock.advance(timedelta(hours=2))
    return (await store.collect(keep(*kept), untouched_since=clock.now(), dry_run=False)).freed_bytes


# --- collection ------------------------------------------------------------------------------------------------------


async def test_room_is_given_back_and_others_find_what_moved(machines: Machines, clock: FixedClock) -> None:
    one, other = await machines.open(), await machines.open(cache_bytes=0)
    stored = blocks(10, 300_000)
    await one.put(stored, scope=ADA)
    await one.put(gone := blocks(2, 300_000), scope=ADA)
    await other.get(stored[9][0])  # it knows the old place of this one now
    place = await other._index.blocks.locate([stored[1][0]])
    other._reader.learn(place.items())
    before = sum(file.stat().st_size for file in machines.objects)
    freed = await collect(one, clock, stored[0][0], stored[1][0], stored[9][0])
    after = sum(file.stat().st_size for file in machines.objects)
    assert freed == before - after > 2_600_000
    await assert_all(other, [stored[0], stored[1], stored[9]])
    with pytest.raises(BlockMissing):
        await one.get(gone[0][0])
    stats = await one.stats()
    assert (stats.blocks, stats.segments, stats.dead_bytes) == (3, len(machines.objects), len(car.header([])))


async def test_many_small_objects_become_one(machines: Machines, clock: FixedClock) -> None:
    store = await machines.open()
    stored = blocks(12)
    for one in stored:
        await store.put([one], scope=ADA)
    assert len(machines.objects) == 12
    await collect(store, clock, *(cid for cid, _ in stored))
    assert len(machines.objects) == 1
    await assert_all(await machines.open(), stored)
    assert await store.missing([cid for cid, _ in stored], scope=ADA) == []


async def test_two_machines_collect_and_deploy_at_once_and_nothing_is_lost(
    machines: Machines, clock: FixedClock
) -> None:
    one, other = await machines.open(), await machines.open()
    dag = blocks(60)
    ids = [cid for cid, _ in dag]
    await one.put(dag, scope=ADA)
    busy = 0
    for _ in range(6):
        clock.advance(timedelta(hours=1))
        started = clock.now()
        clock.advance(timedelta(seconds=10))

        async def deploy(store: S3Store) -> None:
            absent = set(await store.missing(ids, scope=ADA))
            await store.put([each for each in dag if each[0] in absent], scope=ADA)

        outcomes = await asyncio.gather(
            one.collect(nothing(), untouched_since=started, dry_run=False),
            other.collect(nothing(), untouched_since=started, dry_run=False),
            deploy(one),
            deploy(other),
            return_exceptions=True,
        )
        unexpected = [each for each in outcomes if isinstance(each, BaseException) and not isinstance(each, StoreBusy)]
        assert not unexpected
        busy += sum(isinstance(each, StoreBusy) for each in outcomes)
        for store in (one, other):
            assert await store.missing(ids, scope=ADA) == []
    await assert_all(await machines.open(), dag)
    assert busy, "two collections at once would not have been seen"


async def test_sweeps_of_two_machines_at_once_are_safe_even_without_the_claim(
    machines: Machines, clock: FixedClock
) -> None:
    """A collector that was paused for longer than its claim goes on beside the next one."""
    one, other = await machines.open(), await machines.open()
    dag, garbage = blocks(40), blocks(400)
    await one.put(dag, scope=ADA)
    await one.put(garbage, scope=ADA)
    clock.advance(timedelta(hours=1))
    started = clock.now()
    kept = [cid for cid, _ in dag[:20]]
    swept = await asyncio.gather(
        *(store._collector.sweep(keep(*kept), started, dry_run=False) for store in (one, other))
    )
    assert sum(each.blocks for each in swept) == 420
    await asyncio.gather(*(store._collector.compact() for store in (one, other)))
    await assert_all(await machines.open(), dag[:20])


async def test_a_dead_collector_is_replaced_after_a_minute(machines: Machines, clock: FixedClock) -> None:
    store = await machines.open()
    now = await store._time.now()
    assert await store._index.facts.claim("claim:collect", "somebody-dead", until=now + 60_000, now=now)
    with pytest.raises(StoreBusy):
        await store.collect(nothing(), untouched_since=clock.now(), dry_run=False)
    clock.advance(timedelta(seconds=61))
    await store.collect(nothing(), untouched_since=clock.now(), dry_run=False)


async def test_what_a_crash_left_in_the_bucket_goes(machines: Machines, clock: FixedClock) -> None:
    store = await machines.open()
    kept = blocks(1)
    await store.put(kept, scope=ADA)
    await store._write(dict(blocks(3)))  # the object is there; its maker dies before the index knows its blocks
    without_row = machines.objects[0].with_name(f"{1234567:016x}.car")
    fresh = without_row.with_name(f"{7654321:016x}.car")
    foreign = without_row.with_name("notes.txt")
    for file in (without_row, fresh, foreign):
        file.write_bytes(b"what")
    os.utime(without_row, (1_600_000_000, 1_600_000_000))
    os.utime(foreign, (1_600_000_000, 1_600_000_000))
    await collect(store, clock, kept[0][0])
    assert len(machines.objects) == 2
    assert not without_row.exists()
    assert fresh.exists(), "younger than a day"
    assert foreign.exists(), "not ours"
    await assert_all(await machines.open(), kept)


async def test_a_put_that_was_taken_for_dead_writes_again(machines: Machines) -> None:
    slow, other = await machines.open(), await machines.open()
    stored = blocks(3)
    assert machines.server.process is not None
    machines.server.process.send(signal.SIGSTOP)
    try:
        put = asyncio.create_task(slow.put(stored, scope=ADA))
        async with asyncio.timeout(20):
            while not (taken := await other._index.objects.forget_abandoned(1 << 60)):
                await asyncio.sleep(0.01)
    finally:
        machines.server.process.send(signal.SIGCONT)
    assert await put == 3
    assert len(machines.objects) == 2
    assert await other._index.objects.known(taken) == set(), "the first object is nobody's"
    await assert_all(other, stored)
    assert await other.missing([cid for cid, _ in stored], scope=ADA) == []


# --- a full bucket ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server whose bucket has room for 6 MB."""
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: cannot mount a small file system")
    folder = tmp_path / "server"
    (folder / "data").mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder / "data"], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"NO MOUNT: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder / "data"], check=True)


@pytest.mark.root
async def test_a_full_bucket_refuses_writes_keeps_serving_and_can_be_swept(
    request: pytest.FixtureRequest, small_disk: Path, tmp_path: Path, clock: FixedClock
) -> None:
    with s3.running(small_disk) as server:
        server.create_bucket("blocks-here")
        async with s3.index_url(request, "sqlite", tmp_path) as url:
            machines = Machines(server, "blocks-here", tmp_path, url, clock)
            async with machines.stack:
                store = await machines.open()
                dead, mixed = blocks(2, 900_000), blocks(3, 900_000)
                await store.put(dead, scope=ADA)
                await store.put(mixed, scope=ADA)
                with pytest.raises(StorageFull):
                    await store.put(blocks(2, 900_000), scope=ADA)
                assert (await store.stats()).blocks == 5
                await assert_all(await machines.open(), [*dead, *mixed])
                assert await collect(store, clock, mixed[0][0]) > 3_500_000
                assert await store.put(blocks(2, 900_000), scope=ADA) == 2
                await assert_all(await machines.open(), mixed[:1])


# --- bucket and index ------------------------------------------------------------------------------------------------


async def test_a_lost_index_is_made_again_from_the_bucket(
    request: pytest.FixtureRequest, machines: Machines, clock: FixedClock, tmp_path: Path
) -> None:
    store = await machines.open()
    stored = [*blocks(30), *blocks(3, 900_000)]
    ids = [cid for cid, _ in stored]
    await store.put(stored[:10], scope=ADA)
    await store.put(stored[10:], scope=ADA)
    await store.publish(ids)
    damaged = machines.objects[0]
    damaged.with_name("0000000000000001.car").write_bytes(b"no archive")
    async with s3.index_url(request, "sqlite", tmp_path) as url:
        again, beside = await asyncio.gather(machines.open(url=url), machines.open(url=url))
        await assert_all(again, stored)
        assert await again.rebuilt()
        assert await beside.rebuilt() == await again.rebuilt()
        assert await again.missing(ids, scope=ADA) == ids, "who may see what is not in the bucket"
        await again.publish(ids, scope=ADA)
        await again.restored()
        assert not await beside.rebuilt()
        assert await beside.missing(ids, scope=ADA) == []
        # The database that has lost the bucket deletes nothing from it, and does not start on it again.
        with pytest.raises(WrongBucket, match="nothing is deleted"):
            await collect(store, clock)
        with pytest.raises(WrongBucket, match="taken over"):
            await machines.open()
        await assert_all(again, stored)
        await machines.stack.aclose()


async def test_another_bucket_under_a_known_index_is_refused(machines: Machines) -> None:
    machines.server.create_bucket(f"{machines.bucket}-2")
    store = await machines.open()
    await machines.open(bucket=f"{machines.bucket}-2")  # nothing is stored yet: no harm
    await store.put(blocks(1), scope=ADA)
    machines.server.create_bucket(f"{machines.bucket}-3")
    with pytest.raises(WrongBucket, match="is empty") as caught:
        await machines.open(bucket=f"{machines.bucket}-3")
    assert "store.json" in caught.value.hint
