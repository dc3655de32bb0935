"""Policies and copies: wanted, made, proved, repaired, let go; on both databases."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af import auth, domains, projects, replication, storage
from af.core import ids
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.errors import Forbidden, NotFound
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.domains import SITE_ZONE, HostBinding
from af.protocols.ipfs import car, unixfs
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication import CopyState, Finding, Providers, rules
from af.replication.errors import (
    PolicyInvalid,
    PolicyNotFound,
    ProviderClosed,
    ProviderFailed,
    ProviderNotConfigured,
    ProviderUnknown,
)
from tests.support.platforms import open_platform
from tests.support.shelf import Shelf

FILES = {"index.html": b"<h1>hello</h1>", "a/b.txt": b"deep", "big.bin": bytes(range(256)) * 20_000}


@dataclass
class World:
    platform: Platform
    clock: FixedClock
    shelf: Shelf
    other: Shelf
    owner: Context
    project_id: ProjectId

    @property
    def system(self) -> Context:
        return self.platform.context(SYSTEM)

    async def pinned(self, files: Mapping[str, bytes] = FILES, *, public: bool = True) -> CID:
        """Content that the project keeps."""
        blocks: dict[CID, bytes] = {}
        entries = [
            (path, unixfs.import_file(io.BytesIO(data).read, blocks.__setitem__)) for path, data in files.items()
        ]
        root = unixfs.build_tree(entries, blocks.__setitem__).cid
        data = car.header([root]) + b"".join(car.frame(cid, block) for cid, block in blocks.items())

        async def pieces() -> AsyncIterator[bytes]:
            yield data

        receipt = await storage.import_car(self.owner, self.project_id, pieces(), name="site", public=public)
        assert receipt.complete
        return root

    async def show(self, slug: str, site_id: str, root: CID) -> None:
        binding = HostBinding(
            zone=SITE_ZONE,
            name=slug,
            project_id=self.project_id,
            site_id=SiteId(site_id),
            deployment_id=DeploymentId("dep_1"),
            root=cids.to_text(root),
        )
        await domains.bind(self.owner, [binding])

    async def turn(self, *, later: timedelta = timedelta(0)) -> list[replication.Copy]:
        """One look of the worker, ``later`` than the last, and a run of each copy that is due; all copies after it."""
        self.clock.advance(later)
        await replication.service.align_all(self.system)
        for copy in await replication.service.copies_due(self.system):
            await replication.service.tend_copy(self.system, copy.id)
        return await replication.list_copies(self.owner, self.project_id)

    async def only(self, *, later: timedelta = timedelta(0)) -> replication.Copy:
        (copy,) = await self.turn(later=later)
        return copy


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    shelf, other = Shelf(), Shelf("other")
    providers = Providers({"shelf": shelf, "other": other}, {"arweave": "Set AF_ARWEAVE_KEY_FILE."})
    async with open_platform(database_url, tmp_path, clock) as opened:
        platform = replace(opened, ports={**opened.ports, Providers: providers})
        made = await projects.bootstrap(platform.context(SYSTEM))
        owner = platform.context(Actor(ActorKind.USER, user_id=made.user.id))
        yield World(platform, clock, shelf, other, owner, made.project.id)


async def test_what_is_live_is_copied_and_proved_by_reading_it_back(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    copy = await world.only()
    assert (copy.state, copy.root, copy.proved_at) == (CopyState.STORED, root, None)
    assert copy.cost is not None
    assert (copy.cost.amount, copy.cost.unit) == (7, "shells")
    copy = await world.only(later=rules.PROVE_AFTER)
    assert copy.blocks_proved == len(world.shelf.kept[root]) == len(set(world.shelf.read_blocks))
    assert copy.due_at == world.clock.now() + rules.PROVE_EVERY
    assert world.shelf.stored == 1


async def test_of_large_content_a_sample_with_the_root_is_read(world: World) -> None:
    root = await world.pinned({f"f{number}": b"%d" % number for number in range(100)})
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    await world.turn()
    copy = await world.only(later=rules.PROVE_AFTER)
    assert copy.blocks_proved == rules.SAMPLE_BLOCKS
    assert world.shelf.read_blocks[0] == root


async def test_a_copy_that_the_provider_has_lost_is_made_anew(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    await world.turn()
    await world.turn(later=rules.PROVE_AFTER)
    del world.shelf.kept[root]
    assert (await world.only(later=rules.PROVE_EVERY)).state is CopyState.LOST
    assert (await world.only(later=rules.RETRY_FIRST)).state is CopyState.STORED
    assert world.shelf.stored == 2


async def test_wrong_bytes_are_believed_lost_after_a_few_looks_and_mended(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    await world.turn()
    world.shelf.wrong = {root}
    copy = await world.only(later=rules.PROVE_AFTER)
    assert (copy.state, copy.proved_at) == (CopyState.STORED, None)
    assert "wrong bytes" in copy.error
    for _ in range(rules.LOST_AFTER - 1):
        copy = await world.only(later=timedelta(hours=1))
    assert copy.state is CopyState.LOST
    world.shelf.wrong = set()
    copy = await world.only(later=timedelta(hours=1))
    assert (copy.state, copy.error, world.shelf.stored) == (CopyState.STORED, "", 2)


async def test_a_provider_that_fails_is_asked_again_ever_more_seldom(world: World) -> None:
    await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf", "other"])
    world.shelf.failure = ProviderFailed("The shelf is out.")
    waits = []
    for _ in range(4):
        copies = {copy.provider: copy for copy in await world.turn(later=timedelta(hours=7))}
        assert (copies["shelf"].state, copies["shelf"].error) == (CopyState.FAILED, "The shelf is out.")
        waits.append(copies["shelf"].due_at - world.clock.now())
    assert waits == [rules.RETRY_FIRST * factor for factor in (1, 2, 4, 8)]
    assert copies["other"].state is CopyState.STORED
    world.shelf.failure = None
    copies = {copy.provider: copy for copy in await world.turn(later=timedelta(hours=7))}
    assert (copies["shelf"].state, copies["shelf"].attempts) == (CopyState.STORED, 0)


async def test_a_copy_that_waits_is_polled_until_it_is_final(world: World) -> None:
    await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    world.shelf.state = CopyState.WAITING
    assert (await world.only()).state is CopyState.WAITING
    assert (await world.only(later=rules.POLL_FIRST)).state is CopyState.WAITING
    world.shelf.state = CopyState.FINAL
    copy = await world.only(later=rules.POLL_LONGEST)
    assert (copy.state, copy.proved_at) == (CopyState.FINAL, None)
    copy = await world.only(later=rules.PROVE_AFTER)
    assert copy.proved_at == world.clock.now()
    assert world.shelf.stored == 1


async def test_the_policy_of_a_site_is_about_what_it_shows(world: World) -> None:
    first, second = await world.pinned({"a": b"1"}, public=True), await world.pinned({"a": b"2"})
    for root in (first, second):
        await storage.delete_pin(world.owner, world.project_id, cids.to_text(root))
    await world.show("blog", "sit_1", first)
    await world.show("shop", "sit_2", second)
    await replication.set_policy(world.owner, world.project_id, ["shelf"], site_id="sit_1")
    assert (await world.only()).root == first
    await world.show("blog", "sit_1", second)
    copies = {copy.root: copy for copy in await world.turn(later=timedelta(seconds=1))}
    assert copies[first].unwanted_at == world.clock.now()
    assert copies[second].unwanted_at is None
    await world.show("blog", "sit_1", first)  # rolled back: the copy is still there
    copies = {copy.root: copy for copy in await world.turn(later=timedelta(seconds=1))}
    assert copies[first].unwanted_at is None
    assert world.shelf.stored == 2


async def test_what_nothing_wants_any_more_is_removed_after_a_while(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    await world.turn()
    await replication.delete_policy(world.owner, world.project_id)
    assert (await world.only(later=timedelta(days=1))).unwanted_at is not None
    assert root in world.shelf.kept
    assert await world.turn(later=rules.KEEP_UNWANTED) == []
    assert world.shelf.kept == {}


async def test_private_content_never_leaves(world: World) -> None:
    await world.pinned(public=False)
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    assert await world.turn() == []
    assert world.shelf.kept == {}


async def test_verify_tells_sources_that_are_right_from_those_that_are_not(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf", "other"])
    await world.turn()
    world.other.wrong = {root}
    checks = {check.source: check for check in await replication.verify(world.owner, world.project_id, root)}
    blocks = len(world.shelf.kept[root])
    assert (checks["here"].finding, checks["here"].right) == (Finding.WHOLE, blocks)
    assert (checks["shelf"].finding, checks["shelf"].right) == (Finding.WHOLE, blocks)
    assert (checks["other"].finding, checks["other"].right) == (Finding.WRONG, 0)


async def test_verify_of_content_that_is_not_here_says_so(world: World) -> None:
    unknown = cids.of(cids.RAW, b"nobody has this")
    (check,) = await replication.verify(world.owner, world.project_id, unknown)
    assert (check.source, check.finding, check.right) == ("here", Finding.MISSING, 0)


@pytest.mark.parametrize(
    "names, error",
    [
        ([], PolicyInvalid),
        (["shelf", "shelf"], PolicyInvalid),
        (["nobody"], ProviderUnknown),
        (["arweave"], ProviderNotConfigured),
        (["storacha"], ProviderClosed),
        (["web3.storage"], ProviderClosed),
    ],
)
async def test_a_policy_names_providers_that_can_be_used(
    world: World, names: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await replication.set_policy(world.owner, world.project_id, names)
    assert await replication.list_policies(world.owner, world.project_id) == []


async def test_a_policy_shows_its_copies_at_once_and_lets_go_of_them_at_once(world: World) -> None:
    root = await world.pinned()
    await replication.set_policy(world.owner, world.project_id, ["shelf"])
    (copy,) = await replication.list_copies(world.owner, world.project_id)
    assert (copy.root, copy.provider, copy.state, copy.unwanted_at) == (root, "shelf", CopyState.WANTED, None)
    await replication.delete_policy(world.owner, world.project_id)
    (copy,) = await replication.list_copies(world.owner, world.project_id)
    assert copy.unwanted_at == world.clock.now()


async def test_only_members_see_and_set_policies(world: World) -> None:
    user = await auth.create_user(world.system, username="stranger")
    stranger = world.platform.context(Actor(ActorKind.USER, user_id=user.id))
    for attempt in (
        replication.set_policy(stranger, world.project_id, ["shelf"]),
        replication.list_policies(stranger, world.project_id),
        replication.list_copies(stranger, world.project_id),
        replication.verify(stranger, world.project_id, cids.EMPTY_DIRECTORY),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(Forbidden):
        await replication.service.tend_copy(world.owner, ids.new(ids.COPY, world.clock.now()))
    with pytest.raises(Forbidden):
        await replication.service.align_all(world.owner)


async def test_a_site_of_somebody_else_has_no_policy_here(world: World) -> None:
    with pytest.raises(PolicyInvalid):
        await replication.set_policy(world.owner, world.project_id, ["shelf"], site_id="sit_elsewhere")
    with pytest.raises(PolicyNotFound):
        await replication.delete_policy(world.owner, world.project_id, site_id="sit_elsewhere")
