"""What every block store does: one suite, run for each adapter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.core.http import Client
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends import BlockStore
from af.storage.backends.kubo import KuboStore
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.backends.segments import SegmentStore
from af.storage.errors import BlockMissing, StoreBusy
from af.storage.models import ScrubReport
from tests.support import kubo, s3

ADA, BOB = "prj_ada", "prj_bob"
START = datetime(2026, 1, 1, tzinfo=UTC)
Block = tuple[CID, bytes]


@pytest.fixture(scope="module")
def kubo_node() -> Iterator[kubo.KuboDaemon]:
    binary = kubo.kubo_binary()
    if binary is None:
        pytest.skip(f"NO KUBO: {kubo.why_missing()}")
    with kubo.KuboDaemon(binary) as daemon:
        yield daemon


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


STORES = [
    "segments",
    pytest.param("kubo", marks=pytest.mark.kubo),
    pytest.param("s3-sqlite", marks=pytest.mark.s3),
    pytest.param("s3-postgresql", marks=[pytest.mark.s3, pytest.mark.postgres]),
]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[BlockStore]:
    made: SegmentStore | KuboStore
    if request.param.startswith("s3-"):
        server: s3.S3Server = request.getfixturevalue("s3_server")
        address = server.address(request.getfixturevalue("s3_bucket"))
        async with (
            s3.index_url(request, request.param[3:], tmp_path) as url,
            s3.opened(tmp_path / "cache", address, url, clock) as shared,
        ):
            yield shared
        return
    if request.param == "segments":
        made = SegmentStore(tmp_path / "blocks", clock=clock, segment_bytes=1 << 20)
    else:
        node: kubo.KuboDaemon = request.getfixturevalue("kubo_node")
        made = KuboStore(tmp_path / "blocks", rpc=KuboRpc(node.api_url, Client()), clock=clock)
    yield made
    await made.close()


def block(data: bytes | None = None, codec: int = cids.RAW) -> Block:
    data = os.urandom(100) if data is None else data
    return cids.of(codec, data), data


async def batches(*found: CID) -> AsyncIterator[Sequence[CID]]:
    for cid in found:
        yield [cid]


async def test_what_was_put_comes_back(store: BlockStore) -> None:
    stored = [block(), block(b""), block(os.urandom(300_000)), block(b"\x0a\x02\x08\x01", cids.DAG_PB)]
    assert await store.put(stored, scope=ADA) == 4
    for cid, data in stored:
        assert await store.get(cid) == data
        assert store.peek(cid) in (data, None)


async def test_a_block_that_was_never_put_is_missing(store: BlockStore) -> None:
    cid, _ = block()
    assert store.peek(cid) is None
    with pytest.raises(BlockMissing) as caught:
        await store.get(cid)
    assert caught.value.cid == cid
    assert await store.missing([cid], scope=ADA) == [cid]


async def test_part_of_a_block_can_be_read(store: BlockStore) -> None:
    cid, data = block(os.urandom(1000))
    await store.put([(cid, data)], scope=ADA)
    assert await store.read(cid, 0, 10) == data[:10]
    assert await store.read(cid, 990, 100) == data[990:]
    assert await store.read(cid, 1000, 10) == b""
    assert await store.read(cid, 5000, 10) == b""


async def test_putting_again_is_harmless_and_not_new(store: BlockStore) -> None:
    one, two = block(), block()
    assert await store.put([one, one], scope=ADA) == 1
    assert await store.put([one, two], scope=ADA) == 1
    assert await store.get(one[0]) == one[1]
    assert (await store.stats()).blocks == 2


async def test_identity_cids_carry_their_own_block(store: BlockStore) -> None:
    cid = CID(b"\x01\x55\x00\x05hello")
    assert store.peek(cid) == b"hello"
    assert await store.get(cid) == b"hello"
    assert await store.read(cid, 1, 3) == b"ell"
    assert await store.missing([cid], scope=ADA) == []
    assert await store.put([(cid, b"hello")], scope=ADA) == 0
    assert (await store.stats()).blocks == 0


async def test_old_style_cids_are_kept_apart_from_new_ones(store: BlockStore) -> None:
    data = b"\x0a\x02\x08\x01"
    old = CID(cids.multihash(cids.of(cids.DAG_PB, data)))
    await store.put([(old, data)], scope=ADA)
    assert await store.get(old) == data
    assert await store.missing([cids.as_v1(old)], scope=ADA) == [cids.as_v1(old)]


async def test_other_hash_functions_are_stored(store: BlockStore) -> None:
    import hashlib

    data = os.urandom(50)
    cid = CID(b"\x01\x55\x13\x40" + hashlib.sha512(data).digest())
    await store.put([(cid, data), block()], scope=ADA)
    assert await store.get(cid) == data


# --- visibility ------------------------------------------------------------------------------------------------------


async def test_a_block_is_missing_for_those_who_did_not_put_it(store: BlockStore) -> None:
    one = block()
    await store.put([one], scope=ADA)
    assert await store.missing([one[0]], scope=ADA) == []
    assert await store.missing([one[0]], scope=BOB) == [one[0]]
    with pytest.raises(BlockMissing):
        await store.get(one[0], public_only=True)
    with pytest.raises(BlockMissing):
        await store.read(one[0], 0, 1, public_only=True)
    assert store.peek(one[0], public_only=True) is None


async def test_putting_a_hidden_block_looks_new_and_makes_it_visible(store: BlockStore) -> None:
    one = block()
    await store.put([one], scope=ADA)
    assert await store.put([one], scope=BOB) == 1, "that it was there already is a secret"
    assert await store.missing([one[0]], scope=BOB) == []
    assert await store.missing([one[0]], scope="prj_eve") == [one[0]]


async def test_a_published_block_is_visible_to_everybody(store: BlockStore) -> None:
    one, other = block(), block()
    await store.put([one, other], scope=ADA)
    await store.publish([one[0], block()[0]])
    assert await store.missing([one[0], other[0]], scope=BOB) == [other[0]]
    assert await store.get(one[0], public_only=True) == one[1]
    assert await store.put([one], scope=BOB) == 0
    assert (await store.stats()).public_blocks == 1


async def test_blocks_can_be_shown_to_one_scope(store: BlockStore) -> None:
    one = block()
    await store.put([one], scope=ADA)
    await store.publish([one[0]], scope=BOB)
    assert await store.missing([one[0]], scope=BOB) == []
    with pytest.raises(BlockMissing):
        await store.get(one[0], public_only=True)


async def test_missing_keeps_the_order_and_names_each_once(store: BlockStore) -> None:
    there, a, b = block(), block(), block()
    await store.put([there], scope=ADA)
    asked = [b[0], there[0], a[0], b[0]]
    assert await store.missing(asked, scope=ADA) == [b[0], a[0]]


async def test_thousands_of_blocks_in_one_question(store: BlockStore) -> None:
    stored = [block(number.to_bytes(4, "big")) for number in range(1500)]
    absent = [block(b"x" + number.to_bytes(4, "big"))[0] for number in range(700)]
    assert await store.put(stored, scope=ADA) == 1500
    assert await store.missing([*[cid for cid, _ in stored], *absent], scope=ADA) == absent


async def test_many_at_once_put_the_same_blocks(store: BlockStore) -> None:
    shared = [block(number.to_bytes(4, "big")) for number in range(50)]
    counts = await asyncio.gather(*(store.put(shared, scope=f"prj_{n}") for n in range(10)))
    assert counts == [50] * 10
    assert (await store.stats()).blocks == 50
    for n in range(10):
        assert await store.missing([cid for cid, _ in shared], scope=f"prj_{n}") == []


# --- collection ------------------------------------------------------------------------------------------------------


async def test_unreachable_blocks_go_and_reachable_ones_stay(store: BlockStore, clock: FixedClock) -> None:
    kept, lost = block(), block()
    await store.put([kept, lost], scope=ADA)
    clock.advance(timedelta(hours=1))
    swept = await store.collect(batches(kept[0]), untouched_since=clock.now(), dry_run=False)
    assert (swept.blocks, swept.bytes) == (1, 100)
    assert await store.get(kept[0]) == kept[1]
    assert await store.missing([kept[0], lost[0]], scope=ADA) == [lost[0]]
    with pytest.raises(BlockMissing):
        await store.get(lost[0])


async def test_a_dry_run_counts_and_changes_nothing(store: BlockStore, clock: FixedClock) -> None:
    stored = [block() for _ in range(3)]
    await store.put(stored, scope=ADA)
    clock.advance(timedelta(hours=1))
    before = await store.stats()
    swept = await store.collect(batches(stored[0][0]), untouched_since=clock.now(), dry_run=True)
    assert (swept.blocks, swept.bytes, swept.freed_bytes) == (2, 200, 0)
    assert await store.stats() == before


async def test_what_was_put_or_asked_for_lately_stays(store: BlockStore, clock: FixedClock) -> None:
    put_again, asked, untouched = block(), block(), block()
    await store.put([put_again, asked, untouched], scope=ADA)
    clock.advance(timedelta(hours=1))
    started = clock.now()
    clock.advance(timedelta(seconds=1))
    await store.put([put_again], scope=ADA)
    assert await store.missing([asked[0]], scope=ADA) == []
    await store.collect(batches(), untouched_since=started, dry_run=False)
    assert await store.missing([put_again[0], asked[0], untouched[0]], scope=ADA) == [untouched[0]]


async def test_others_asking_for_a_hidden_block_do_not_keep_it(store: BlockStore, clock: FixedClock) -> None:
    one = block()
    await store.put([one], scope=ADA)
    clock.advance(timedelta(hours=1))
    await store.missing([one[0]], scope=BOB)
    swept = await store.collect(batches(), untouched_since=clock.now(), dry_run=False)
    assert swept.blocks == 1


async def test_a_touch_while_the_collection_marks_saves_the_block(store: BlockStore, clock: FixedClock) -> None:
    """The race of a deployment with a collection that began before it and does not know its root."""
    dag = [block() for _ in range(5)]
    await store.put(dag, scope=ADA)
    clock.advance(timedelta(days=2))
    started = clock.now()

    async def marks_while_somebody_deploys() -> AsyncIterator[Sequence[CID]]:
        yield [block()[0]]
        clock.advance(timedelta(milliseconds=5))
        assert await store.missing([cid for cid, _ in dag], scope=ADA) == []

    swept = await store.collect(marks_while_somebody_deploys(), untouched_since=started, dry_run=False)
    assert swept.blocks == 0
    assert await store.missing([cid for cid, _ in dag], scope=ADA) == []


async def test_deployments_racing_with_collections_never_lose_a_block(store: BlockStore, clock: FixedClock) -> None:
    """Whatever `missing` has called present, or `put` has acknowledged, after a collection began, survives it."""
    dag = [block(number.to_bytes(4, "big")) for number in range(40)]
    await store.put(dag, scope=ADA)
    ids = [cid for cid, _ in dag]
    for _ in range(8):
        clock.advance(timedelta(hours=1))
        started = clock.now()
        clock.advance(timedelta(milliseconds=1))

        async def deploy() -> None:
            absent = set(await store.missing(ids, scope=ADA))
            await store.put([one for one in dag if one[0] in absent], scope=ADA)

        await asyncio.gather(store.collect(batches(), untouched_since=started, dry_run=False), deploy())
        assert await store.missing(ids, scope=ADA) == []
        for cid, data in dag:
            assert await store.get(cid) == data


async def test_only_one_scrub_at_a_time(store: BlockStore) -> None:
    one = block()
    await store.put([one], scope=ADA)
    outcomes = await asyncio.gather(*(store.scrub() for _ in range(6)), return_exceptions=True)
    reports = [each for each in outcomes if isinstance(each, ScrubReport)]
    assert reports
    assert all(report.blocks == 1 and not report.corrupt for report in reports)
    refused = [each for each in outcomes if not isinstance(each, ScrubReport)]
    assert refused
    assert all(isinstance(each, StoreBusy) for each in refused)
    assert await store.get(one[0]) == one[1]


async def test_only_one_collection_at_a_time(store: BlockStore, clock: FixedClock) -> None:
    async def marks() -> AsyncIterator[Sequence[CID]]:
        with pytest.raises(StoreBusy):
            await store.collect(batches(), untouched_since=clock.now(), dry_run=True)
        yield []

    await store.collect(marks(), untouched_since=clock.now(), dry_run=True)
    await store.collect(batches(), untouched_since=clock.now(), dry_run=True)


async def test_a_block_that_went_can_be_put_again(store: BlockStore, clock: FixedClock) -> None:
    one = block()
    await store.put([one], scope=ADA)
    await store.publish([one[0]])
    clock.advance(timedelta(hours=1))
    await store.collect(batches(), untouched_since=clock.now(), dry_run=False)
    assert await store.put([one], scope=BOB) == 1
    assert await store.get(one[0]) == one[1]
    assert await store.missing([one[0]], scope=ADA) == [one[0]], "earlier rights ended with the block"


async def test_a_scrub_of_a_sound_store_finds_nothing(store: BlockStore) -> None:
    stored = [block() for _ in range(10)]
    await store.put(stored, scope=ADA)
    told: list[tuple[int, int]] = []
    report = await store.scrub(lambda done, total: told.append((done, total)))
    assert (report.blocks, report.bytes, report.corrupt) == (10, 1000, ())
    assert told[-1] == (10, 10)


async def test_a_cancelled_put_takes_no_other_with_it(store: BlockStore) -> None:
    stored = [block() for _ in range(20)]
    puts = [asyncio.create_task(store.put([one], scope=ADA)) for one in stored]
    await asyncio.sleep(0)  # all are under way
    for put in puts[::2]:
        put.cancel()
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert outcomes[1::2] == [1] * 10
    assert await store.missing([cid for cid, _ in stored[1::2]], scope=ADA) == []
