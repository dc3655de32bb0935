"""What happens to names by itself: records are renewed before they end, and names follow their site and project."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from af import projects
from af.core.context import Context, only_the_platform
from af.core.ids import IpnsRecordId, ProjectId
from af.names import rules, store
from af.names.models import IpnsName
from af.names.service import signing
from af.protocols.ipfs import ipns

DUE_AT_ONCE = 500
AGAIN_AFTER = timedelta(minutes=10)
"""How long a name waits whose record could not be signed."""


async def due(ctx: Context) -> list[tuple[IpnsRecordId, datetime]]:
    """Names whose record is to be signed now, and since when. For the worker."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        return await store.ipns.due(connection, ctx.now, DUE_AT_ONCE)


async def renew(ctx: Context, record_id: IpnsRecordId) -> None:
    """Sign what the name should say, if it is still due: again with the same sequence if that is what it says already.
    Harmless when repeated."""
    only_the_platform(ctx)
    async with ctx.transaction() as tx:
        name = await store.ipns.by_id(tx, record_id, locked=True)
        if name is None or name.due_at is None or name.due_at > ctx.now or not name.value:
            return
        own = None if name.record is None else ipns.read(ipns.parse_name(name.name), name.record)
        if own is None or own.value.decode() != name.value:
            await signing.sign(ctx, name)
        elif await _leads_elsewhere(ctx, own, name):
            await store.ipns.postpone(tx, record_id, rules.next_signing(ctx.now, name.lifetime_seconds))
        else:
            await signing.sign(ctx, name, sequence=own.sequence)


async def _leads_elsewhere(ctx: Context, own: ipns.Record, name: IpnsName) -> bool:
    """Whether a newer record says something else, signed elsewhere with the same key: then ours must not come back just
    because it would end later."""
    newest = await signing.newest(ctx, ipns.parse_name(name.name))
    return newest is not None and newest.value != own.value


async def postpone(ctx: Context, record_id: IpnsRecordId) -> None:
    """Try again later: the record could not be signed."""
    only_the_platform(ctx)
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
    only_the_platform(ctx)

    async def with_names(deleted: Sequence[ProjectId]) -> set[ProjectId]:
        async with ctx.reading() as connection:
            named = await store.ipns.projects_with_names(connection, deleted)
            return {*named, *await store.ens.projects_with_records(connection, deleted)}

    return await projects.deleted_projects_with(ctx, with_names)


async def forget_project(ctx: Context, project_id: str) -> int:
    """Delete the names, keys and ENS records of a deleted project; returns how many. Harmless when repeated."""
    only_the_platform(ctx)
    async with ctx.transaction() as tx:
        ctx.ring("names")
        return await store.ipns.delete_of_project(tx, project_id) + await store.ens.delete_of_project(tx, project_id)
