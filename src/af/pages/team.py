"""Teams: the organizations somebody is in; of each its members, roles and invitations."""

from __future__ import annotations

from starlette.responses import Response

from af import auth, projects
from af.core.errors import Error, InvalidInput
from af.core.ids import UserId
from af.pages.frame import Visit, go
from af.pages.settings import Question, asks_first, routes_of, settings_page
from af.projects.errors import InvitationNotFound, MemberNotFound
from af.projects.models import Organization, OrganizationMember, OrganizationRole

ADDRESS = "/settings/team"
MEMBERS_SHOWN = 50
_PLACES_PER_PAGE, _PLACE_PAGES_MAX = 100, 10
ROLES = {
    OrganizationRole.OWNER: "Owner: everything",
    OrganizationRole.ADMIN: "Admin: everything but to delete it and its owners",
    OrganizationRole.MEMBER: "Member: works on projects",
    OrganizationRole.VIEWER: "Viewer: sees projects",
    OrganizationRole.BILLING: "Billing: sees and pays bills",
}


async def show_all(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/team``"""
    return settings_page(
        visit, "teams.html", problem=problem, organizations=await projects.list_organizations(visit.ctx)
    )


async def create(visit: Visit) -> Response:
    made = await projects.create_organization(visit.ctx, visit.field("name"))
    return go(address_of(made), done="team")


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/team/{slug}?after=``. :raises OrganizationNotFound: absent or hidden."""
    organization = await projects.get_organization(visit.ctx, visit.part("slug"))
    own = (await projects.places_in(visit.ctx, [organization.id])).get(organization.id)
    sees_members = own is not OrganizationRole.BILLING
    after = visit.query("after") or None
    found = (
        await projects.list_places(visit.ctx, organization.id, first=MEMBERS_SHOWN + 1, after=after)
        if sees_members
        else []
    )
    members = found[:MEMBERS_SHOWN]
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
        more=members[-1].user_id if len(found) > MEMBERS_SHOWN else None,
        people=people,
        invitations=invitations,
        roles=ROLES,
        email=visit.field("email") if problem else "",
    )


async def invite(visit: Visit) -> Response:
    """``email`` and ``role``."""
    organization = await _organization(visit)
    await projects.invite(visit.ctx, organization.id, email=visit.field("email"), role=_role(visit))
    return go(address_of(organization), done="invited")


async def resend(visit: Visit) -> Response:
    await projects.resend_invitation(visit.ctx, visit.field("id"))
    return go(address_of(await _organization(visit)), done="invited")


async def revoke(visit: Visit) -> Response:
    await projects.revoke_invitation(visit.ctx, visit.field("id"))
    return go(address_of(await _organization(visit)), done="invitation_revoked")


async def change_role(visit: Visit) -> Response:
    """``user`` and ``role``."""
    organization = await _organization(visit)
    await projects.change_place(visit.ctx, organization.id, visit.field("user"), _role(visit))
    return go(address_of(organization), done="role")


async def ask_to_revoke(visit: Visit) -> Question:
    """:raises InvitationNotFound: the team has no such one that waits."""
    waiting = await projects.list_invitations(visit.ctx, (await _organization(visit)).id)
    found = next((each for each in waiting if each.id == visit.field("id")), None)
    if found is None:
        raise InvitationNotFound("There is no such invitation that waits for an answer.")
    text = f"The link that {found.email} was sent works no more."
    return Question("Revoke the invitation?", text, "Revoke it")


async def ask_to_remove(visit: Visit) -> Question:
    """:raises MemberNotFound: not a member of the team."""
    organization = await _organization(visit)
    place = await place_of(visit, organization, visit.field("user"))
    return Question(
        f"Remove {await name_of(visit, place.user_id)}?",
        f"They lose {organization.name} and all its projects, also those in which they have a place of their own.",
        "Remove them",
    )


async def ask_to_leave(visit: Visit) -> Question:
    organization = await _organization(visit)
    text = "You lose the way to its projects, unless somebody invites you again."
    return Question(f"Leave {organization.name}?", text, "Leave the team")


async def remove(visit: Visit) -> Response:
    organization = await _organization(visit)
    await projects.remove_place(visit.ctx, organization.id, visit.field("user"))
    return go(address_of(organization), done="removed")


async def leave(visit: Visit) -> Response:
    await projects.leave_organization(visit.ctx, (await _organization(visit)).id)
    return go(ADDRESS, done="left")


async def rename(visit: Visit) -> Response:
    organization = await projects.update_organization(
        visit.ctx, (await _organization(visit)).id, name=visit.field("name")
    )
    return go(address_of(organization), done="saved")


async def delete(visit: Visit) -> Response:
    """``confirm`` is the slug, so that nobody deletes another than they look at."""
    organization = await _organization(visit)
    if visit.field("confirm") != organization.slug:
        raise InvalidInput(f"To delete the team, type {organization.slug}.", field="confirm")
    await projects.delete_organization(visit.ctx, organization.id)
    return go(ADDRESS, done="team_deleted")


async def _organization(visit: Visit) -> Organization:
    return await projects.get_organization(visit.ctx, visit.part("slug"))


async def place_of(visit: Visit, organization: Organization, user_id: str) -> OrganizationMember:
    """A member's place. :raises MemberNotFound: not a member of the team."""
    after = None
    for _ in range(_PLACE_PAGES_MAX):
        page = await projects.list_places(visit.ctx, organization.id, first=_PLACES_PER_PAGE, after=after)
        for place in page:
            if place.user_id == user_id:
                return place
        if len(page) < _PLACES_PER_PAGE:
            break
        after = page[-1].user_id
    raise MemberNotFound("There is no such member.", hint="They may have left.")


async def name_of(visit: Visit, user_id: UserId) -> str:
    """What a member is called."""
    person = (await auth.users_by_id(visit.ctx, [user_id])).get(user_id)
    return (person.display_name or person.username) if person else user_id


def _role(visit: Visit) -> OrganizationRole:
    try:
        return OrganizationRole(visit.field("role"))
    except ValueError as error:
        raise InvalidInput("There is no such role.", field="role") from error


def address_of(organization: Organization) -> str:
    return f"{ADDRESS}/{organization.slug}"


routes = [
    *routes_of(ADDRESS, show_all, {"create": create}),
    *routes_of(
        ADDRESS + "/{slug}",
        show,
        {
            "invite": invite,
            "resend": resend,
            "revoke": asks_first(ask_to_revoke, revoke),
            "role": change_role,
            "remove": asks_first(ask_to_remove, remove),
            "leave": asks_first(ask_to_leave, leave),
            "rename": rename,
            "delete": delete,
        },
    ),
]
