"""Reading and changing the host table.

Changes are made on behalf of a higher domain, inside its transaction and after it has authorised its own action; they
are authorised here again, against the project that the names belong to. Reads are for the gateway and are public in the
way that DNS is: whoever visits a name learns what it leads to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from af import projects
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import ProjectId, SiteId
from af.domains import store
from af.domains.errors import HostTaken
from af.domains.models import HostBinding, HostEntry

CHANGES_PAGE_MAX = 10_000
BINDINGS_MAX = 1_000
TOMBSTONE_KEEP = timedelta(days=7)
"""Far longer than a gateway process may lag behind: one that is older must read the table anew."""


async def bind(ctx: Context, bindings: Sequence[HostBinding]) -> None:
    """Lead names to content, replacing what they led to before. All names belong to one project.

    :raises HostTaken: a name leads to another site.
    """
    assert 0 < len(bindings) <= BINDINGS_MAX
    project_id = bindings[0].project_id
    assert all(binding.project_id == project_id for binding in bindings)
    await projects.authorize(ctx, "sites:write", project_id=project_id)
    async with ctx.transaction() as tx:
        changes = await store.next_changes(tx, len(bindings))  # first: it is the lock
        owners = await store.owners(tx, [(binding.zone, binding.name) for binding in bindings])
        for binding in bindings:
            if owners.get((binding.zone, binding.name), binding.site_id) != binding.site_id:
                raise HostTaken(f"The host name {binding.name} is in use by another site.", field="slug")
        await store.put(tx, bindings, changes, ctx.now)
        ctx.ring("hosts")


async def move(
    ctx: Context, zone: str, names: Sequence[tuple[str, str]], *, project_id: ProjectId, site_id: SiteId
) -> None:
    """Rename names of one site, ``(old, new)``, keeping what they lead to. The old ones lead nowhere afterwards.

    :raises HostTaken: a new name leads to another site.
    """
    await projects.authorize(ctx, "sites:write", project_id=project_id)
    async with ctx.transaction() as tx:
        changes = await store.next_changes(tx, 2 * len(names))
        mine = set(await store.names_of_site(tx, project_id, site_id))
        known = [(old, new) for old, new in names if (zone, old) in mine]
        for start in range(0, len(known), BINDINGS_MAX):
            part = known[start : start + BINDINGS_MAX]
            for taken in await store.owners(tx, [(zone, new) for _, new in part]):
                raise HostTaken(f"The host name {taken[1]} is in use.", field="slug")
        await store.copy(tx, zone, known, changes[: len(known)], ctx.now)
        old_names = [(zone, old) for old, _ in known]
        await store.bury(tx, old_names, changes[len(known) : 2 * len(known)], ctx.now)
        ctx.ring("hosts")


async def unbind_site(ctx: Context, *, project_id: ProjectId, site_id: SiteId) -> int:
    """Every name of a site leads nowhere from now on; returns how many there were."""
    await projects.authorize(ctx, "sites:write", project_id=project_id)
    async with ctx.transaction() as tx:
        names = await store.names_of_site(tx, project_id, site_id)
        if names:
            changes = await store.next_changes(tx, len(names))
            await store.bury(tx, names, changes, ctx.now)
            ctx.ring("hosts")
        return len(names)


async def lookup(ctx: Context, zone: str, name: str) -> HostEntry | None:
    """What a name leads to; `None` when it leads nowhere."""
    async with ctx.reading() as connection:
        return await store.lookup(connection, zone, name)


async def changed_since(ctx: Context, change_no: int, limit: int) -> list[HostEntry]:
    """Entries with a higher change number, tombstones too, in rising order; at most ``limit`` (≤ 10,000).

    Ask again with the last one's number until the answer is shorter than ``limit``.
    """
    async with ctx.reading() as connection:
        return await store.changed_since(connection, change_no, min(limit, CHANGES_PAGE_MAX))


async def latest_change(ctx: Context) -> int:
    """The highest change number that is committed; 0 for an empty table."""
    async with ctx.reading() as connection:
        return await store.latest_change(connection)


async def reap_tombstones(ctx: Context) -> int:
    """Forget names that have led nowhere for `TOMBSTONE_KEEP`; run by the worker's schedule as the platform itself."""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself cleans up the host table.")
    async with ctx.transaction() as tx:
        return await store.reap(tx, ctx.now - TOMBSTONE_KEEP)


async def live(ctx: Context, project_id: ProjectId) -> list[HostEntry]:
    """What the project's sites show now, an entry for each site that shows something."""
    await projects.authorize(ctx, "sites:read", project_id=project_id)
    async with ctx.reading() as connection:
        return await store.live(connection, project_id)
