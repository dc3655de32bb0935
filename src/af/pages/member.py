"""One member of a team: which projects they reach, and handing the team over to them."""

from __future__ import annotations

from starlette.responses import Response

from af import auth, projects
from af.core.errors import Error, InvalidInput
from af.pages.frame import Visit, go
from af.pages.settings import Question, asks_first, routes_of, settings_page
from af.pages.team import ADDRESS, address_of, name_of, place_of
from af.projects.models import Organization, OrganizationMember, OrganizationRole, Project

PROJECTS_MAX = 80
"""Projects that the page lists as checkboxes; a form has at most 100 fields (`frame.FORM_FIELDS_MAX`)."""
_LIMITED = (OrganizationRole.MEMBER, OrganizationRole.VIEWER)


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/team/{slug}/members/{user}``, for those who manage members.

    :raises OrganizationNotFound, MemberNotFound: absent or hidden. :raises RoleTooLow: a member who manages nobody.
    """
    organization, place = await _place(visit)
    offered = await _projects(visit, organization)
    key = (organization.id, place.user_id)
    listed = (await projects.listed_projects(visit.ctx, [key])).get(key, [])
    own = (await projects.places_in(visit.ctx, [organization.id])).get(organization.id)
    return settings_page(
        visit,
        "member.html",
        problem=problem,
        organization=organization,
        back=address_of(organization),
        place=place,
        name=await name_of(visit, place.user_id),
        limited=place.role in _LIMITED,
        projects=offered,
        too_many=len(offered) > PROJECTS_MAX,
        listed=set(listed),
        can_hand_over=own is OrganizationRole.OWNER
        and organization.personal_of is None
        and place.user_id != visit.person.id,
    )


async def set_access(visit: Visit) -> Response:
    """``access`` is all or some; ``project`` (several) are the ids of some."""
    organization, place = await _place(visit)
    access = visit.field("access")
    if access not in ("all", "some"):  # nothing given must not mean everything
        raise InvalidInput("Choose all projects or some.", field="access")
    if access == "some" and len(await _projects(visit, organization)) > PROJECTS_MAX:
        raise InvalidInput(
            "The team has too many projects for this page.", hint="`setOrganizationAccess` of the API does it."
        )
    await projects.set_access(
        visit.ctx,
        organization.id,
        place.user_id,
        access_all_projects=access == "all",
        project_ids=visit.form.get("project", []),
    )
    return go(visit.path, done="access")


async def ask_to_transfer(visit: Visit) -> Question:
    await auth.require_recent(visit.ctx)
    organization, place = await _place(visit)
    name = await name_of(visit, place.user_id)
    return Question(
        f"Hand {organization.name} over to {name}?",
        f"{name} becomes an owner. You become an admin, and cannot take it back by yourself.",
        "Hand it over",
    )


async def transfer(visit: Visit) -> Response:
    organization, place = await _place(visit)
    await projects.transfer_ownership(visit.ctx, organization.id, place.user_id)
    return go(address_of(organization), done="transferred")


async def _place(visit: Visit) -> tuple[Organization, OrganizationMember]:
    organization = await projects.authorize_organization(visit.ctx, "members:write", organization_id=visit.part("slug"))
    return organization, await place_of(visit, organization, visit.part("user"))


async def _projects(visit: Visit, organization: Organization) -> list[Project]:
    """Those of the team, one more than the page lists."""
    return await projects.list_projects(visit.ctx, first=PROJECTS_MAX + 1, organization_id=organization.id)


routes = routes_of(
    ADDRESS + "/{slug}/members/{user}",
    show,
    {"access": set_access, "transfer": asks_first(ask_to_transfer, transfer)},
)
