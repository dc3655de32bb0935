"""Organizations: who is in them, what that gives in projects, and that somebody always owns them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from af import auth, projects
from af.auth.errors import ScopeMissing
from af.core.context import Context, Platform
from af.core.errors import Error, Forbidden
from af.core.ids import OrganizationId, UserId
from af.projects import Organization, OrganizationMember, OrganizationRole, Project, Role, store
from af.projects.errors import (
    LastOwner,
    OrganizationNotEmpty,
    OrganizationNotFound,
    PersonalOrganization,
    ProjectNotFound,
    RoleTooLow,
)
from tests.support import platforms

OWNER, ADMIN, MEMBER, VIEWER, BILLING = (
    OrganizationRole[name] for name in ("OWNER", "ADMIN", "MEMBER", "VIEWER", "BILLING")
)


def id_of(ctx: Context) -> UserId:
    assert ctx.actor.user_id is not None
    return ctx.actor.user_id


async def enter(ctx: Context, organization: Organization, role: OrganizationRole, *, everywhere: bool = True) -> None:
    """As somebody who accepted an invitation (test_invitations)."""
    place = OrganizationMember(OrganizationId(organization.id), id_of(ctx), role, everywhere, ctx.now)
    async with ctx.transaction() as tx:
        assert await store.organizations.insert_member(tx, place)


@pytest.fixture
async def team(owner: Context) -> Organization:
    return await projects.create_organization(owner, "Blue Team")


@pytest.fixture
async def guest(platform: Platform) -> Context:
    return await platforms.user(platform, "guest")


async def test_everybody_has_one_personal_organization_however_often_it_is_asked_for(owner: Context) -> None:
    made = await asyncio.gather(*(projects.ensure_home(owner) for _ in range(5)))
    assert {home.id for home in made} == {made[0].id}
    assert (made[0].slug, made[0].personal_of) == ("owner", id_of(owner))
    assert [(o.id, role) for o, role in await projects.list_organizations(owner)] == [(made[0].id, OWNER)]
    project = await projects.create_project(owner, "Mine")
    assert project.organization_id == made[0].id
    for attempt in (
        projects.delete_organization(owner, made[0].id),
        projects.leave_organization(owner, made[0].id),
        projects.change_place(owner, made[0].id, id_of(owner), ADMIN),
    ):
        with pytest.raises((PersonalOrganization, LastOwner)):
            await attempt


async def test_a_personal_organization_gives_way_to_a_taken_slug(owner: Context, platform: Platform) -> None:
    await projects.create_organization(owner, "guest")
    guest = await platforms.user(platform, "guest")
    assert (await projects.ensure_home(guest)).slug == "guest-2"


@pytest.mark.parametrize(
    "place, role", [(OWNER, Role.OWNER), (ADMIN, Role.ADMIN), (MEMBER, Role.MEMBER), (VIEWER, Role.VIEWER)]
)
async def test_a_place_gives_its_role_in_the_projects(
    owner: Context, team: Organization, guest: Context, place: OrganizationRole, role: Role
) -> None:
    project = await projects.create_project(owner, "Shared", organization_id=team.slug)
    with pytest.raises(ProjectNotFound):
        await projects.membership(guest, project.id)
    await enter(guest, team, place)
    assert (await projects.membership(guest, project.slug))[1] is role
    assert [p.id for p in await projects.list_projects(guest)] == [project.id]
    assert await projects.roles_in(guest, [project.id]) == {project.id: role}
    assert set(await projects.projects_by_id(guest, [project.id])) == {project.id}


async def test_billing_sees_the_organization_and_no_project(owner: Context, team: Organization, guest: Context) -> None:
    project = await projects.create_project(owner, "Shared", organization_id=team.id)
    await enter(guest, team, BILLING)
    await projects.authorize_organization(guest, "billing:write", organization_id=team.id)
    with pytest.raises(ProjectNotFound):
        await projects.authorize(guest, "projects:read", project_id=project.id)
    assert await projects.list_projects(guest) == []
    for attempt in (
        projects.list_places(guest, team.id),
        projects.create_project(guest, "x", organization_id=team.id),
        projects.list_organization_audit(guest, team.id),
        projects.list_invitations(guest, team.id),
    ):
        with pytest.raises(RoleTooLow):
            await attempt


async def test_members_without_access_to_all_see_the_listed_projects(
    owner: Context, team: Organization, guest: Context
) -> None:
    one, two = [await projects.create_project(owner, name, organization_id=team.id) for name in ("one", "two")]
    elsewhere = await projects.create_project(owner, "elsewhere")
    await enter(guest, team, MEMBER, everywhere=False)
    assert await projects.list_projects(guest) == []
    await projects.set_access(owner, team.id, id_of(guest), access_all_projects=False, project_ids=[two.id])
    assert [p.id for p in await projects.list_projects(guest)] == [two.id]
    with pytest.raises(ProjectNotFound):
        await projects.authorize(guest, "sites:read", project_id=one.id)
    with pytest.raises(ProjectNotFound):
        await projects.set_access(owner, team.id, id_of(guest), access_all_projects=False, project_ids=[elsewhere.id])
    await projects.add_member(owner, two.id, user="guest", role=Role.ADMIN)
    assert (await projects.membership(guest, two.id))[1] is Role.ADMIN, "the stronger counts"
    await projects.set_access(owner, team.id, id_of(guest), access_all_projects=True)
    assert {p.id for p in await projects.list_projects(guest)} == {one.id, two.id}


async def test_strangers_and_limited_tokens_learn_nothing(
    owner: Context, team: Organization, guest: Context, project: Project
) -> None:
    limited = replace(owner, actor=replace(owner.actor, project_id=project.id))
    for ctx in (guest, limited):
        for name in (team.id, team.slug):
            with pytest.raises(OrganizationNotFound):
                await projects.get_organization(ctx, name)
    assert await projects.list_organizations(limited) == []
    scoped = replace(owner, actor=replace(owner.actor, scopes=frozenset({"organizations:read"})))
    await projects.get_organization(scoped, team.id)
    with pytest.raises(ScopeMissing):
        await projects.update_organization(scoped, team.id, name="x")


async def test_admins_do_not_touch_owners_nor_raise_above_themselves(
    owner: Context, team: Organization, guest: Context, platform: Platform
) -> None:
    await enter(guest, team, ADMIN)
    other = await platforms.user(platform, "other")
    await enter(other, team, VIEWER)
    await projects.change_place(guest, team.id, id_of(other), ADMIN)
    for attempt in (
        projects.change_place(guest, team.id, id_of(owner), VIEWER),
        projects.change_place(guest, team.id, id_of(guest), OWNER),
        projects.change_place(guest, team.id, id_of(other), OWNER),
        projects.remove_place(guest, team.id, id_of(owner)),
        projects.set_access(guest, team.id, id_of(owner), access_all_projects=False),
        projects.delete_organization(guest, team.id),
        projects.transfer_ownership(guest, team.id, id_of(guest)),
    ):
        with pytest.raises(RoleTooLow):
            await attempt


async def test_two_owners_who_leave_at_once_do_not_both_get_away(
    owner: Context, team: Organization, guest: Context
) -> None:
    await enter(guest, team, OWNER)
    done = await asyncio.gather(
        projects.leave_organization(owner, team.id),
        projects.leave_organization(guest, team.id),
        return_exceptions=True,
    )
    assert sorted(isinstance(result, Error) for result in done) == [False, True]
    assert any(isinstance(result, LastOwner) for result in done)


async def test_two_owners_who_demote_each_other_at_once_leave_one(
    owner: Context, team: Organization, guest: Context
) -> None:
    await enter(guest, team, OWNER)
    await asyncio.gather(
        projects.change_place(owner, team.id, id_of(guest), MEMBER),
        projects.change_place(guest, team.id, id_of(owner), MEMBER),
        return_exceptions=True,
    )
    witness = owner if (await projects.list_organizations(owner))[-1][1] is OWNER else guest
    assert [m.role for m in await projects.list_places(witness, team.id)].count(OWNER) == 1


async def test_who_leaves_keeps_no_way_in(owner: Context, team: Organization, guest: Context) -> None:
    project = await projects.create_project(owner, "Shared", organization_id=team.id)
    await enter(guest, team, MEMBER, everywhere=False)
    await projects.set_access(owner, team.id, id_of(guest), access_all_projects=False, project_ids=[project.id])
    await projects.add_member(owner, project.id, user="guest", role=Role.ADMIN)
    await projects.remove_place(owner, team.id, id_of(guest))
    with pytest.raises(ProjectNotFound):
        await projects.authorize(guest, "projects:read", project_id=project.id)
    await enter(guest, team, MEMBER, everywhere=False)
    assert await projects.list_projects(guest) == [], "the old list is gone, too"


async def test_ownership_is_handed_over_by_somebody_who_signed_in_just_now(
    owner: Context, team: Organization, guest: Context
) -> None:
    await enter(guest, team, MEMBER)
    stale = replace(owner, actor=replace(owner.actor, authenticated_at=owner.now - timedelta(hours=1)))
    token = replace(owner, actor=replace(owner.actor, session_id=None))
    for ctx in (stale, token):
        for attempt in (
            projects.transfer_ownership(ctx, team.id, id_of(guest)),
            projects.delete_organization(ctx, team.id),
        ):
            with pytest.raises(Forbidden):
                await attempt
    await projects.transfer_ownership(owner, team.id, id_of(guest))
    places = {m.user_id: m.role for m in await projects.list_places(guest, team.id)}
    assert places == {id_of(guest): OWNER, id_of(owner): ADMIN}
    log = await projects.list_organization_audit(guest, team.id)
    assert [entry.action for entry in log] == ["organization.transfer", "organization.create"]


async def test_an_organization_is_deleted_only_without_projects(owner: Context, team: Organization) -> None:
    project = await projects.create_project(owner, "Shared", organization_id=team.id)
    with pytest.raises(OrganizationNotEmpty):
        await projects.delete_organization(owner, team.id)
    await projects.delete_project(owner, project.id)
    await projects.delete_organization(owner, team.id)
    with pytest.raises(OrganizationNotFound):
        await projects.get_organization(owner, team.id)
    assert (await projects.create_organization(owner, "Blue Team")).slug == "blue-team"
    with pytest.raises(OrganizationNotFound):
        await projects.create_project(owner, "late", organization_id=team.id)


async def test_a_project_moves_only_with_rights_on_both_sides(
    owner: Context, team: Organization, guest: Context
) -> None:
    project = await projects.create_project(owner, "Shared", organization_id=team.id)
    await enter(guest, team, ADMIN)
    home = await projects.ensure_home(guest)
    with pytest.raises(RoleTooLow):
        await projects.transfer_project(guest, project.id, home.id)
    with pytest.raises(OrganizationNotFound):
        await projects.transfer_project(owner, project.id, home.id)
    other = await projects.create_organization(owner, "Other")
    moved = await projects.transfer_project(owner, project.slug, other.slug)
    assert moved.organization_id == other.id
    with pytest.raises(ProjectNotFound):
        await projects.authorize(guest, "projects:read", project_id=project.id)
    for organization in (team, other):
        log = await projects.list_organization_audit(owner, organization.id)
        assert log[0].action == "project.transfer"


async def test_a_token_can_be_made_for_what_organizations_need(owner: Context, team: Organization) -> None:
    made = await auth.create_token(owner, "bills", scopes=["billing:read", "organizations:read"])
    assert made.token.scopes == {"billing:read", "organizations:read"}
