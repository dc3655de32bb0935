"""Sites: creating, finding, renaming, deleting."""

from __future__ import annotations

import pytest

from af import domains, projects, sites
from af.core.context import ANONYMOUS, Context
from af.core.errors import Error, NotFound, Unauthenticated
from af.core.ids import ProjectId
from af.sites import jobs
from af.sites.errors import InvalidSlug
from tests.unit.sites.conftest import Upload


async def test_a_site_is_found_by_id_and_by_slug(owner: Context, site: sites.Site) -> None:
    assert site.slug == "blog"
    assert await sites.get(owner, site.id) == site
    assert await sites.get(owner, "blog") == site
    assert await sites.get_by_slug(owner, "blog") == site


async def test_a_slug_is_taken_once_on_the_platform(owner: Context, site: sites.Site, project_id: ProjectId) -> None:
    assert not await sites.slug_is_free(owner, "blog")
    with pytest.raises(sites.SlugTaken):
        await sites.create(owner, "Other", slug="blog", project_id=project_id)
    with pytest.raises(sites.SlugTaken):
        await sites.create(owner, "Blog", project_id=project_id)
    assert await sites.slug_is_free(owner, "blog2")
    assert not await sites.slug_is_free(owner, "api")


async def test_a_reserved_slug_is_refused(owner: Context, project_id: ProjectId) -> None:
    for slug in ("api", "app", "auth", "a--b"):
        with pytest.raises(InvalidSlug):
            await sites.create(owner, "x", slug=slug, project_id=project_id)


async def test_lists_are_newest_first_and_paged(owner: Context, project_id: ProjectId) -> None:
    for n in range(5):
        await sites.create(owner, f"site {n}", project_id=project_id)
    first = await sites.list_sites(owner, project_id, first=3)
    assert [found.slug for found in first] == ["site-4", "site-3", "site-2"]
    rest = await sites.list_sites(owner, project_id, first=3, after=first[-1].id)
    assert [found.slug for found in rest] == ["site-1", "site-0"]


async def test_a_new_slug_moves_every_address_at_once(owner: Context, site: sites.Site, upload: Upload) -> None:
    old = await sites.create_deployment(owner, site.id, await upload({"index.html": b"1"}))
    new = await sites.create_deployment(owner, site.id, await upload({"index.html": b"2"}))
    renamed = await sites.rename(owner, "blog", slug="journal", name="Journal")
    assert (renamed.slug, renamed.name) == ("journal", "Journal")
    roots = {}
    for name in ("journal", f"{old.id[-16:]}--journal", f"{new.id[-16:]}--journal"):
        found = await domains.lookup(owner, "site", name)
        roots[name] = found.root if found else None
    assert list(roots.values()) == [new.cid, old.cid, new.cid]
    for name in ("blog", f"{old.id[-16:]}--blog", f"{new.id[-16:]}--blog"):
        assert await domains.lookup(owner, "site", name) is None
    assert await sites.slug_is_free(owner, "blog")


async def test_a_site_can_be_renamed_without_moving(owner: Context, site: sites.Site) -> None:
    renamed = await sites.rename(owner, site.id, name="New name")
    assert (renamed.slug, renamed.name) == ("blog", "New name")
    assert await sites.get(owner, site.id) == renamed


async def test_a_rename_to_a_taken_slug_changes_nothing(
    owner: Context, site: sites.Site, project_id: ProjectId
) -> None:
    await sites.create(owner, "Other", project_id=project_id)
    with pytest.raises(sites.SlugTaken):
        await sites.rename(owner, site.id, slug="other")
    assert (await sites.get(owner, site.id)).slug == "blog"


async def test_a_deleted_site_is_gone_with_its_addresses_and_its_slug_is_free(
    owner: Context, site: sites.Site, upload: Upload, project_id: ProjectId
) -> None:
    deployed = await sites.create_deployment(owner, site.id, await upload({"index.html": b"1"}))
    await sites.delete(owner, site.id)
    with pytest.raises(sites.SiteNotFound):
        await sites.get(owner, site.id)
    with pytest.raises(sites.DeploymentNotFound):
        await sites.get_deployment(owner, deployed.id)
    assert await domains.lookup(owner, "site", "blog") is None
    again = await sites.create(owner, "Blog", project_id=project_id)
    assert again.slug == "blog"
    assert again.current_deployment_id is None


async def test_hidden_and_absent_answer_alike(owner: Context, site: sites.Site) -> None:
    nobody = owner.acting_as(ANONYMOUS)
    for name in (site.id, "sit_0000000000aaaaaaaaaaaaaaaa", "blog", "nothing", "", "x" * 5000):
        with pytest.raises((Unauthenticated, NotFound)) as refused:
            await sites.get(nobody, name)
        assert isinstance(refused.value, Unauthenticated)
    with pytest.raises(sites.SiteNotFound):
        await sites.get(owner, "nothing")


async def test_nobody_cannot_change_anything(owner: Context, site: sites.Site, project_id: ProjectId) -> None:
    nobody = owner.acting_as(ANONYMOUS)
    with pytest.raises(Error):
        await sites.create(nobody, "x", project_id=project_id)
    with pytest.raises(Error):
        await sites.rename(nobody, site.id, name="x")
    with pytest.raises(Error):
        await sites.delete(nobody, site.id)
    with pytest.raises(Error):
        await sites.list_sites(nobody, project_id)
    with pytest.raises(Error):
        await sites.slug_is_free(nobody, "x")


async def test_the_sites_of_a_deleted_project_go_with_it(
    owner: Context, system: Context, site: sites.Site, upload: Upload, project_id: ProjectId
) -> None:
    await sites.create(owner, "Second", project_id=project_id)
    await sites.create_deployment(owner, site.id, await upload({"index.html": b"1"}))
    assert await jobs.RECONCILERS[1].find(system) == []
    await projects.delete_project(owner, project_id)
    ((_, arguments),) = await jobs.RECONCILERS[1].find(system)
    await jobs.WORKFLOWS[1].run(system, *arguments)
    assert await domains.lookup(owner, "site", "blog") is None
    assert await jobs.RECONCILERS[1].find(system) == []
