"""The one place that decides who may do what, and the record of what was done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from af import auth
from af.core import audit as audit_log
from af.core.context import ActorKind, Context
from af.core.ids import ProjectId, UserId
from af.projects import rules, store
from af.projects.errors import NoProjectSelected, OrganizationNotFound, ProjectNotFound, RoleTooLow
from af.projects.models import Organization, OrganizationMember, OrganizationRole, Project, Role


async def authorize(ctx: Context, action: str, *, project_id: str) -> Project:
    """The project, if the caller may do ``action`` (``sites:write``) in it. ``project_id`` may be its id or slug.

    A stranger learns nothing: an absent and a hidden project answer alike. The platform itself (jobs) may do
    everything, in deleted projects too, so that it can clean up after them.

    :raises Unauthenticated: nobody asks. :raises ProjectNotFound: absent, deleted, or the caller is no member or its
        token is limited to another project. :raises RoleTooLow, ScopeMissing: a member, but not for this.
    """
    project, role = await membership(ctx, project_id)
    assert action in rules.PROJECT_ACTIONS, f"no such action: {action}"
    auth.require_scope(ctx.actor.scopes, action)
    if not rules.allows(role, action):
        needed = rules.lowest_role(action).value.lower()
        raise RoleTooLow(
            f"Your role in {project.slug} is {role.value.lower()}; {action} needs {needed}.",
            hint="Ask an admin or owner of the project.",
        )
    return project


async def membership(ctx: Context, project_id: str) -> tuple[Project, Role]:
    """The project and the caller's role in it; the platform itself counts as an owner.

    :raises Unauthenticated: nobody asks. :raises ProjectNotFound: absent or hidden.
    """
    await auth.require_signed_in(ctx)
    known = _known.get()
    found = known.get((ctx.actor.user_id, project_id)) if known is not None else None
    if found is None:
        found = await _read_membership(ctx, project_id)
        if known is not None and found is not None:
            for name in (project_id, found[0].id, found[0].slug):
                known[ctx.actor.user_id, name] = found
    if found is None or ctx.actor.project_id not in (None, found[0].id):
        raise ProjectNotFound(f"There is no project {project_id[:80]!r}.", hint="`af projects list` shows yours.")
    return found


async def authorize_organization(ctx: Context, action: str, *, organization_id: str) -> Organization:
    """The organization, if the caller may do ``action`` (``members:write``) in it; by id or slug, as `authorize`.

    :raises Unauthenticated: nobody asks. :raises OrganizationNotFound: absent, deleted, the caller is no member, or its
        token is limited to a project. :raises RoleTooLow, ScopeMissing: a member, but not for this.
    """
    return (await organization_place(ctx, action, organization_id=organization_id))[0]


async def organization_place(
    ctx: Context, action: str, *, organization_id: str
) -> tuple[Organization, OrganizationMember | None]:
    """As `authorize_organization`, with the caller's place in it; the platform itself has none and may do
    everything."""
    await auth.require_signed_in(ctx)
    assert action in rules.ORGANIZATION_ACTIONS, f"no such action: {action}"
    found = await _read_place(ctx, organization_id) if _NAME.fullmatch(organization_id) else None
    if found is None or ctx.actor.project_id is not None:
        raise OrganizationNotFound(
            f"There is no organization {organization_id[:80]!r}.", hint="`af organizations list` shows yours."
        )
    organization, place = found
    auth.require_scope(ctx.actor.scopes, action)
    role = OrganizationRole.OWNER if place is None else place.role
    if not rules.organization_allows(role, action):
        raise RoleTooLow(
            f"Your role in {organization.slug} is {role.value.lower()}, which does not include {action}.",
            hint="Ask an admin or owner of the organization.",
        )
    return organization, place


async def _read_place(ctx: Context, organization_id: str) -> tuple[Organization, OrganizationMember | None] | None:
    async with ctx.reading() as connection:
        if ctx.actor.user_id is not None:
            return await store.organizations.organization_and_member(connection, organization_id, ctx.actor.user_id)
        assert ctx.actor.kind is ActorKind.SYSTEM
        organization = await store.organizations.organization(connection, organization_id)
        return (organization, None) if organization else None


async def _read_membership(ctx: Context, project_id: str) -> tuple[Project, Role] | None:
    if _NAME.fullmatch(project_id) is None:
        return None  # neither an id nor a slug: no reason to ask the database
    async with ctx.reading() as connection:
        if ctx.actor.user_id is not None:
            return await store.access.project_and_role(connection, project_id, ctx.actor.user_id)
        assert ctx.actor.kind is ActorKind.SYSTEM
        project = await store.projects.project(connection, project_id)
        return (project, Role.OWNER) if project else None


_NAME = re.compile(r"[a-z0-9_-]{1,80}")
_known: ContextVar[dict[tuple[UserId | None, str], tuple[Project, Role]] | None] = ContextVar(
    "known_memberships", default=None
)


@contextmanager
def memberships_read_once() -> Iterator[None]:
    """Within the block each membership is read once. For one request that changes nothing: a query over many things of
    a project asks for the same membership again and again."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


async def require_signed_in(ctx: Context) -> None:
    """:raises Unauthenticated: the caller is nobody. For answers that do not depend on a project."""
    await auth.require_signed_in(ctx)


async def authorize_operator(ctx: Context) -> None:
    """:raises OperatorOnly: the caller does not run the platform. For what concerns all projects at once."""
    await auth.require_operator(ctx)


async def selected(ctx: Context, project_id: str | None = None) -> Project:
    """The project that a request is about when its arguments need not say: ``project_id`` if given, else
    ``X-Project-Id``, else the one that the token is limited to or was made for, else the caller's only one.

    :raises NoProjectSelected: the caller has several, or none. :raises ProjectNotFound: absent or hidden.
    """
    named = project_id or ctx.selected_project_id or ctx.actor.project_id or ctx.actor.chosen_project_id
    if named is not None:
        return (await membership(ctx, named))[0]
    await auth.require_signed_in(ctx)
    if ctx.actor.user_id is None:
        raise NoProjectSelected("The platform itself must name the project.")
    async with ctx.reading() as connection:
        found = await store.access.projects_of(connection, ctx.actor.user_id, after=None, limit=2)
    if len(found) != 1:
        which = "You are in several projects" if found else "You are in no project"
        raise NoProjectSelected(f"{which}; say which one.", hint="Send X-Project-Id, or set AF_PROJECT_ID.")
    return found[0]


async def audit(
    ctx: Context,
    action: str,
    project_id: ProjectId,
    target: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Record, in the caller's transaction, that ``action`` (``site.create``) was done to ``target`` (an id).

    ``before`` and ``after`` are the changed fields; no secrets.
    """
    await audit_log.record(ctx, f"project:{project_id}", action, target, before, after)
