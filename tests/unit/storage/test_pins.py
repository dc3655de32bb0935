"""Pins, and CARs imported for keeping."""

from __future__ import annotations

from datetime import timedelta

import pytest

from af import projects, storage
from af.core.context import Context, Platform
from af.core.errors import Forbidden, NotFound
from af.core.ids import ProjectId
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.storage import jobs, service
from af.storage.errors import BlockMissing, InvalidContentId, MissingBlocks, PinNotFound
from tests.unit.storage.conftest import Content, TickingClock, folder, limited, pieces


async def pinned(ctx: Context, project_id: str, content: Content, **options: object) -> storage.Pin:
    await storage.receive_car(ctx, project_id, pieces(content.car()))
    return await storage.create_pin(ctx, project_id, cids.to_text(content.root), **options)  # type: ignore[arg-type]


async def test_a_pin_keeps_content_and_shows_it(
    owner: Context, project_id: ProjectId, site: Content, platform: Platform, clock: TickingClock
) -> None:
    pin = await pinned(owner, project_id, site, name="site.tar")
    assert (pin.filename, pin.extension, pin.cid) == ("site", "tar", site.root)
    clock.advance(timedelta(days=9))
    await storage.collect(owner)
    blocks = platform.ports[storage.BlockStore]
    assert await blocks.get(site.root, public_only=True) == site.blocks[site.root]
    assert await storage.find_pin(owner, project_id, cids.to_text(site.root)) == pin


async def test_a_private_pin_is_not_shown(owner: Context, project_id: ProjectId, site: Content) -> None:
    await pinned(owner, project_id, site, public=False)
    with pytest.raises(BlockMissing):
        await owner.platform.ports[storage.BlockStore].get(site.root, public_only=True)


async def test_pinning_twice_is_one_pin(owner: Context, project_id: ProjectId, site: Content) -> None:
    first = await pinned(owner, project_id, site, name="one")
    second = await pinned(owner, project_id, site, name="two")
    assert second.id == first.id
    assert second.name == "two"
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["two"]
    assert await storage.project_stats(owner, project_id) == storage.ProjectStats(pins=1, bytes=first.size)


async def test_what_is_not_there_cannot_be_pinned(owner: Context, project_id: ProjectId, site: Content) -> None:
    with pytest.raises(MissingBlocks):
        await storage.create_pin(owner, project_id, cids.to_text(site.root))
    with pytest.raises(InvalidContentId):
        await storage.create_pin(owner, project_id, "not-a-cid")
    assert await storage.list_pins(owner, project_id) == []


async def test_unpinned_content_goes(owner: Context, project_id: ProjectId, site: Content, clock: TickingClock) -> None:
    await pinned(owner, project_id, site)
    text = cids.to_text(site.root)
    await storage.delete_pin(owner, project_id, text)
    with pytest.raises(PinNotFound):
        await storage.delete_pin(owner, project_id, text)
    clock.advance(timedelta(days=9))
    assert (await storage.collect(owner)).swept.blocks == len(site.blocks)


async def test_pins_of_two_projects_are_apart(
    owner: Context, project_id: ProjectId, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    mine = await pinned(owner, project_id, site)
    theirs = await pinned(stranger, other_project_id, site)
    assert mine.id != theirs.id
    await storage.delete_pin(owner, project_id, cids.to_text(site.root))
    assert await storage.list_pins(stranger, other_project_id) == [theirs]
    with pytest.raises(NotFound):
        await storage.list_pins(stranger, project_id)
    with pytest.raises(NotFound):
        await storage.delete_pin(owner, other_project_id, cids.to_text(site.root))


async def test_lists_are_paged_and_found_by_name(owner: Context, project_id: ProjectId) -> None:
    made = [await pinned(owner, project_id, folder({"n": str(n).encode()}), name=f"{n % 2}.txt") for n in range(5)]
    first = await storage.list_pins(owner, project_id, first=2)
    rest = await storage.list_pins(owner, project_id, after=first[-1].id)
    assert [*first, *rest] == made
    assert len(await storage.list_pins(owner, project_id, name="1.txt")) == 2


async def test_a_reader_may_list_and_not_change(owner: Context, project_id: ProjectId, site: Content) -> None:
    pin = await pinned(owner, project_id, site)
    reading = limited(owner, "storage:read")
    assert await storage.list_pins(reading, project_id) == [pin]
    with pytest.raises(Forbidden):
        await storage.delete_pin(reading, project_id, cids.to_text(site.root))
    with pytest.raises(Forbidden):
        await storage.create_pin(reading, project_id, cids.to_text(site.root))


async def test_changes_are_in_the_audit_log(owner: Context, project_id: ProjectId, site: Content) -> None:
    pin = await pinned(owner, project_id, site)
    await storage.delete_pin(owner, project_id, cids.to_text(site.root))
    entries = [(entry.action, entry.target) for entry in await projects.list_audit(owner, project_id)]
    assert entries[:2] == [("pin.delete", pin.id), ("pin.create", pin.id)]


async def test_a_complete_car_is_pinned(owner: Context, project_id: ProjectId, site: Content) -> None:
    receipt = await storage.import_car(owner, project_id, pieces(site.car()), name="imported")
    assert receipt.complete
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["imported"]


async def test_an_incomplete_car_is_accepted_and_says_so(owner: Context, project_id: ProjectId, site: Content) -> None:
    lost = next(cid for cid in site.blocks if cid != site.root)
    receipt = await storage.import_car(owner, project_id, pieces(site.car(without=[lost])))
    assert not receipt.complete
    assert receipt.missing == (lost,)
    assert await storage.list_pins(owner, project_id) == []
    rest = car.header([site.root]) + car.frame(lost, site.blocks[lost])
    assert (await storage.import_car(owner, project_id, pieces(rest))).complete
    assert len(await storage.list_pins(owner, project_id)) == 1


async def test_a_deleted_project_keeps_nothing(
    owner: Context, system: Context, project_id: ProjectId, site: Content, clock: TickingClock
) -> None:
    await pinned(owner, project_id, site)
    (find,) = (each.find for each in jobs.RECONCILERS if each.name == "storage.deleted_projects")
    assert await find(system) == []
    await projects.delete_project(owner, project_id)
    ((_, arguments),) = await find(system)
    with pytest.raises(Forbidden):
        await service.forget_project(owner, project_id)
    await jobs.WORKFLOWS[1].run(system, *arguments)
    assert await find(system) == []
    clock.advance(timedelta(days=9))
    assert (await storage.collect(system)).swept.blocks == len(site.blocks)
