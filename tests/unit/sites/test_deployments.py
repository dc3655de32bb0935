"""Deployments from uploaded content: live at once, repeatable, reversible, comparable."""

from __future__ import annotations

import asyncio

import pytest

from af import domains, sites
from af.core import events
from af.core.clock import monotonic
from af.core.context import ANONYMOUS, Context
from af.core.errors import Error, InvalidInput
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.sites import service
from af.sites.models import DeploymentSource, DeploymentStatus, DiffChange, DiffFile
from tests.unit.sites.conftest import Upload


async def current(ctx: Context, site: sites.Site) -> sites.Deployment:
    """What visitors of the site see, checked against its pointer."""
    pointer = (await sites.get(ctx, site.id)).current_deployment_id
    host = await domains.lookup(ctx, "site", site.slug)
    assert pointer is not None
    assert host is not None
    deployment = await sites.get_deployment(ctx, pointer)
    assert (host.deployment_id, host.root) == (deployment.id, deployment.cid)
    return deployment


async def test_a_deployment_is_live_under_both_addresses(owner: Context, site: sites.Site, upload: Upload) -> None:
    root = await upload({"index.html": b"hello", "a/b.txt": b"b", "_redirects": b"/x /y\n/bad\n"})
    deployment = await sites.create_deployment(owner, site.slug, root, message="first")
    assert deployment.status is DeploymentStatus.SUCCESS
    assert (deployment.cid, deployment.files, deployment.message) == (root, 3, "first")
    assert deployment.ready_at is not None
    assert await current(owner, site) == deployment
    preview = await domains.lookup(owner, "site", f"{deployment.id[-16:]}--blog")
    assert preview is not None
    assert preview.root == root
    assert [rule["from"] for rule in preview.routes["redirects"]] == ["/x"]
    rules = (await service.routes_by_deployment(owner, [deployment.id]))[deployment.id]
    assert [(rule.file, rule.line) for rule in rules.rejected] == [("_redirects", 2)]


async def test_a_preview_leaves_the_site_alone(owner: Context, site: sites.Site, upload: Upload) -> None:
    live = await sites.create_deployment(owner, site.id, await upload({"index.html": b"1"}))
    preview = await sites.create_deployment(owner, site.id, await upload({"index.html": b"2"}), production=False)
    assert await current(owner, site) == live
    host = await domains.lookup(owner, "site", f"{preview.id[-16:]}--blog")
    assert host is not None
    assert host.root == preview.cid


async def test_the_same_content_again_is_the_same_deployment(owner: Context, site: sites.Site, upload: Upload) -> None:
    root = await upload({"index.html": b"1"})
    first = await sites.create_deployment(owner, site.id, root)
    assert await sites.create_deployment(owner, site.id, root) == first
    assert len(await sites.list_deployments(owner, site.id)) == 1


async def test_missing_content_is_refused_and_nothing_changes(owner: Context, site: sites.Site) -> None:
    absent = cids.to_text(cids.of(cids.DAG_PB, b"nowhere"))
    with pytest.raises(Error):
        await sites.create_deployment(owner, site.id, absent)
    assert await sites.list_deployments(owner, site.id) == []
    assert await domains.lookup(owner, "site", "blog") is None


@pytest.mark.parametrize("root", ["", "hello", "bafy" + "a" * 1000])
async def test_a_root_that_is_no_cid_is_refused(owner: Context, site: sites.Site, root: str) -> None:
    with pytest.raises(InvalidInput):
        await sites.create_deployment(owner, site.id, root)


async def test_a_file_is_not_a_site(owner: Context, site: sites.Site, upload: Upload) -> None:
    await upload({"index.html": b"hello"})
    with pytest.raises(InvalidInput, match="directory"):
        await sites.create_deployment(owner, site.id, cids.to_text(cids.of(cids.RAW, b"hello")))


async def test_rollback_shows_the_older_content_with_its_rules(
    owner: Context, site: sites.Site, upload: Upload
) -> None:
    first = await sites.create_deployment(owner, site.id, await upload({"a": b"1", "_redirects": b"/x /one\n"}))
    second = await sites.create_deployment(owner, site.id, await upload({"a": b"2", "_redirects": b"/x /two\n"}))
    back = await sites.rollback(owner, site.id)
    assert back.id not in (first.id, second.id)
    assert (back.cid, back.source, back.production) == (first.cid, DeploymentSource.ROLLBACK, True)
    assert (back.restores, back.rolled_back_from) == (first.id, second.id)
    assert await current(owner, site) == back
    host = await domains.lookup(owner, "site", "blog")
    assert host is not None
    assert host.routes["redirects"][0]["to"] == "/one"
    again = await sites.rollback(owner, site.id)
    assert (again.cid, again.restores) == (second.cid, second.id)


async def test_rollback_to_a_named_deployment(owner: Context, site: sites.Site, upload: Upload) -> None:
    made = [await sites.create_deployment(owner, site.id, await upload({"a": b"%d" % n})) for n in range(4)]
    assert (await sites.rollback(owner, site.id, made[1].id)).cid == made[1].cid
    with pytest.raises(sites.DeploymentNotFound):
        await sites.rollback(owner, site.id, "dep_0000000000aaaaaaaaaaaaaaaa")


async def test_rollback_needs_something_to_go_back_to(
    owner: Context, site: sites.Site, upload: Upload, project_id: ProjectId
) -> None:
    with pytest.raises(sites.NothingToRollBackTo):
        await sites.rollback(owner, site.id)
    await sites.create_deployment(owner, site.id, await upload({"a": b"0"}), production=False)
    await sites.create_deployment(owner, site.id, await upload({"a": b"1"}))
    with pytest.raises(sites.NothingToRollBackTo):
        await sites.rollback(owner, site.id)
    other = await sites.create(owner, "Other", project_id=project_id)
    foreign = await sites.create_deployment(owner, other.id, await upload({"a": b"2"}))
    with pytest.raises(sites.DeploymentNotFound):
        await sites.rollback(owner, site.id, foreign.id)


async def test_promotion_shows_a_preview_to_everybody(owner: Context, site: sites.Site, upload: Upload) -> None:
    await sites.create_deployment(owner, site.id, await upload({"a": b"1"}))
    preview = await sites.create_deployment(owner, site.id, await upload({"a": b"2"}), production=False)
    promoted = await sites.promote(owner, preview.id)
    assert (promoted.cid, promoted.source, promoted.restores) == (preview.cid, DeploymentSource.PROMOTE, preview.id)
    assert await current(owner, site) == promoted
    assert await sites.promote(owner, promoted.id) == promoted


async def test_two_deploys_at_once_both_exist_and_the_pointer_is_one_of_them(
    owner: Context, site: sites.Site, upload: Upload
) -> None:
    roots = [await upload({"a": b"%d" % n}) for n in range(6)]
    made = await asyncio.gather(*(sites.create_deployment(owner, site.id, root) for root in roots))
    listed = await sites.list_deployments(owner, site.id)
    assert {deployment.id for deployment in listed} == {deployment.id for deployment in made}
    assert all(deployment.status is DeploymentStatus.SUCCESS for deployment in listed)
    last = (await domains.changed_since(owner, 0, 1000))[-1]
    assert (await current(owner, site)).id == last.deployment_id


async def test_the_diff_lists_files_sizes_and_rules(owner: Context, site: sites.Site, upload: Upload) -> None:
    same = {f"same/{n}": b"x" * n for n in range(50)}
    before = await sites.create_deployment(
        owner,
        site.id,
        await upload(same | {"a": b"1", "b": b"22", "old/c": b"3", "turns": b"f", "_redirects": b"/x /1\n/y /2\n"}),
    )
    after = await sites.create_deployment(
        owner,
        site.id,
        await upload(
            same
            | {"a": b"1", "b": b"333", "new/d/e": b"4444", "turns/in": b"to", "_headers": b"/*\n A: 1\n"}
            | {"_redirects": b"/y /2\n/z /3 302\n"}
        ),
    )
    diff = await sites.diff(owner, before.id, after.id)
    assert diff.added == (DiffFile("_headers", 9), DiffFile("new/d/e", 4), DiffFile("turns/in", 2))
    assert diff.removed == (DiffFile("old/c", 1), DiffFile("turns", 1))
    assert diff.changed == (DiffChange("_redirects", 12, 16), DiffChange("b", 2, 3))
    assert (diff.redirects_added, diff.redirects_removed) == (("/z /3 302",), ("/x /1 301",))
    assert (diff.headers_added, diff.headers_removed) == (("/* A: 1",), ())
    assert not diff.truncated
    nothing = await sites.diff(owner, after.id, after.id)
    assert (nothing.added, nothing.removed, nothing.changed) == ((), (), ())


async def test_a_diff_of_large_files_knows_their_sizes(owner: Context, site: sites.Site, upload: Upload) -> None:
    before = await sites.create_deployment(owner, site.id, await upload({"big": b"a" * 3_000_000}))
    after = await sites.create_deployment(owner, site.id, await upload({"big": b"b" * 2_500_000}))
    assert (await sites.diff(owner, before.id, after.id)).changed == (DiffChange("big", 3_000_000, 2_500_000),)


async def test_each_state_is_told_once_and_names_its_site(
    owner: Context, site: sites.Site, upload: Upload, project_id: ProjectId
) -> None:
    deployment = await sites.create_deployment(owner, site.id, await upload({"a": b"1"}))
    whole_project = await events.recorded(owner, project_id=project_id)
    (told,) = [event for event in whole_project if event.kind == "deployment.status"]
    assert (told.topic, told.data["siteId"], told.data["status"]) == (f"deployment:{deployment.id}", site.id, "SUCCESS")


async def test_a_finished_deployments_status_can_be_watched(owner: Context, site: sites.Site, upload: Upload) -> None:
    deployment = await sites.create_deployment(owner, site.id, await upload({"a": b"1"}))
    seen = [update.status async for update in service.watch_status(owner, deployment.id)]
    assert seen == [DeploymentStatus.SUCCESS]


async def test_nobody_can_deploy_roll_back_promote_or_look(owner: Context, site: sites.Site, upload: Upload) -> None:
    root = await upload({"a": b"1"})
    deployment = await sites.create_deployment(owner, site.id, root)
    nobody = owner.acting_as(ANONYMOUS)
    for refused in (
        sites.create_deployment(nobody, site.id, root),
        sites.rollback(nobody, site.id),
        sites.promote(nobody, deployment.id),
        sites.cancel(nobody, deployment.id),
        sites.get_deployment(nobody, deployment.id),
        sites.list_deployments(nobody, site.id),
        sites.diff(nobody, deployment.id, deployment.id),
    ):
        with pytest.raises(Error):
            await refused
    assert await service.latest_deployments(nobody, [site.id], 10) == {site.id: []}
    assert await service.sites_by_id(nobody, [site.id]) == {}
    assert await service.routes_by_deployment(nobody, [deployment.id]) == {}


async def test_deploy_and_rollback_are_quick(owner: Context, site: sites.Site, upload: Upload) -> None:
    """Measured on the 2-core build machine: 1,000 files deploy in some 40 ms, a rollback takes some 8 ms."""
    files = {f"d{n % 20}/{n}.html": b"x" * n for n in range(1000)}
    roots = [await upload(files | {"index.html": b"%d" % n}) for n in range(3)]
    times = []
    for root in roots:
        started = monotonic()
        await sites.create_deployment(owner, site.id, root)
        times.append(monotonic() - started)
    rollbacks = []
    for _ in range(5):
        started = monotonic()
        await sites.rollback(owner, site.id)
        rollbacks.append(monotonic() - started)
    print(f"deploy {min(times) * 1000:.1f} ms, rollback {min(rollbacks) * 1000:.1f} ms")
    assert min(times) < 0.5
    assert min(rollbacks) < 0.1
