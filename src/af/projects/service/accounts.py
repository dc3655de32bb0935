"""Deleting one's account: identity does it, once nobody is left behind without an owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from af import auth
from af.core.context import Context
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects import store
from af.projects.errors import LastOwner
from af.projects.models import Member, Organization, OrganizationRole, Role
from af.projects.service.organizations import BATCH_MAX, PAGE_MAX, list_organizations


async def delete_account(ctx: Context, confirm: str) -> auth.User:
    """Schedule the end of the caller's account; ``confirm`` is its user name. Errors as
    `af.auth.profile.schedule_deletion`.

    :raises LastOwner: an organization with other members, or a project with others in it, has no other owner who stays.
    """
    user_id = await auth.require_recent(ctx)
    async with ctx.transaction() as tx:
        direct = await store.members.directly_owned(tx, user_id)
        owned = await _owned(ctx)
        for organization_id in sorted({*direct, *owned}):  # in one order, or two who leave could wait for each other
            await _require_heir(ctx, organization_id, user_id, owned.get(organization_id), direct[organization_id])
        return await auth.profile.schedule_deletion(ctx, confirm)


async def _owned(ctx: Context) -> dict[OrganizationId, Organization]:
    owned: dict[OrganizationId, Organization] = {}
    after = None
    while page := await list_organizations(ctx, first=PAGE_MAX, after=after):
        owned |= {organization.id: organization for organization, role in page if role is OrganizationRole.OWNER}
        after = page[-1][0].id
    return owned


async def _require_heir(
    ctx: Context, organization_id: OrganizationId, user_id: UserId, owned: Organization | None, direct: set[ProjectId]
) -> None:
    """``owned`` is the organization if it is the caller's, ``direct`` are the caller's own projects in it.

    :raises LastOwner: without the caller its other members, or others in one of its projects, have no owner.
    """
    async with ctx.transaction() as tx:
        others = await store.organizations.locked_members(tx, organization_id)
        others.pop(user_id, None)
        if await _staying(ctx, [m.user_id for m in others.values() if m.role is OrganizationRole.OWNER]):
            return
        if owned is not None and others:
            raise LastOwner(
                f"You are the only owner of {owned.name}, which has other members.",
                hint="Make somebody else an owner, or remove the others first.",
            )
        guests: defaultdict[ProjectId, list[Member]] = defaultdict(list)
        for member in await store.members.in_organization(tx, organization_id, but=user_id):
            if owned is not None or member.project_id in direct:
                guests[member.project_id].append(member)
        people = await _staying(ctx, {member.user_id for members in guests.values() for member in members})
        for project_id, members in guests.items():
            staying = [member for member in members if member.user_id in people]
            if staying and not any(member.role is Role.OWNER for member in staying):
                project = (await store.projects.projects_by_id(tx, [project_id]))[project_id]
                raise LastOwner(
                    f"You are the only owner of the project {project.slug}, which others use.",
                    hint="Make somebody else an owner of it, or remove the others first.",
                )


async def _staying(ctx: Context, user_ids: Iterable[UserId]) -> set[UserId]:
    """Those who are people (a program owns nothing) and are not about to leave themselves."""
    wanted, found = list(user_ids), set[UserId]()
    for start in range(0, len(wanted), BATCH_MAX):
        users = await auth.users_by_id(ctx, wanted[start : start + BATCH_MAX])
        found |= {u.id for u in users.values() if u.kind is auth.UserKind.PERSON and u.deletes_at is None}
    return found
