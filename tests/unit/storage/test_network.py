"""Copies of public content in a real Kubo node, and their rows in both databases."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from af import storage
from af.core.context import SYSTEM, Context, Platform
from af.core.errors import Forbidden
from af.core.http import Client
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage import service
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.errors import KuboNotConfigured
from af.storage.models import CopyState, KuboCopy
from af.storage.store import copies
from tests.support import kubo, ports
from tests.unit.storage.conftest import Content, TickingClock, folder, pieces

pytestmark = pytest.mark.kubo


@pytest.fixture(scope="module")
def node() -> Iterator[kubo.KuboDaemon]:
    with kubo.KuboDaemon(kubo.kubo_or_skip()) as daemon:
        yield daemon


@pytest.fixture
def rpc(node: kubo.KuboDaemon) -> KuboRpc:
    return KuboRpc(node.api_url, Client())


@pytest.fixture
def worker(platform: Platform, rpc: KuboRpc) -> Context:
    """The worker's context, with a node beside that talks to nobody: there is nowhere to announce anything."""
    return _with(platform, rpc)


def _with(platform: Platform, rpc: KuboRpc, *, network: str = "peers") -> Context:
    settings = replace(platform.settings, kubo=True, kubo_network=network, kubo_rpc_url=rpc.url)
    return replace(platform, settings=settings, ports={**platform.ports, KuboRpc: rpc}).context(SYSTEM)


def _content(name: str) -> Content:
    """Content of the test's own: all share one node."""
    return folder({"index.html": name.encode(), "big.bin": hashlib.shake_256(name.encode()).digest(1_500_000)})


async def _kept(ctx: Context, project_id: ProjectId, content: Content, *, public: bool = True) -> CID:
    await storage.import_car(ctx, project_id, pieces(content.car(), 100_000), public=public)
    root: CID = content.root
    return root


async def _work(ctx: Context) -> list[KuboCopy]:
    """One look of each reconciler, and all runs that follow from it; what was found."""
    await service.compare_copies(ctx)
    found = await service.copies_due(ctx)
    for copy in found:
        await service.tend_copy(ctx, copy.root)
    return found


async def _copy(ctx: Context, root: CID) -> KuboCopy:
    async with ctx.reading() as connection:
        found = await copies.get(connection, root)
    assert found is not None
    return found


async def test_what_is_public_is_pinned_and_then_there_is_nothing_to_do(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    root = await _kept(owner, project_id, _content("public"))
    assert [copy.root for copy in await _work(worker)] == [root]
    assert await rpc.is_pinned(root)
    assert (await _copy(worker, root)).state is CopyState.PINNED
    assert await _work(worker) == []


async def test_rows_follow_the_roots_at_once(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    """Without a comparison: as in processes that know of the node."""
    knowing = replace(owner, platform=worker.platform)
    content = _content("at once")
    for _ in range(2):  # the second time it comes back
        root = await _kept(knowing, project_id, content)
        [found] = await service.copies_due(worker)
        assert (found.root, found.state) == (root, CopyState.WANTED)
        await service.tend_copy(worker, root)
        assert await rpc.is_pinned(root)
        await storage.delete_pin(knowing, project_id, cids.to_text(root))
        [found] = await service.copies_due(worker)
        assert (found.root, found.state) == (root, CopyState.LEAVING)
        await service.tend_copy(worker, root)
        assert not await rpc.is_pinned(root)
    await _kept(knowing, project_id, _content("private at once"), public=False)
    assert await service.copies_due(worker) == []
    assert await service.compare_copies(worker) == 0


async def test_what_is_held_again_while_it_leaves_stays(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    root = await _kept(owner, project_id, _content("still held"))
    await _work(worker)
    async with worker.transaction() as tx:
        await copies.become(tx, [root], CopyState.LEAVING, now=worker.now, due_at=worker.now)
    await service.tend_copy(worker, root)
    assert await rpc.is_pinned(root)
    assert (await _copy(worker, root)).state is CopyState.WANTED


async def test_what_is_private_never_gets_there(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    content = _content("private")
    await _kept(owner, project_id, content, public=False)
    assert await _work(worker) == []
    await service.tend_copy(worker, content.root)
    for cid in content.blocks:
        assert await rpc.block_get(cid) is None


async def test_a_row_alone_does_not_make_private_content_leave(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    root = await _kept(owner, project_id, _content("meanwhile private"), public=False)
    async with worker.transaction() as tx:
        await copies.want(tx, [root], worker.now)
    await service.tend_copy(worker, root)
    assert await rpc.block_get(root) is None
    assert (await _copy(worker, root)).state is CopyState.LEAVING


async def test_a_private_block_below_a_public_root_stops_the_copy(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    content = _content("rights not told yet")
    await _kept(owner, project_id, content, public=False)
    async with worker.transaction():
        await storage.hold(worker, project_id, content.root, "pin", "pin_of_test", public=True)  # never published
    await _work(worker)
    for cid in content.blocks:
        assert await rpc.block_get(cid) is None
    copy = await _copy(worker, content.root)
    assert (copy.state, copy.attempts) == (CopyState.WANTED, 1)
    assert "is not here" in copy.error


async def test_what_nobody_keeps_is_unpinned_collected_and_comes_back_when_kept_again(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    content = _content("comes and goes")
    root = await _kept(owner, project_id, content)
    await _work(worker)
    await storage.delete_pin(owner, project_id, cids.to_text(root))
    await _work(worker)
    assert not await rpc.is_pinned(root)
    assert (await _copy(worker, root)).state is CopyState.GONE
    await service.tend_kubo(worker)
    assert await rpc.block_get(root) is None
    first = await service.copies_due(worker)
    assert first == []
    await _kept(owner, project_id, content)
    await _work(worker)
    assert await rpc.is_pinned(root)


async def test_what_two_keep_stays_until_both_have_let_go(
    worker: Context,
    rpc: KuboRpc,
    owner: Context,
    project_id: ProjectId,
    stranger: Context,
    other_project_id: ProjectId,
) -> None:
    content = _content("kept twice")
    root = await _kept(owner, project_id, content)
    await _kept(stranger, other_project_id, content)
    await _work(worker)
    await storage.delete_pin(owner, project_id, cids.to_text(root))
    assert await _work(worker) == []
    assert await rpc.is_pinned(root)
    await storage.delete_pin(stranger, other_project_id, cids.to_text(root))
    await _work(worker)
    assert not await rpc.is_pinned(root)


async def test_a_node_that_is_down_costs_nothing_and_gets_all_later(
    worker: Context, platform: Platform, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    down = _with(platform, KuboRpc(f"http://127.0.0.1:{ports.free_port()}", Client()))
    root = await _kept(owner, project_id, _content("while it is down"))
    assert await service.compare_copies(down) == 1
    assert await service.copies_due(down) == []
    assert (await _copy(down, root)).attempts == 0
    await _work(worker)
    assert await rpc.is_pinned(root)


async def test_a_failure_is_noted_and_tried_again_later_and_later(
    platform: Platform, rpc: KuboRpc, owner: Context, project_id: ProjectId, clock: TickingClock
) -> None:
    public = _with(platform, rpc, network="public")  # the node is offline: announcing fails
    root = await _kept(owner, project_id, _content("not announced"))
    delays = []
    for attempt in range(1, 4):
        [found] = await _work(public)
        copy = await _copy(public, root)
        assert (copy.state, copy.attempts) == (CopyState.PINNED, attempt)
        assert "routing/provide" in copy.error
        assert copy.turn > found.turn, "the next try has a run of its own"
        waited = 0
        while not await service.copies_due(public):
            clock.advance(timedelta(seconds=5))
            waited += 5
        delays.append(waited)
    assert delays == [15, 30, 60]


async def test_what_the_node_has_lost_is_given_to_it_again(
    worker: Context, rpc: KuboRpc, owner: Context, project_id: ProjectId
) -> None:
    root = await _kept(owner, project_id, _content("lost"))
    await _work(worker)
    await rpc.pin_rm(root)
    await rpc.collect_garbage()
    await service.tend_kubo(worker)
    assert (await _copy(worker, root)).state is CopyState.WANTED
    await _work(worker)
    assert await rpc.is_pinned(root)


async def test_without_a_node_nothing_is_done_and_ipns_says_what_to_configure(
    system: Context, owner: Context, project_id: ProjectId
) -> None:
    await _kept(owner, project_id, _content("no node"))
    assert await service.compare_copies(system) == 0
    assert await service.copies_due(system) == []
    with pytest.raises(KuboNotConfigured) as caught:
        await storage.publish_ipns_record(system, "k51…", b"")
    assert "AF_KUBO_RPC_URL" in caught.value.hint


async def test_a_node_that_is_the_block_store_is_told_nothing_more(
    worker: Context, owner: Context, project_id: ProjectId
) -> None:
    await _kept(owner, project_id, _content("in the store"))
    settings = replace(worker.platform.settings, block_backend="kubo")
    ctx = replace(worker.platform, settings=settings).context(SYSTEM)
    assert await service.compare_copies(ctx) == 0
    assert await service.copies_due(ctx) == []


async def test_people_cannot_call_the_workers_part(owner: Context) -> None:
    for call in (service.copies_due(owner), service.tend_copy(owner, cids.EMPTY_DIRECTORY), service.tend_kubo(owner)):
        with pytest.raises(Forbidden):
            await call


@pytest.fixture(autouse=True)
async def _leave_nothing(rpc: KuboRpc) -> AsyncIterator[None]:
    yield
    for root in [cid async for cid in rpc.pins()]:
        await rpc.pin_rm(root)
    await rpc.collect_garbage()
