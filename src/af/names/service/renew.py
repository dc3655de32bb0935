"""What happens to names by itself: records are renewed before they end, and names follow their site and project."""

from __future__ import annotations

from datetime import datetime, timedelta

from af import projects
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import IpnsRecordId, ProjectId
from af.names import rules, store
from af.names.service import signing

DUE_AT_ONCE = 500
DELETED_PAGES_MAX = 1_000
AGAIN_AFTER = timedelta(minutes=10)
"""How long a name waits whose record could not be signed."""


async def due(ctx: Context) -> list[tuple[IpnsRecordId, datetime]]:
    """Names whose record is to be signed now, and since when. For the worker."""
    _require_platform(ctx)
    async with ctx.reading() as connection:
        return await store.ipns.due(connection, ctx.now, DUE_AT_ONCE)


async def renew(ctx: Context, record_id: IpnsRecordId) -> None:
    """Sign what the name should say, if it is still due. Harmless when repeated."""
    _require_platform(ctx)
    async with ctx.transaction() as tx:
        name = await store.ipns.by_id(tx, record_id, locked=True)
        if name is None or name.due_at is None or name.due_at > ctx.now or not name.value:
            return
        await signing.sign(ctx, name, renewal=True)


async def postpone(ctx: Context, record_id: IpnsRecordId) -> None:
    """Try again later: the record could not be signed."""
    _require_platform(ctx)
    async with ctx.transaction() as tx:
        await store.ipns.postpone(tx, record_id, ctx.now + AGAIN_AFTER)


async def lead_site(ctx: Context, site_id: str, value: str) -> None:
    """From now on the names of a site lead to ``value``. In the caller's transaction, which changes the site: the names
    follow it for certain, and signing is the worker's, so that a lost key holds up no deployment."""
    path = rules.read_target(value).path
    async with ctx.transaction() as tx:
        if await store.ipns.lead_site(tx, site_id, path, ctx.now):
            ctx.ring("work")


async def leave_site(ctx: Context, site_id: str) -> None:
    """The site is deleted: its names stay with their keys, but are not renewed, as nothing is behind them."""
    async with ctx.transaction() as tx:
        await store.ipns.leave_site(tx, site_id, ctx.now)


async def projects_to_forget(ctx: Context) -> list[ProjectId]:
    """Deleted projects that still have names. For the worker: projects know nothing of names, so names follow them."""
    _require_platform(ctx)
    found: list[ProjectId] = []
    after: ProjectId | None = None
    for _ in range(DELETED_PAGES_MAX):
        page = await projects.deleted_projects(ctx, after=after)
        if not page:
            break
        after = page[-1].id
        async with ctx.reading() as connection:
            found += await store.ipns.projects_with_names(connection, [project.id for project in page])
    return found


async def forget_project(ctx: Context, project_id: str) -> int:
    """Delete the names and keys of a deleted project; returns how many. Harmless when repeated."""
    _require_platform(ctx)
    async with ctx.transaction() as tx:
        ctx.ring("names")
        return await store.ipns.delete_of_project(tx, project_id)


def _require_platform(ctx: Context) -> None:
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform's worker does this.")
