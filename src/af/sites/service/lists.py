"""Many rows in one query: what the GraphQL edge's batch loaders call, so that a list never costs a query per row.

Ids that reach these functions come from objects that the caller has been shown; each project among the rows is
authorised all the same, and what is not the caller's is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from af import projects
from af.core.context import Context
from af.core.errors import Forbidden, NotFound, Unauthenticated
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.sites import store
from af.sites.models import Deployment, Routes, Site
from af.sites.service.access import READ

Found = TypeVar("Found", Site, Deployment)
BATCH_MAX = 1_000
PER_PARENT_MAX = 100


async def sites_by_id(ctx: Context, site_ids: Sequence[SiteId]) -> dict[SiteId, Site]:
    """The sites that the caller may see, by id."""
    async with ctx.reading() as connection:
        found = await store.sites_by_id(connection, site_ids[:BATCH_MAX])
    return await _visible(ctx, found)


async def deployments_by_id(ctx: Context, deployment_ids: Sequence[DeploymentId]) -> dict[DeploymentId, Deployment]:
    """The deployments that the caller may see, by id."""
    async with ctx.reading() as connection:
        found = await store.deployments_by_id(connection, deployment_ids[:BATCH_MAX])
    return await _visible(ctx, found)


async def newest_sites(ctx: Context, project_ids: Sequence[ProjectId], limit: int) -> dict[ProjectId, list[Site]]:
    """The newest sites (≤ 100) of each project that the caller may see."""
    allowed = [project_id for project_id in project_ids[:BATCH_MAX] if await _may_read(ctx, project_id)]
    async with ctx.reading() as connection:
        return await store.sites_of_projects(connection, allowed, limit=max(1, min(limit, PER_PARENT_MAX)))


async def latest_deployments(ctx: Context, site_ids: Sequence[SiteId], limit: int) -> dict[SiteId, list[Deployment]]:
    """The newest deployments (≤ 100) of each site that the caller may see."""
    async with ctx.reading() as connection:
        found = await store.deployments_of_sites(
            connection, site_ids[:BATCH_MAX], limit=max(1, min(limit, PER_PARENT_MAX))
        )
    allowed = await _readable_projects(ctx, {row.project_id for rows in found.values() for row in rows})
    return {site_id: [row for row in rows if row.project_id in allowed] for site_id, rows in found.items()}


async def routes_by_deployment(ctx: Context, deployment_ids: Sequence[DeploymentId]) -> dict[DeploymentId, Routes]:
    """The rules, and the rejected lines, of deployments that the caller may see."""
    seen = await deployments_by_id(ctx, deployment_ids)
    async with ctx.reading() as connection:
        return await store.routes_of(connection, seen)


Key = TypeVar("Key", SiteId, DeploymentId)


async def _visible(ctx: Context, found: dict[Key, Found]) -> dict[Key, Found]:
    allowed = await _readable_projects(ctx, {row.project_id for row in found.values()})
    return {key: row for key, row in found.items() if row.project_id in allowed}


async def _readable_projects(ctx: Context, project_ids: Iterable[ProjectId]) -> set[ProjectId]:
    return {project_id for project_id in project_ids if await _may_read(ctx, project_id)}


async def _may_read(ctx: Context, project_id: ProjectId) -> bool:
    try:
        await projects.authorize(ctx, READ, project_id=project_id)
    except (NotFound, Forbidden, Unauthenticated):
        return False
    return True
