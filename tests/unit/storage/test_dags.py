"""Whole DAGs: counted, found incomplete, leased, published, held, collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from af import storage
from af.core.context import Context, Platform
from af.core.errors import Forbidden
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.storage import store as rows
from af.storage.errors import BlockMissing, DagTooLarge, InvalidDag, MissingBlocks
from af.storage.service.upkeep import roots
from tests.unit.storage.conftest import SITE, Content, TickingClock, folder, pieces

FOLDER = dagpb.encode_unixfs(UnixFS(kind=Kind.DIRECTORY))


async def put(ctx: Context, project_id: str, content: Content, **options: object) -> None:
    await storage.receive_car(ctx, project_id, pieces(content.car(**options)))  # type: ignore[arg-type]


async def present(platform: Platform, content: Content) -> bool:
    store = platform.ports[storage.BlockStore]
    try:
        for cid, data in content.blocks.items():
            assert await store.get(cid) == data
    except BlockMissing:
        return False
    return True


def with_grace(ctx: Context, seconds: int) -> Context:
    settings = replace(ctx.settings, collect_grace_seconds=seconds)
    return replace(ctx, platform=replace(ctx.platform, settings=settings))


# --- verify ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", unixfs.PROFILES.values(), ids=unixfs.PROFILES.keys())
async def test_a_whole_folder_is_counted(owner: Context, project_id: ProjectId, profile: unixfs.Profile) -> None:
    content = folder(SITE, profile)
    await put(owner, project_id, content)
    summary = await storage.verify_dag(owner, project_id, content.root)
    assert (summary.root, summary.files, summary.blocks) == (content.root, len(SITE), len(content.blocks))
    if profile.raw_leaves:
        assert summary.bytes == sum(map(len, SITE.values()))


async def test_a_sharded_folder_is_counted_by_its_files(owner: Context, project_id: ProjectId) -> None:
    content = folder({f"{'x' * 200}{n}": b"same" for n in range(1500)})
    await put(owner, project_id, content)
    summary = await storage.verify_dag(owner, project_id, content.root)
    assert (summary.files, summary.bytes) == (1500, 6000)


async def test_a_single_file_may_be_the_root(owner: Context, project_id: ProjectId) -> None:
    data = b"alone"
    content = Content(cids.of(cids.RAW, data), {cids.of(cids.RAW, data): data})
    await put(owner, project_id, content)
    summary = await storage.verify_dag(owner, project_id, content.root)
    assert (summary.files, summary.bytes, summary.blocks) == (1, 5, 1)


async def test_missing_blocks_are_named(owner: Context, project_id: ProjectId) -> None:
    content = folder({f"{n}.txt": str(n).encode() for n in range(300)})
    leaves = [cid for cid in content.blocks if cid != content.root]
    await put(owner, project_id, content, without=leaves[:150])
    with pytest.raises(MissingBlocks) as caught:
        await storage.verify_dag(owner, project_id, content.root)
    assert caught.value.count == 150
    assert len(caught.value.cids) == 100
    assert set(caught.value.cids) <= set(leaves[:150])


async def test_blocks_of_another_project_are_missing(
    owner: Context, project_id: ProjectId, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    """Otherwise a folder with a guessed CID would publish somebody's private block."""
    await put(owner, project_id, site)
    secret = next(cid for cid in site.blocks if cids.codec(cid) == cids.RAW)
    node = dagpb.encode_node([Link(secret, b"stolen", 5)], FOLDER)
    content = Content(cids.of(cids.DAG_PB, node), {cids.of(cids.DAG_PB, node): node})
    await put(stranger, other_project_id, content)
    with pytest.raises(MissingBlocks) as caught:
        await storage.verify_dag(stranger, other_project_id, content.root)
    assert caught.value.cids == (secret,)


async def test_nested_twins_end_and_count_as_too_many(owner: Context, project_id: ProjectId) -> None:
    """Each level links the one below twice: 2^60 files in 61 blocks."""
    blocks: dict[CID, bytes] = {}
    below = cids.of(cids.RAW, b"x")
    blocks[below] = b"x"
    for _ in range(60):
        node = dagpb.encode_node([Link(below, b"a", 1), Link(below, b"b", 1)], FOLDER)
        below = cids.of(cids.DAG_PB, node)
        blocks[below] = node
    await put(owner, project_id, Content(below, blocks))
    with pytest.raises(DagTooLarge, match="files"):
        await storage.verify_dag(owner, project_id, below)


async def test_a_dag_without_end_is_refused_at_a_depth(owner: Context, project_id: ProjectId) -> None:
    blocks: dict[CID, bytes] = {}
    below = cids.of(cids.RAW, b"x")
    blocks[below] = b"x"
    for _ in range(1100):
        node = dagpb.encode_node([Link(below, b"a", 1)], FOLDER)
        below = cids.of(cids.DAG_PB, node)
        blocks[below] = node
    await put(owner, project_id, Content(below, blocks))
    with pytest.raises(DagTooLarge, match="levels"):
        await storage.verify_dag(owner, project_id, below)


async def test_a_node_that_is_no_dag_pb_is_named(owner: Context, project_id: ProjectId) -> None:
    junk = b"\xff\xff\xff"
    cid = cids.of(cids.DAG_PB, junk)
    await put(owner, project_id, Content(cid, {cid: junk}))
    with pytest.raises(InvalidDag, match=cids.to_text(cid)):
        await storage.verify_dag(owner, project_id, cid)


# --- visibility ------------------------------------------------------------------------------------------------------


async def test_publishing_shows_all_of_a_dag(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform
) -> None:
    await put(owner, project_id, site)
    store = platform.ports[storage.BlockStore]
    with pytest.raises(BlockMissing):
        await store.get(site.root, public_only=True)
    await storage.publish(owner, site.root)
    for cid, data in site.blocks.items():
        assert await store.get(cid, public_only=True) == data


async def test_the_reader_shows_only_what_the_project_sees(
    owner: Context, project_id: ProjectId, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    await put(owner, project_id, site)
    assert await storage.reader(owner, project_id)(site.root) == site.blocks[site.root]
    with pytest.raises(BlockMissing):
        await storage.reader(stranger, other_project_id)(site.root)
    await storage.publish(owner, site.root)
    assert await storage.reader(stranger, other_project_id)(site.root) == site.blocks[site.root]


# --- collection ------------------------------------------------------------------------------------------------------


async def test_held_content_stays_and_released_content_goes(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    await put(owner, project_id, site)
    await storage.verify_dag(owner, project_id, site.root)
    await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
    clock.advance(timedelta(days=3))
    report = await storage.collect(owner)
    assert (report.swept.blocks, report.blocked) == (0, ())
    assert await present(platform, site)

    await storage.release(owner, "deployment", "dep_1")
    clock.advance(timedelta(days=3))
    dry = await storage.collect(owner, dry_run=True)
    assert dry.swept.blocks == len(site.blocks)
    assert await present(platform, site)
    report = await storage.collect(owner)
    assert report.swept.blocks == len(site.blocks)
    assert report.swept.freed_bytes > 0
    assert not await present(platform, site)


async def test_content_with_two_reasons_outlives_one(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    await put(owner, project_id, site)
    await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
    await storage.hold(owner, project_id, site.root, "deployment", "dep_2")
    await storage.release(owner, "deployment", "dep_1")
    clock.advance(timedelta(days=3))
    await storage.collect(owner)
    assert await present(platform, site)


async def test_shared_blocks_outlive_one_of_their_folders(
    owner: Context, project_id: ProjectId, platform: Platform, clock: TickingClock
) -> None:
    one, two = folder({"same": b"shared", "1": b"one"}), folder({"same": b"shared", "2": b"two"})
    for content in (one, two):
        await put(owner, project_id, content)
    await storage.hold(owner, project_id, two.root, "deployment", "dep_2")
    clock.advance(timedelta(days=3))
    report = await storage.collect(owner)
    assert report.swept.blocks == 2
    assert await present(platform, two)


async def test_a_fresh_upload_has_its_grace(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    await put(owner, project_id, site)
    clock.advance(timedelta(hours=23))
    assert (await storage.collect(owner)).swept.blocks == 0
    clock.advance(timedelta(hours=2))
    assert (await storage.collect(owner)).swept.blocks == len(site.blocks)


async def test_a_lease_covers_the_time_from_verified_to_held_even_without_grace(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    eager = with_grace(owner, 0)
    await put(owner, project_id, site)
    await storage.verify_dag(owner, project_id, site.root)
    clock.advance(timedelta(minutes=10))
    assert (await storage.collect(eager)).swept.blocks == 0
    await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
    clock.advance(timedelta(hours=2))
    assert (await storage.collect(eager)).swept.blocks == 0
    assert await present(platform, site)
    await storage.release(owner, "deployment", "dep_1")
    clock.advance(timedelta(hours=2))
    assert (await storage.collect(eager)).swept.blocks == len(site.blocks)
    assert not await present(platform, site)


@pytest.mark.parametrize("pause", range(6))
async def test_a_deployment_at_any_moment_of_a_collection_is_whole_or_refused(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock, pause: int
) -> None:
    """The collection is stopped after its ``pause``-th batch of marks while a deployment of old, unheld content runs
    from its first touch to its root row; no grace at all."""
    eager = with_grace(owner, 0)
    await put(owner, project_id, site)
    for n in range(4):
        other = folder({"n": str(n).encode()})
        await put(owner, project_id, other)
        await storage.hold(owner, project_id, other.root, "pin", f"pin_{n}")
    clock.advance(timedelta(days=2))
    blocks = platform.ports[storage.BlockStore]

    class Pausing:
        """The store, with a deployment in the middle of the collection's marks."""

        def __getattr__(self, name: str) -> object:
            return getattr(blocks, name)

        async def collect(self, reachable: AsyncIterator[Sequence[CID]], **options: object) -> storage.Collection:
            async def marks() -> AsyncIterator[Sequence[CID]]:
                seen = 0
                async for batch in reachable:
                    if seen == pause:
                        await deploy()
                    yield batch
                    seen += 1
                if seen <= pause:
                    await deploy()

            return await blocks.collect(marks(), **options)

    deployed = False

    async def deploy() -> None:
        nonlocal deployed
        try:
            await storage.verify_dag(owner, project_id, site.root)
        except MissingBlocks:
            return
        await storage.publish(owner, site.root)
        await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
        deployed = True

    paused = replace(eager, platform=replace(eager.platform, ports={storage.BlockStore: Pausing()}))
    await storage.collect(paused)
    assert deployed
    assert await present(platform, site)
    await storage.collect(eager)
    assert await present(platform, site)


async def test_an_upload_while_collections_run_ends_whole(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    eager = with_grace(owner, 0)
    platform.ports[storage.BlockStore]._slack = 0  # as `open_blocks` sees to: never more than the grace period

    async def deploy() -> None:
        for _ in range(20):
            await put(owner, project_id, site)
            try:
                await storage.verify_dag(owner, project_id, site.root)
            except MissingBlocks:
                continue  # the client sends again what went
            await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
            return
        raise AssertionError("never whole")

    async def collect() -> None:
        for _ in range(5):
            await storage.collect(eager)

    await asyncio.gather(deploy(), collect())
    await storage.collect(eager)
    assert await present(platform, site)


async def test_a_kept_root_with_a_damaged_node_stops_the_sweep(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    lost = folder({"x": b"unreachable"})
    for content in (site, lost):
        await put(owner, project_id, content)
    await storage.hold(owner, project_id, site.root, "deployment", "dep_1")
    clock.advance(timedelta(days=3))
    (segment,) = (platform.settings.data / "blocks").glob("*.car")
    damaged = segment.read_bytes().replace(site.blocks[site.root], bytes(len(site.blocks[site.root])))
    segment.write_bytes(damaged)
    assert (await storage.scrub(owner)).corrupt == (site.root,)

    report = await storage.collect(owner)
    assert report.blocked == (site.root,)
    assert report.swept.blocks == 0
    assert await present(platform, lost)

    await put(owner, project_id, site)  # healed
    assert (await storage.collect(owner)).swept.blocks == len(lost.blocks)
    assert await present(platform, site)


async def test_upkeep_is_for_the_operator(stranger: Context) -> None:
    with pytest.raises(Forbidden):
        await storage.collect(stranger, dry_run=True)
    with pytest.raises(Forbidden):
        await storage.scrub(stranger)
    with pytest.raises(Forbidden):
        await storage.block_stats(stranger)


async def test_rights_are_restored_from_the_roots(
    owner: Context,
    system: Context,
    project_id: ProjectId,
    other_project_id: ProjectId,
    stranger: Context,
    site: Content,
) -> None:
    private = folder({"secret.txt": b"of the other project"})
    await put(owner, project_id, site)
    guess = folder({"copy.txt": b"of the other project"})  # a folder that names the block, without having it
    await put(owner, project_id, Content(guess.root, {guess.root: guess.blocks[guess.root]}))
    with pytest.raises(MissingBlocks):
        await storage.verify_dag(owner, project_id, guess.root)
    await put(stranger, other_project_id, private)
    await storage.hold(owner, project_id, site.root, "deployment", "dep_1", public=True)
    await storage.hold(stranger, other_project_id, private.root, "pin", "pin_1", public=False)
    blocks = owner.platform.ports[storage.BlockStore]
    blocks._index.set_fact("rebuilt", "1")
    with blocks._index.writing() as connection:
        connection.execute("DELETE FROM owners")
        connection.execute("UPDATE blocks SET public = 0")

    assert await storage.rights_to_restore(system)
    assert await storage.restore_visibility(system) == 2
    assert not await storage.rights_to_restore(system)
    assert await blocks.get(site.root, public_only=True) == site.blocks[site.root]
    assert await storage.missing(stranger, other_project_id, list(private.blocks)) == []
    assert await storage.missing(owner, project_id, list(private.blocks)) == list(private.blocks)


async def test_many_roots_are_read_page_by_page(owner: Context, project_id: ProjectId) -> None:
    async with owner.transaction() as tx:
        for n in range(1203):
            cid = cids.of(cids.RAW, str(n % 601).encode())
            await rows.hold(tx, cid=cid, kind="pin", ref=f"pin_{n}", project_id=project_id, public=True, now=owner.now)
    found = [root async for root in roots(owner)]
    assert len(found) == len({root[:3] for root in found}) == 1203
