"""Who is in an organization: list, change, remove, leave, hand over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from af import auth
from af.core import audit, ids
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects import rules, store
from af.projects.errors import LastOwner, MemberNotFound, PersonalOrganization, ProjectNotFound, RoleTooLow
from af.projects.models import Organization, OrganizationMember, OrganizationRole
from af.projects.service.access import authorize_organization

PAGE_MAX = 100
BATCH_MAX = 1_000
ACCESS_MAX = 1_000
"""Projects that can be listed for one member."""
_OWNER = OrganizationRole.OWNER


async def list_places(
    ctx: Context, organization_id: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[OrganizationMember]:
    """A page of members in the order of user ids; ``after`` is the last user id of the page before."""
    organization = await authorize_organization(ctx, "members:read", organization_id=organization_id)
    ids.check_cursor(ids.USER, after)
    async with ctx.reading() as connection:
        return await store.organizations.members_of(
            connection,
            organization.id,
            after=UserId(after) if after else None,
            limit=max(1, min(first, PAGE_MAX + 1)),
        )


async def listed_projects(
    ctx: Context, keys: Sequence[tuple[OrganizationId, UserId]]
) -> dict[tuple[OrganizationId, UserId], list[ProjectId]]:
    """The projects that are listed for each of these members; to those who may see members. For batch loaders."""
    found: dict[tuple[OrganizationId, UserId], list[ProjectId]] = {}
    for key in dict.fromkeys(organization_id for organization_id, _ in keys[:BATCH_MAX]):
        organization = await authorize_organization(ctx, "members:read", organization_id=key)
        wanted = [user_id for organization_id, user_id in keys[:BATCH_MAX] if organization_id == key]
        async with ctx.reading() as connection:
            listed = await store.organizations.project_access(connection, organization.id, wanted)
        found |= {(key, user_id): project_ids for user_id, project_ids in listed.items()}
    return found


async def places_in(ctx: Context, organization_ids: Sequence[OrganizationId]) -> dict[OrganizationId, OrganizationRole]:
    """The caller's role in each of these organizations that it is a member of; for batch loaders."""
    await auth.require_signed_in(ctx)
    if ctx.actor.user_id is None:
        return {}
    async with ctx.reading() as connection:
        return await store.organizations.roles_of(connection, organization_ids[:BATCH_MAX], ctx.actor.user_id)


async def change_place(ctx: Context, organization_id: str, user_id: str, role: OrganizationRole) -> OrganizationMember:
    """Give a member another role. :raises LastOwner: the organization would be left without an owner.
    :raises RoleTooLow: only owners touch owners, and nobody gives more than they have."""
    organization = await authorize_organization(ctx, "members:write", organization_id=organization_id)
    async with ctx.transaction() as tx:
        everyone = await store.organizations.locked_members(tx, organization.id)
        before = _present(everyone, user_id)
        rules.check_place_change(_own_role(ctx, everyone), before=before.role, after=role)
        if before.role is _OWNER and role is not _OWNER:
            _check_may_step_down(organization, everyone, before)
        changed = replace(before, role=role)
        await store.organizations.update_member(tx, changed)
        await _record(ctx, "member.change", changed, {"role": before.role.value}, {"role": role.value})
    return changed


async def set_access(
    ctx: Context,
    organization_id: str,
    user_id: str,
    *,
    access_all_projects: bool,
    project_ids: Sequence[str] = (),
) -> OrganizationMember:
    """Which projects a MEMBER or VIEWER sees: all, or exactly those listed. Owners and admins see all anyway.

    :raises ProjectNotFound: a project is not one of the organization's.
    """
    organization = await authorize_organization(ctx, "members:write", organization_id=organization_id)
    wanted = frozenset() if access_all_projects else frozenset(project_ids)
    if len(wanted) > ACCESS_MAX:
        raise InvalidInput(f"At most {ACCESS_MAX} projects can be listed.", field="projectIds")
    async with ctx.transaction() as tx:
        everyone = await store.organizations.locked_members(tx, organization.id)
        before = _present(everyone, user_id)
        rules.check_place_change(_own_role(ctx, everyone), before=before.role, after=None)
        found = await store.projects.projects_by_id(tx, [ProjectId(key) for key in wanted])
        for key in wanted:
            if key not in found or found[ProjectId(key)].organization_id != organization.id:
                raise ProjectNotFound(f"The organization has no project {key[:80]!r}.", field="projectIds")
        changed = replace(before, access_all_projects=access_all_projects)
        listed = (await store.organizations.project_access(tx, organization.id, [before.user_id])).get(before.user_id)
        await store.organizations.update_member(tx, changed)
        await store.organizations.set_project_access(tx, organization.id, before.user_id, found.keys())
        await _record(
            ctx,
            "member.access",
            changed,
            {"accessAllProjects": before.access_all_projects, "projectIds": listed or []},
            {"accessAllProjects": access_all_projects, "projectIds": sorted(found)},
        )
    return changed


async def remove_place(ctx: Context, organization_id: str, user_id: str) -> OrganizationMember:
    """Remove a member, with its direct places in the organization's projects, so that it keeps no way in.

    :raises LastOwner: never the last owner.
    """
    organization = await authorize_organization(ctx, "members:write", organization_id=organization_id)
    return await _remove(ctx, organization, user_id, "member.remove")


async def leave_organization(ctx: Context, organization_id: str) -> OrganizationMember:
    """As `remove_place`, oneself, whatever one's role; for people, not for tokens.

    :raises PersonalOrganization: nobody leaves their own. :raises LastOwner: somebody else must be an owner first.
    """
    own_id = await auth.require_person(ctx)
    organization = await authorize_organization(ctx, "organizations:read", organization_id=organization_id)
    return await _remove(ctx, organization, own_id, "member.leave")


async def _remove(ctx: Context, organization: Organization, user_id: str, action: str) -> OrganizationMember:
    async with ctx.transaction() as tx:
        everyone = await store.organizations.locked_members(tx, organization.id)
        gone = _present(everyone, user_id)
        if gone.user_id != ctx.actor.user_id:
            rules.check_place_change(_own_role(ctx, everyone), before=gone.role, after=None)
        if gone.role is _OWNER:
            _check_may_step_down(organization, everyone, gone)
        await store.members.delete_everywhere(tx, organization.id, gone.user_id)
        await store.organizations.delete_member(tx, organization.id, gone.user_id)
        await _record(ctx, action, gone, {"role": gone.role.value}, None)
    return gone


async def transfer_ownership(ctx: Context, organization_id: str, user_id: str) -> OrganizationMember:
    """Make another member an owner and step down to admin, in one transaction; for an owner who signed in just now.
    Returns the new owner's place.

    :raises MemberNotFound: it must be a member first. :raises PersonalOrganization: nobody hands over their own.
    """
    own_id = await auth.require_recent(ctx)
    organization = await authorize_organization(ctx, "organizations:admin", organization_id=organization_id)
    if organization.personal_of is not None:
        raise PersonalOrganization(
            "A personal organization cannot be handed over.", hint="Move its projects to another organization."
        )
    async with ctx.transaction() as tx:
        everyone = await store.organizations.locked_members(tx, organization.id)
        heir = _present(everyone, user_id)
        rules.check_place_change(_own_role(ctx, everyone, "organizations:admin"), before=_OWNER, after=_OWNER)
        if heir.user_id == own_id:
            raise InvalidInput("You are an owner already.", field="userId")
        made = replace(heir, role=_OWNER, access_all_projects=True)
        await store.organizations.update_member(tx, made)
        await store.organizations.update_member(tx, replace(everyone[own_id], role=OrganizationRole.ADMIN))
        before, after = {"owner": own_id, "role": heir.role.value}, {"owner": heir.user_id, "role": _OWNER.value}
        await _record(ctx, "organization.transfer", made, before, after)
    return made


def _present(everyone: Mapping[UserId, OrganizationMember], user_id: str) -> OrganizationMember:
    member = everyone.get(UserId(user_id))
    if member is None:
        raise MemberNotFound(f"{user_id[:60]!r} is not a member of the organization.", field="userId")
    return member


def _own_role(
    ctx: Context, everyone: Mapping[UserId, OrganizationMember], action: str = "members:write"
) -> OrganizationRole:
    """The caller's role as it is now, under the lock: it may have changed since it was authorised."""
    if ctx.actor.user_id is None:
        return _OWNER
    role = _present(everyone, ctx.actor.user_id).role
    if not rules.organization_allows(role, action):
        raise RoleTooLow("Your role in the organization was just changed.")
    return role


def _check_may_step_down(
    organization: Organization, everyone: Mapping[UserId, OrganizationMember], leaving: OrganizationMember
) -> None:
    if organization.personal_of == leaving.user_id:
        raise PersonalOrganization("A personal organization keeps its person as an owner.")
    owners = [member for member in everyone.values() if member.role is _OWNER]
    if owners == [leaving]:
        raise LastOwner("This is the organization's last owner.", hint="Make somebody else an owner first.")


async def _record(
    ctx: Context,
    action: str,
    member: OrganizationMember,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    await audit.record(ctx, _chain(member.organization_id), action, member.user_id, before, after)


def _chain(organization_id: OrganizationId) -> str:
    return f"organization:{organization_id}"
