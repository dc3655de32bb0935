"""Who is in a project, with which role; and the record of what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from af import auth
from af.core import events, ids
from af.core.context import Context
from af.core.ids import ProjectId, UserId
from af.projects import rules, store
from af.projects.errors import AlreadyMember, LastOwner, MemberNotFound, TooManyMembers
from af.projects.models import Member, Role
from af.projects.service.access import audit, authorize, membership

PAGE_MAX = 100


async def list_members(
    ctx: Context, project_id: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[Member]:
    """A page of members in the order of user ids; ``after`` is the last user id of the page before."""
    project = await authorize(ctx, "members:read", project_id=project_id)
    ids.check_cursor(ids.USER, after)
    limit = max(1, min(first, PAGE_MAX + 1))
    async with ctx.reading() as connection:
        return await store.members.members_of(
            connection, project.id, after=UserId(after) if after else None, limit=limit
        )


async def add_member(ctx: Context, project_id: str, *, user: str, role: Role) -> Member:
    """Add an existing user, named by user name or e-mail address.

    :raises UserNotFound: nobody has that name. :raises AlreadyMember: change the role instead.
    """
    project = await authorize(ctx, "members:write", project_id=project_id)
    _, own = await membership(ctx, project.id)
    rules.check_role_change(own, before=None, after=role)
    found = await auth.user_by_name(ctx, user)
    member = Member(project.id, found.id, role, ctx.now)
    async with ctx.transaction() as tx:
        if len(await store.members.locked(tx, project.id)) >= rules.MEMBERS_MAX:
            raise TooManyMembers(f"A project has at most {rules.MEMBERS_MAX} members.")
        if not await store.members.insert(tx, member):
            raise AlreadyMember(f"{found.username} is a member already.", field="user")
        await _record(ctx, "member.add", project.id, found.id, None, {"role": role.value})
    return member


async def change_role(ctx: Context, project_id: str, user_id: str, role: Role) -> Member:
    """Give a member another role. :raises LastOwner: the project would be left without an owner."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    async with ctx.transaction() as tx:
        everyone = await store.members.locked(tx, project.id)
        before = _present(everyone, user_id)
        rules.check_role_change(await _own_role(ctx, project.id), before=before.role, after=role)
        if before.role is Role.OWNER and role is not Role.OWNER:
            _check_other_owner(everyone, before)
        await store.members.set_role(tx, project.id, before.user_id, role)
        await _record(
            ctx, "member.change", project.id, before.user_id, {"role": before.role.value}, {"role": role.value}
        )
    return Member(project.id, before.user_id, role, before.created_at)


async def remove_member(ctx: Context, project_id: str, user_id: str) -> Member:
    """Remove a member; everyone may remove themselves. What a service account has in the project ends with its place.

    :raises LastOwner: never the last owner.
    """
    leaves = ctx.actor.user_id == user_id and ctx.actor.scopes is None
    project = await authorize(ctx, "projects:read" if leaves else "members:write", project_id=project_id)
    async with ctx.transaction() as tx:
        everyone = await store.members.locked(tx, project.id)
        gone = _present(everyone, user_id)
        rules.check_role_change(await _own_role(ctx, project.id), before=gone.role, after=None)
        if gone.role is Role.OWNER:
            _check_other_owner(everyone, gone)
        await store.members.delete(tx, project.id, gone.user_id)
        user = (await auth.users_by_id(ctx, [gone.user_id])).get(gone.user_id)
        if user is not None and user.kind is auth.UserKind.SERVICE:
            await auth.machines.end_in_project(ctx, gone.user_id, project.id)
        await _record(ctx, "member.remove", project.id, gone.user_id, {"role": gone.role.value}, None)
    return gone


async def roles_in(ctx: Context, project_ids: Sequence[ProjectId]) -> dict[ProjectId, Role]:
    """The caller's effective role in each of these projects in which it has one."""
    await auth.require_signed_in(ctx)
    if ctx.actor.user_id is None:
        return {}
    async with ctx.reading() as connection:
        found = await store.access.projects_and_roles(connection, project_ids, ctx.actor.user_id)
    return {project_id: role for project_id, (_, role) in found.items()}


def _present(everyone: Mapping[UserId, Member], user_id: str) -> Member:
    member = everyone.get(UserId(user_id))
    if member is None:
        raise MemberNotFound(f"{user_id[:60]!r} is not a member of the project.", field="userId")
    return member


def _check_other_owner(everyone: Mapping[UserId, Member], leaving: Member) -> None:
    owners = [member for member in everyone.values() if member.role is Role.OWNER]
    if owners == [leaving]:
        raise LastOwner("This is the project's last owner.", hint="Make somebody else an owner first.")


async def _own_role(ctx: Context, project_id: ProjectId) -> Role:
    _, role = await membership(ctx, project_id)
    return role


async def _record(
    ctx: Context,
    action: str,
    project_id: ProjectId,
    user_id: UserId,
    before: dict[str, str] | None,
    after: dict[str, str] | None,
) -> None:
    await audit(ctx, action, project_id, user_id, before, after)
    data = {"userId": user_id, "before": before, "after": after}
    await events.publish(ctx, project_id=project_id, topic=f"project:{project_id}", kind=action, data=data)
