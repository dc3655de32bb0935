"""Teams: the organizations somebody is in; of each its members, roles and invitations."""

from __future__ import annotations

from starlette.responses import Response

from af import auth, projects
from af.core.errors import Error, InvalidInput
from af.pages.frame import Visit, go
from af.pages.settings import routes_of, settings_page
from af.projects.models import Organization, OrganizationRole

ADDRESS = "/settings/team"
MEMBERS_SHOWN = 100
ROLES = {
    OrganizationRole.OWNER: "Owner: everything",
    OrganizationRole.ADMIN: "Admin: everything but to delete it and its owners",
    OrganizationRole.MEMBER: "Member: works on the projects",
    OrganizationRole.VIEWER: "Viewer: sees the projects",
    OrganizationRole.BILLING: "Billing: sees and pays bills",
}


async def show_all(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/team``"""
    return settings_page(
        visit, "teams.html", problem=problem, organizations=await projects.list_organizations(visit.ctx)
    )


async def create(visit: Visit) -> Response:
    made = await projects.create_organization(visit.ctx, visit.field("name"))
    return go(_address(made), done="team")


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/team/{slug}``. :raises OrganizationNotFound: absent or hidden."""
    organization = await projects.get_organization(visit.ctx, visit.part("slug"))
    own = (await projects.places_in(visit.ctx, [organization.id])).get(organization.id)
    sees_members = own is not OrganizationRole.BILLING
    members = await projects.list_places(visit.ctx, organization.id, first=MEMBERS_SHOWN) if sees_members else []
    manages = own in (OrganizationRole.ADMIN, OrganizationRole.OWNER)
    invitations = await projects.list_invitations(visit.ctx, organization.id) if manages else []
    people = await auth.users_by_id(visit.ctx, [member.user_id for member in members])
    return settings_page(
        visit,
        "team.html",
        problem=problem,
        organization=organization,
        own=own,
        manages=manages,
        members=members,
        people=people,
        invitations=invitations,
        roles=ROLES,
        email=visit.field("email") if problem else "",
    )


async def invite(visit: Visit) -> Response:
    """``email`` and ``role``."""
    organization = await _organization(visit)
    await projects.invite(visit.ctx, organization.id, email=visit.field("email"), role=_role(visit))
    return go(_address(organization), done="invited")


async def resend(visit: Visit) -> Response:
    await projects.resend_invitation(visit.ctx, visit.field("id"))
    return go(_address(await _organization(visit)), done="invited")


async def revoke(visit: Visit) -> Response:
    await projects.revoke_invitation(visit.ctx, visit.field("id"))
    return go(_address(await _organization(visit)), done="invitation_revoked")


async def change_role(visit: Visit) -> Response:
    """``user`` and ``role``."""
    organization = await _organization(visit)
    await projects.change_place(visit.ctx, organization.id, visit.field("user"), _role(visit))
    return go(_address(organization), done="role")


async def remove(visit: Visit) -> Response:
    organization = await _organization(visit)
    await projects.remove_place(visit.ctx, organization.id, visit.field("user"))
    return go(_address(organization), done="removed")


async def leave(visit: Visit) -> Response:
    await projects.leave_organization(visit.ctx, (await _organization(visit)).id)
    return go(ADDRESS, done="left")


async def rename(visit: Visit) -> Response:
    organization = await projects.update_organization(
        visit.ctx, (await _organization(visit)).id, name=visit.field("name")
    )
    return go(_address(organization), done="saved")


async def delete(visit: Visit) -> Response:
    """``confirm`` is the slug, so that nobody deletes another than they look at."""
    organization = await _organization(visit)
    if visit.field("confirm") != organization.slug:
        raise InvalidInput(f"To delete the team, type {organization.slug}.", field="confirm")
    await projects.delete_organization(visit.ctx, organization.id)
    return go(ADDRESS, done="team_deleted")


async def _organization(visit: Visit) -> Organization:
    return await projects.get_organization(visit.ctx, visit.part("slug"))


def _role(visit: Visit) -> OrganizationRole:
    try:
        return OrganizationRole(visit.field("role"))
    except ValueError as error:
        raise InvalidInput("There is no such role.", field="role") from error


def _address(organization: Organization) -> str:
    return f"{ADDRESS}/{organization.slug}"


routes = [
    *routes_of(ADDRESS, show_all, {"create": create}),
    *routes_of(
        ADDRESS + "/{slug}",
        show,
        {
            "invite": invite,
            "resend": resend,
            "revoke": revoke,
            "role": change_role,
            "remove": remove,
            "leave": leave,
            "rename": rename,
            "delete": delete,
        },
    ),
]
