"""Finding a name and checking that the caller may touch it; the first step of every use.

What does not exist and what belongs to strangers give the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from af import projects
from af.core import ids
from af.core.context import Context
from af.core.errors import Forbidden, NotFound
from af.names import rules, store
from af.names.errors import IpnsRecordNotFound
from af.names.models import IpnsName
from af.protocols.ipfs import ipns

if TYPE_CHECKING:
    from af.projects import Project

READ = "storage:read"
WRITE = "storage:write"
TAKE = "projects:write"
"""For private keys: whoever has one speaks for the name forever, also after leaving the project."""


async def may_write(ctx: Context, project_id: str, *, of_site: bool) -> Project:
    """The name of a site is part of deploying it, so a token that may only write sites is enough for that."""
    try:
        return await projects.authorize(ctx, WRITE, project_id=project_id)
    except Forbidden:
        if not of_site:
            raise
        return await projects.authorize(ctx, "sites:write", project_id=project_id)


async def name_for(ctx: Context, action: str, project_id: str | None, named: str) -> IpnsName:
    """``named``: an id; or, in the project, a name or label.

    :raises IpnsRecordNotFound: absent or hidden. :raises Forbidden: visible, but not for this action.
    """
    if ids.is_id(ids.IPNS_RECORD, named):
        return await _by_id(ctx, action, named)
    if project_id is None:
        raise _not_found(named)
    project = await projects.authorize(ctx, action, project_id=project_id)
    name = rules.as_ipns_name(named)
    async with ctx.reading() as connection:
        found = await store.ipns.in_project(connection, project.id, named if name is None else ipns.to_text(name))
    if found is None:
        raise _not_found(named)
    return found


async def _by_id(ctx: Context, action: str, record_id: str) -> IpnsName:
    async with ctx.reading() as connection:
        found = await store.ipns.by_id(connection, record_id)
    if found is None:
        await projects.require_signed_in(ctx)
        raise _not_found(record_id)
    try:
        await projects.authorize(ctx, action, project_id=found.project_id)
    except NotFound as error:
        raise _not_found(record_id) from error
    return found


def _not_found(named: str) -> IpnsRecordNotFound:
    return IpnsRecordNotFound(f"There is no IPNS name {named[:80]!r}.", hint="`af ipns list` shows your names.")
