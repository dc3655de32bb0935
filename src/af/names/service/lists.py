"""Reading a project's names."""

from __future__ import annotations

from collections.abc import Sequence

from af import projects
from af.core.context import Context
from af.core.ids import SiteId
from af.names import store
from af.names.models import IpnsName
from af.names.service.access import READ, name_for

PAGE_MAX = 100


async def find(ctx: Context, project_id: str | None, named: str) -> IpnsName:
    """A name by id; or by itself or its label, in a project. :raises IpnsRecordNotFound: absent or hidden."""
    return await name_for(ctx, READ, project_id, named)


async def list_names(
    ctx: Context, project_id: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[IpnsName]:
    """A project's names, oldest first. ``after`` is the last id of the page before; ``first`` ≤ 101."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.ipns.of_project(connection, project.id, after=after, limit=max(1, min(first, PAGE_MAX + 1)))


async def names_of_sites(ctx: Context, site_ids: Sequence[SiteId]) -> dict[SiteId, list[IpnsName]]:
    """The names that follow each of these sites, which the caller has been shown (so it may see their names)."""
    found: dict[SiteId, list[IpnsName]] = {site_id: [] for site_id in site_ids}
    async with ctx.reading() as connection:
        for name in await store.ipns.of_sites(connection, site_ids):
            assert name.site_id is not None, "they were asked for by their sites"
            found[name.site_id].append(name)
    return found
