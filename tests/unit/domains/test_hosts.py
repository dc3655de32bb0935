"""The host table: what names lead to, and how gateways learn of changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from af import domains, projects
from af.core.clock import FixedClock, monotonic
from af.core.context import ANONYMOUS, Context
from af.core.errors import Error, Forbidden
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.domains import store

SITE = SiteId("sit_a")
ROUTES = {"redirects": [{"from": "/a", "to": "/b", "status": 301, "line": 1}], "headers": []}


def binding(project_id: ProjectId, name: str, *, site: SiteId = SITE, root: str = "bafyroot") -> domains.HostBinding:
    deployment_id = DeploymentId(f"dep_{root}")
    return domains.HostBinding("site", name, project_id, site, deployment_id, root, ROUTES)


async def test_a_bound_name_leads_to_its_content(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "blog"), binding(project_id, "x--blog")])
    found = await domains.lookup(ctx, "site", "blog")
    assert found is not None
    assert (found.root, found.routes, found.site_id, found.suspended) == ("bafyroot", ROUTES, SITE, False)
    assert await domains.lookup(ctx, "site", "other") is None
    assert await domains.lookup(ctx, "custom", "blog") is None


async def test_every_change_gets_a_higher_number_and_the_bell_rings(ctx: Context, project_id: ProjectId) -> None:
    assert await domains.latest_change(ctx) == 0
    rung = ctx.platform.bell.read("hosts")
    await domains.bind(ctx, [binding(project_id, "a"), binding(project_id, "b")])
    assert ctx.platform.bell.read("hosts") != rung
    await domains.bind(ctx, [binding(project_id, "a", root="bafynew")])
    changes = await domains.changed_since(ctx, 0, 10)
    assert [(entry.name, entry.root) for entry in changes] == [("b", "bafyroot"), ("a", "bafynew")]
    assert [entry.change_no for entry in changes] == [2, 3]
    assert await domains.latest_change(ctx) == 3
    assert await domains.changed_since(ctx, 3, 10) == []


async def test_changes_can_be_read_in_pages(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, f"s{n}") for n in range(25)])
    seen: list[str] = []
    last = 0
    while page := await domains.changed_since(ctx, last, 10):
        seen += [entry.name for entry in page]
        last = page[-1].change_no
    assert seen == [f"s{n}" for n in range(25)]


async def test_a_name_belongs_to_one_site(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "blog")])
    with pytest.raises(domains.HostTaken):
        await domains.bind(
            ctx, [binding(project_id, "mine", site=SiteId("sit_b")), binding(project_id, "blog", site=SiteId("sit_b"))]
        )
    assert await domains.lookup(ctx, "site", "mine") is None


async def test_moved_names_keep_their_content_and_the_old_ones_leave_tombstones(
    ctx: Context, project_id: ProjectId
) -> None:
    await domains.bind(ctx, [binding(project_id, "old"), binding(project_id, "x--old", root="bafyx")])
    last = await domains.latest_change(ctx)
    names = [("old", "new"), ("x--old", "x--new"), ("unknown", "nothing")]
    await domains.move(ctx, "site", names, project_id=project_id, site_id=SITE)
    assert await domains.lookup(ctx, "site", "old") is None
    assert await domains.lookup(ctx, "site", "nothing") is None
    moved = await domains.lookup(ctx, "site", "x--new")
    assert moved is not None
    assert (moved.root, moved.routes) == ("bafyx", ROUTES)
    changes = {entry.name: entry.root for entry in await domains.changed_since(ctx, last, 10)}
    assert changes == {"new": "bafyroot", "x--new": "bafyx", "old": None, "x--old": None}


async def test_a_name_can_move_away_and_back(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "a")])
    await domains.move(ctx, "site", [("a", "b")], project_id=project_id, site_id=SITE)
    await domains.move(ctx, "site", [("b", "a")], project_id=project_id, site_id=SITE)
    assert await domains.lookup(ctx, "site", "a") is not None
    assert await domains.lookup(ctx, "site", "b") is None


async def test_a_move_onto_a_taken_name_changes_nothing(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "a")])
    await domains.bind(ctx, [binding(project_id, "b", site=SiteId("sit_b"))])
    with pytest.raises(domains.HostTaken):
        await domains.move(ctx, "site", [("a", "b")], project_id=project_id, site_id=SITE)
    assert await domains.lookup(ctx, "site", "a") is not None


async def test_a_site_that_goes_leaves_tombstones_that_others_may_take(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "a"), binding(project_id, "b")])
    last = await domains.latest_change(ctx)
    assert await domains.unbind_site(ctx, project_id=project_id, site_id=SITE) == 2
    assert {entry.root for entry in await domains.changed_since(ctx, last, 10)} == {None}
    await domains.bind(ctx, [binding(project_id, "a", site=SiteId("sit_b"))])
    assert await domains.lookup(ctx, "site", "a") is not None


async def test_a_suspended_name_stays_so_through_its_sites_deployments_only(
    ctx: Context, project_id: ProjectId
) -> None:
    await domains.bind(ctx, [binding(project_id, "a")])
    async with ctx.transaction() as tx:
        await tx.execute(store.hosts.update().values(suspended=True))
    await domains.bind(ctx, [binding(project_id, "a", root="bafynew")])
    found = await domains.lookup(ctx, "site", "a")
    assert found is not None
    assert found.suspended
    await domains.unbind_site(ctx, project_id=project_id, site_id=SITE)
    await domains.bind(ctx, [binding(project_id, "a", site=SiteId("sit_b"))])
    found = await domains.lookup(ctx, "site", "a")
    assert found is not None
    assert not found.suspended


async def test_old_tombstones_are_reaped_and_numbers_go_on(
    ctx: Context, project_id: ProjectId, clock: FixedClock
) -> None:
    await domains.bind(ctx, [binding(project_id, "a"), binding(project_id, "b", site=SiteId("sit_b"))])
    await domains.unbind_site(ctx, project_id=project_id, site_id=SITE)
    assert await domains.reap_tombstones(ctx) == 0
    clock.advance(timedelta(days=8))
    assert await domains.reap_tombstones(ctx) == 1
    assert await domains.latest_change(ctx) == 3
    assert [entry.name for entry in await domains.changed_since(ctx, 0, 10)] == ["b"]


async def test_strangers_cannot_change_the_table(ctx: Context, project_id: ProjectId) -> None:
    nobody = ctx.acting_as(ANONYMOUS)
    with pytest.raises(Error):
        await domains.bind(nobody, [binding(project_id, "a")])
    with pytest.raises(Error):
        await domains.unbind_site(nobody, project_id=project_id, site_id=SITE)
    with pytest.raises(Forbidden):
        await domains.reap_tombstones(nobody)


async def test_numbers_rise_in_commit_order_whoever_writes(ctx: Context, project_id: ProjectId) -> None:
    """A reader that has seen number N never finds a lower one later: nothing is missed by following the changes."""
    done = asyncio.Event()
    seen: list[int] = []

    async def follow() -> None:
        last = 0
        while True:
            finished = done.is_set()
            page = await domains.changed_since(ctx, last, 1000)
            seen.extend(entry.change_no for entry in page)
            last = page[-1].change_no if page else last
            if finished and not page:
                return
            await asyncio.sleep(0)

    async def write(writer: int) -> None:
        for n in range(10):
            async with ctx.transaction():
                await domains.bind(ctx, [binding(project_id, f"w{writer}-{n}", site=SiteId(f"sit_{writer}"))])
                await asyncio.sleep(0.001 * ((writer * 7 + n) % 3))  # hold the transaction for differing times

    reader = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(6)))
    done.set()
    await reader
    assert seen == list(range(1, 61))


async def test_a_hundred_thousand_names_are_found_as_fast_as_ten(ctx: Context, project_id: ProjectId) -> None:
    rows = [binding(project_id, f"site-{n}") for n in range(100_000)]
    async with ctx.transaction() as tx:
        for start in range(0, len(rows), 5_000):
            part = rows[start : start + 5_000]
            await store.put(tx, part, await store.next_changes(tx, len(part)), ctx.now)
    started = monotonic()
    for n in range(0, 100_000, 2_000):
        assert await domains.lookup(ctx, "site", f"site-{n}") is not None
        assert len(await domains.changed_since(ctx, n, 1)) == 1
    assert await domains.latest_change(ctx) == 100_000
    assert monotonic() - started < 2  # measured: 0.1 s for 100 questions; a scan takes some 3 s


async def test_names_are_found_by_project_too(ctx: Context, project_id: ProjectId) -> None:
    await domains.bind(ctx, [binding(project_id, "a")])
    other = (await projects.create_project(ctx, "Other", owner=(await projects.bootstrap(ctx)).user.id)).id
    assert await domains.unbind_site(ctx, project_id=other, site_id=SITE) == 0
    await domains.move(ctx, "site", [("a", "b")], project_id=other, site_id=SITE)
    assert await domains.lookup(ctx, "site", "a") is not None
