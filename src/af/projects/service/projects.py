"""Create, list, change and delete projects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from af import auth
from af.core import events, ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden, Unauthenticated
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects import rules, store
from af.projects.errors import OrganizationNotFound, ProjectSlugTaken, TooManyProjects
from af.projects.models import Member, Project, Role
from af.projects.service.access import audit, authorize, authorize_organization
from af.projects.service.organizations import ensure_home

PAGE_MAX = 100
BATCH_MAX = 1_000
DELETED_PAGES_MAX = 1_000


async def create_project(
    ctx: Context,
    name: str,
    *,
    owner: UserId | None = None,
    slug: str | None = None,
    organization_id: str | None = None,
) -> Project:
    """A new project with the caller as its owner; the platform itself names the owner. It belongs to the organization
    that is named by id or slug, else to the owner's personal one.

    The slug is made of the name; when it is taken it gets ``-2`` … ``-100``.
    :raises ScopeMissing, Forbidden: the caller's token is limited. :raises ProjectSlugTaken: a hundred have the name.
    :raises OrganizationNotFound, RoleTooLow: the caller may make no project there.
    """
    user_id = owner if ctx.actor.kind is ActorKind.SYSTEM else ctx.actor.user_id
    if user_id is None:
        raise Unauthenticated("Sign in first.", hint="Run `af login`, or set AF_TOKEN.")
    auth.require_scope(ctx.actor.scopes, "projects:write")
    if ctx.actor.project_id is not None:
        raise Forbidden("A token that is limited to a project cannot make another.")
    name = rules.check_name(name)
    wanted = rules.slug_from_name(slug or name)
    if organization_id is None:
        home = await ensure_home(ctx, user_id=user_id)
    else:
        home = await authorize_organization(ctx, "projects:write", organization_id=organization_id)
    async with ctx.transaction() as tx:
        if await store.organizations.locked(tx, home.id) is None:  # no project may come into what is being deleted
            raise OrganizationNotFound(f"There is no organization {home.slug!r} any more.")
        if await store.projects.count_created(tx, user_id) >= rules.PROJECTS_PER_USER_MAX:
            raise TooManyProjects(f"You have made {rules.PROJECTS_PER_USER_MAX} projects.")
        project = Project(
            id=ProjectId(ids.new(ids.PROJECT, ctx.now)),
            name=name,
            slug=wanted,
            avatar=None,
            backup_storage_on_arweave=False,
            backup_storage_on_filecoin=False,
            organization_id=home.id,
            created_by=user_id,
            created_at=ctx.now,
            updated_at=ctx.now,
            deleted_at=None,
        )
        for attempt in range(1, rules.SLUG_TRIES_MAX + 1):
            project = replace(project, slug=rules.slug_candidate(wanted, attempt))
            if await store.projects.insert(tx, project):
                break
        else:
            raise ProjectSlugTaken(f"The slugs {wanted} to {wanted}-100 are taken.", field="name")
        await store.members.insert(tx, Member(project.id, user_id, Role.OWNER, ctx.now))
        await audit(ctx, "project.create", project.id, project.id, None, {"name": name, "slug": project.slug})
        await _tell(ctx, project, "project.created")
    return project


async def get_project(ctx: Context, id_or_slug: str) -> Project:
    """:raises ProjectNotFound: absent or hidden."""
    return await authorize(ctx, "projects:read", project_id=id_or_slug)


async def list_projects(
    ctx: Context, *, first: int = PAGE_MAX, after: str | None = None, organization_id: OrganizationId | None = None
) -> list[Project]:
    """The projects in which the caller has a role, oldest first; ``after`` is the last id of the page before.

    A token that is limited to a project sees that one.
    """
    await auth.require_signed_in(ctx)
    auth.require_scope(ctx.actor.scopes, "projects:read")
    if ctx.actor.user_id is None:
        raise Forbidden("Only a user has projects.")
    ids.check_cursor(ids.PROJECT, after)
    limit = max(1, min(first, PAGE_MAX + 1))
    async with ctx.reading() as connection:
        return await store.access.projects_of(
            connection,
            ctx.actor.user_id,
            after=ProjectId(after) if after else None,
            limit=limit,
            only=ctx.actor.project_id,
            organization_id=organization_id,
        )


async def projects_by_id(ctx: Context, project_ids: Sequence[ProjectId]) -> dict[ProjectId, Project]:
    """The projects among these that the caller is a member of, in one query; for batch loaders."""
    await auth.require_signed_in(ctx)
    if not auth.covers(ctx.actor.scopes, "projects:read"):
        return {}
    async with ctx.reading() as connection:
        if ctx.actor.user_id is None:
            return await store.projects.projects_by_id(connection, project_ids[:BATCH_MAX])
        pairs = await store.access.projects_and_roles(connection, project_ids[:BATCH_MAX], ctx.actor.user_id)
    found = {key: project for key, (project, _) in pairs.items()}
    if ctx.actor.project_id is not None:
        return {key: project for key, project in found.items() if key == ctx.actor.project_id}
    return found


async def update_project(
    ctx: Context,
    project_id: str,
    *,
    name: str | None = None,
    avatar: str | None = None,
    backup_storage_on_arweave: bool | None = None,
    backup_storage_on_filecoin: bool | None = None,
) -> Project:
    """Change what is given. The slug stays: addresses and image names contain it."""
    found = await authorize(ctx, "projects:write", project_id=project_id)
    async with ctx.transaction() as tx:
        before = await store.projects.project(tx, found.id) or found
        after = replace(
            before,
            name=before.name if name is None else rules.check_name(name),
            avatar=before.avatar if avatar is None else (rules.check_avatar(avatar) if avatar else None),
            backup_storage_on_arweave=_given(backup_storage_on_arweave, before.backup_storage_on_arweave),
            backup_storage_on_filecoin=_given(backup_storage_on_filecoin, before.backup_storage_on_filecoin),
            updated_at=ctx.now,
        )
        await store.projects.update(tx, after)
        await audit(ctx, "project.update", found.id, found.id, _settings(before), _settings(after))
        await _tell(ctx, after, "project.updated")
    return after


async def delete_project(ctx: Context, project_id: str) -> Project:
    """Hide a project from everybody at once; its slug is free, and nobody can accept an invitation to it. Its sites,
    content and so on are removed by the worker, which finds them by `deleted_projects_with`: this domain does not know
    what belongs to a project."""
    found = await authorize(ctx, "projects:admin", project_id=project_id)
    async with ctx.transaction() as tx:
        # No project can have this slug: they contain no "--".
        deleted = replace(found, slug=f"{found.slug}--{ids.label(found.id)}", updated_at=ctx.now, deleted_at=ctx.now)
        await store.projects.update(tx, deleted)
        await store.invitations.revoke_all(tx, project_id=found.id)
        await audit(ctx, "project.delete", found.id, found.id, _settings(found), None)
        await _tell(ctx, found, "project.deleted")
        ctx.ring("work")
    return replace(found, deleted_at=ctx.now)


async def deleted_projects(ctx: Context, *, after: ProjectId | None = None, limit: int = PAGE_MAX) -> list[Project]:
    """Deleted projects in the order of their ids, for the reconcilers that remove what belonged to them."""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself cleans up after projects.")
    async with ctx.reading() as connection:
        return await store.projects.deleted_projects(connection, after=after, limit=min(limit, BATCH_MAX))


async def deleted_projects_with(
    ctx: Context, having: Callable[[Sequence[ProjectId]], Awaitable[Iterable[ProjectId]]]
) -> list[ProjectId]:
    """Deleted projects that still have something: ``having`` picks them from a page. Projects know nothing of what is
    kept for them, so each domain looks for what it has to remove."""
    found: list[ProjectId] = []
    after: ProjectId | None = None
    for _ in range(DELETED_PAGES_MAX):
        page = await deleted_projects(ctx, after=after)
        if not page:
            break
        after = page[-1].id
        found += await having([project.id for project in page])
    return found


def _given(value: bool | None, otherwise: bool) -> bool:
    return otherwise if value is None else value


def _settings(project: Project) -> dict[str, object]:
    return {
        "name": project.name,
        "slug": project.slug,
        "avatar": project.avatar,
        "backupStorageOnArweave": project.backup_storage_on_arweave,
        "backupStorageOnFilecoin": project.backup_storage_on_filecoin,
    }


async def _tell(ctx: Context, project: Project, kind: str) -> None:
    data = {"projectId": project.id, "name": project.name, "slug": project.slug}
    await events.publish(ctx, project_id=project.id, topic=f"project:{project.id}", kind=kind, data=data)
