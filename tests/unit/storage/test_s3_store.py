"""Blocks in a bucket that several machines share, on a real S3 server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.storage.errors import BlockCorrupt, BlockMissing, BucketUnreachable, StoreFailed
from tests.support import s3
from tests.support.s3_machines import Machines
from tests.unit.storage.stores import ADA, assert_all, blocks

BOB = "prj_bob"
pytestmark = pytest.mark.s3


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


# --- machines --------------------------------------------------------------------------------------------------------


async def test_what_one_machine_stores_another_has_at_once(machines: Machines) -> None:
    one, other = await machines.open(), await machines.open()
    stored = [*blocks(20), *blocks(2, 1_500_000), (cids.of(cids.RAW, b""), b"")]
    ids = [cid for cid, _ in stored]
    assert await one.put(stored, scope=ADA) == len(stored)
    await assert_all(other, stored)
    assert await other.missing(ids, scope=ADA) == []
    assert await other.missing(ids, scope=BOB) == ids
    with pytest.raises(BlockMissing):
        await other.get(ids[0], public_only=True)
    await one.publish(ids)
    assert await other.get(ids[0], public_only=True) == stored[0][1]
    assert await other.put(stored, scope=BOB) == 0
    assert len(machines.objects) == 1, "nothing was sent twice"
    assert (await other.stats()).blocks == len(stored)


async def test_the_objects_are_archives_that_any_car_tool_reads(machines: Machines) -> None:
    store = await machines.open()
    stored = blocks(30)
    await store.put(stored, scope=ADA)
    (file,) = machines.objects
    reader = car.CarReader()
    assert dict(reader.feed(file.read_bytes())) == dict(stored)
    reader.finish()


async def test_large_puts_are_cut_into_objects(machines: Machines) -> None:
    store = await machines.open()
    stored = blocks(20, 1_000_000)
    await store.put(stored, scope=ADA)
    assert [file.stat().st_size // 1_000_000 for file in machines.objects].count(9) == 2
    await assert_all(await machines.open(), stored)


async def test_many_who_want_a_block_cause_one_fetch_and_its_neighbours_come_along(machines: Machines) -> None:
    one, other = await machines.open(), await machines.open()
    stored = blocks(100, 4000)
    await one.put(stored, scope=ADA)
    found = await asyncio.gather(*(other.get(stored[0][0]) for _ in range(50)))
    assert set(found) == {stored[0][1]}
    await assert_all(other, stored)
    assert other._reader.fetches == 1
    assert [other.peek(cid) for cid, _ in stored] == [data for _, data in stored]


async def test_a_block_is_forgotten_by_one_who_may_not_wait_for_it(machines: Machines) -> None:
    one, other = await machines.open(), await machines.open()
    stored = blocks(1, 900_000)
    await one.put(stored, scope=ADA)
    asked = [asyncio.create_task(other.get(stored[0][0])) for _ in range(4)]
    await asyncio.sleep(0)
    asked[0].cancel()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes[1:] == [stored[0][1]] * 3


# --- the server is away ----------------------------------------------------------------------------------------------


async def test_without_the_server_what_is_cached_is_served_and_the_rest_says_why(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock
) -> None:
    with s3.running(tmp_path / "server") as server:
        server.create_bucket("blocks-here")
        async with s3.index_url(request, "sqlite", tmp_path) as url:
            machines = Machines(server, "blocks-here", tmp_path, url, clock)
            async with machines.stack:
                one, other = await machines.open(), await machines.open(cache="kept")
                seen, unseen = blocks(1, 700_000), blocks(1, 700_000)
                await one.put([*seen, *unseen], scope=ADA)
                await assert_all(other, seen)
                server.stop()
                restarted = await machines.open(cache="kept")
                await assert_all(restarted, seen)
                with pytest.raises(BucketUnreachable, match="does not answer") as caught:
                    await restarted.get(unseen[0][0])
                assert isinstance(caught.value, StoreFailed)
                assert "AF_S3_ENDPOINT" in caught.value.hint
                with pytest.raises(StoreFailed):
                    await restarted.put(blocks(1), scope=ADA)
                assert server.start()
                await assert_all(restarted, unseen)
                assert await restarted.put(blocks(1), scope=ADA) == 1


# --- damage ----------------------------------------------------------------------------------------------------------


async def test_damage_is_found_and_healed_by_putting_again(machines: Machines) -> None:
    store = await machines.open()
    stored = blocks(5)
    await store.put(stored, scope=ADA)
    (file,) = machines.objects
    content = bytearray(file.read_bytes())
    content[content.index(stored[2][1]) + 7] ^= 1
    file.write_bytes(content)

    other = await machines.open()
    with pytest.raises(BlockCorrupt):
        await other.get(stored[2][0])
    await assert_all(other, [*stored[:2], *stored[3:]])
    report = await other.scrub()
    assert (report.blocks, report.corrupt) == (5, (stored[2][0],))
    assert await other.missing([cid for cid, _ in stored], scope=ADA) == [stored[2][0]]
    assert (await other.stats()).corrupt_blocks == 1
    await other.put([stored[2]], scope=ADA)
    await assert_all(await machines.open(), stored)
    assert (await other.scrub()).corrupt == ()


async def test_a_lost_object_is_damage_too(machines: Machines) -> None:
    store = await machines.open(cache_bytes=0)
    stored = blocks(3)
    await store.put(stored, scope=ADA)
    (file,) = machines.objects
    content = file.read_bytes()
    file.unlink()
    other = await machines.open()
    with pytest.raises(BlockCorrupt):
        await other.get(stored[0][0])
    assert set((await other.scrub()).corrupt) == {cid for cid, _ in stored}
    file.write_bytes(content)
    assert (await other.scrub()).corrupt == ()
    await assert_all(other, stored)
