"""The IPNS name of a site follows what is current, by state: deployments, rollbacks, deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from af import names, projects, sites, storage
from af.core.context import SYSTEM, Context, Platform
from af.core.errors import Forbidden, NotFound
from af.core.ids import ProjectId
from af.names import service as names_service
from af.protocols.ipfs import cid as cids
from af.sites import service
from tests.e2e.authz_world import folder
from tests.support import platforms
from tests.unit.sites.conftest import TickingClock


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, TickingClock(platforms.START)) as opened:
        yield opened


@pytest.fixture
async def ada(platform: Platform) -> Context:
    return await platforms.user(platform, "ada")


@pytest.fixture
async def project(ada: Context) -> ProjectId:
    return (await projects.create_project(ada, "named")).id


async def deployed(ctx: Context, project: str, site: str, text: str, **how: Any) -> str:
    """The path of what is deployed."""
    root, blocks = folder({"index.html": text.encode()})
    await ctx.platform.ports[storage.BlockStore].put(blocks, scope=project)
    await sites.create_deployment(ctx, site, cids.to_text(root), **how)
    return f"/ipfs/{cids.to_text(root)}"


async def run_worker(platform: Platform) -> int:
    """Signs what is due, as the worker does; returns how many names."""
    system = platform.context(SYSTEM)
    due = await names_service.due(system)
    for record_id, _ in due:
        await names_service.renew(system, record_id)
    return len(due)


async def leads_to(ctx: Context, name: str) -> str:
    return (await names.resolve(ctx, name)).path


async def test_a_name_follows_deployments_and_rollbacks(platform: Platform, ada: Context, project: ProjectId) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    made = await service.give_name(ada, site.slug)
    assert (made.value, made.record, made.site_id) == ("", None, site.id)

    first = await deployed(ada, project, site.id, "one")
    assert await run_worker(platform) == 1
    assert await leads_to(ada, made.name) == first

    second = await deployed(ada, project, site.id, "two")
    assert await leads_to(ada, made.name) == first  # signing is the worker's
    assert await run_worker(platform) == 1
    assert await leads_to(ada, made.name) == second

    await sites.rollback(ada, site.id)
    await run_worker(platform)
    assert await leads_to(ada, made.name) == first
    assert (await names.find(ada, project, made.name)).sequence == 2


async def test_previews_and_repetitions_leave_the_name_alone(
    platform: Platform, ada: Context, project: ProjectId
) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    first = await deployed(ada, project, site.id, "one")
    made = await service.give_name(ada, site.slug)
    assert await leads_to(ada, made.name) == first  # at once: there was something to lead to

    await deployed(ada, project, site.id, "preview", production=False)
    await deployed(ada, project, site.id, "one")

    assert await run_worker(platform) == 0
    assert await leads_to(ada, made.name) == first


async def test_a_site_has_one_name(ada: Context, project: ProjectId) -> None:
    site = await sites.create(ada, "blog", project_id=project)

    assert (await service.give_name(ada, site.id)).name == (await service.give_name(ada, site.slug)).name


async def test_a_rotated_key_goes_on_following(platform: Platform, ada: Context, project: ProjectId) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    await deployed(ada, project, site.id, "one")
    old = await service.give_name(ada, site.id)

    new = await names.rotate(ada, None, old.id)
    second = await deployed(ada, project, site.id, "two")
    await run_worker(platform)

    assert await leads_to(ada, new.name) == await leads_to(ada, old.name) == second
    assert (await service.give_name(ada, site.id)).name == new.name


async def test_the_name_of_a_deleted_site_stays_but_is_not_renewed(
    platform: Platform, ada: Context, project: ProjectId
) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    await deployed(ada, project, site.id, "one")
    made = await service.give_name(ada, site.id)

    await sites.delete(ada, site.id)

    kept = await names.find(ada, project, made.name)
    assert (kept.site_id, kept.due_at, kept.key_type) == (None, None, "ed25519")


async def test_the_text_for_dns_says_the_name_or_the_content(ada: Context, project: ProjectId) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    assert await service.dnslink(ada, site) is None

    first = await deployed(ada, project, site.id, "one")
    site = await sites.get(ada, site.id)
    by_content = await service.dnslink(ada, site)
    assert by_content == names.DnsLink(name="_dnslink.blog.localhost", value=f"dnslink={first}")

    made = await service.give_name(ada, site.id)
    by_name = await service.dnslink(ada, site, "www.example.org")
    assert by_name == names.DnsLink(name="_dnslink.www.example.org", value=f"dnslink=/ipns/{made.name}")
    with pytest.raises(names.NameInvalid):
        await service.dnslink(ada, site, "no domain")


async def test_names_are_given_by_those_who_may_deploy(platform: Platform, ada: Context, project: ProjectId) -> None:
    site = await sites.create(ada, "blog", project_id=project)
    eve = await platforms.user(platform, "eve")
    with pytest.raises(NotFound):
        await service.give_name(eve, site.id)

    await projects.add_member(ada, project, user="eve", role=projects.Role.VIEWER)

    with pytest.raises(Forbidden):
        await service.give_name(eve, site.id)
