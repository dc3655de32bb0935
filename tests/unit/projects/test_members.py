"""Members: added, changed, removed; a project keeps an owner."""

from __future__ import annotations

import asyncio

import pytest

from af import projects
from af.auth.errors import UserNotFound
from af.core.context import Context, Platform
from af.core.errors import Error
from af.projects import Project, Role
from af.projects.errors import AlreadyMember, LastOwner, MemberNotFound, ProjectNotFound, RoleTooLow
from tests.support import platforms


def user_id(ctx: Context) -> str:
    assert ctx.actor.user_id is not None
    return ctx.actor.user_id


async def test_a_member_is_added_by_name_and_sees_the_project(
    platform: Platform, admin: Context, project: Project
) -> None:
    guest = await platforms.user(platform, "guest")
    await projects.add_member(admin, project.id, user="GUEST", role=Role.VIEWER)
    assert [p.id for p in await projects.list_projects(guest)] == [project.id]
    assert {m.role for m in await projects.list_members(guest, project.id)} == {Role.OWNER, Role.ADMIN, Role.VIEWER}
    with pytest.raises(AlreadyMember):
        await projects.add_member(admin, project.id, user="guest", role=Role.MEMBER)
    with pytest.raises(UserNotFound):
        await projects.add_member(admin, project.id, user="nobody", role=Role.MEMBER)
    with pytest.raises(RoleTooLow):
        await projects.add_member(guest, project.id, user="stranger", role=Role.VIEWER)


async def test_a_removed_member_is_a_stranger_at_once(platform: Platform, admin: Context, project: Project) -> None:
    guest = await platforms.user(platform, "guest")
    await projects.add_member(admin, project.id, user="guest", role=Role.MEMBER)
    await projects.remove_member(admin, project.id, user_id(guest))
    with pytest.raises(ProjectNotFound):
        await projects.authorize(guest, "sites:read", project_id=project.id)
    with pytest.raises(MemberNotFound):
        await projects.remove_member(admin, project.id, user_id(guest))


async def test_everyone_may_leave_but_not_remove_others(platform: Platform, owner: Context, project: Project) -> None:
    one, two = [await platforms.user(platform, name) for name in ("one", "two")]
    for name in ("one", "two"):
        await projects.add_member(owner, project.id, user=name, role=Role.VIEWER)
    with pytest.raises(RoleTooLow):
        await projects.remove_member(one, project.id, user_id(two))
    await projects.remove_member(one, project.id, user_id(one))


async def test_admins_do_not_touch_owners(owner: Context, admin: Context, project: Project) -> None:
    for attempt in (
        projects.change_role(admin, project.id, user_id(owner), Role.VIEWER),
        projects.remove_member(admin, project.id, user_id(owner)),
        projects.change_role(admin, project.id, user_id(admin), Role.OWNER),
    ):
        with pytest.raises(RoleTooLow):
            await attempt


async def test_the_last_owner_stays(owner: Context, admin: Context, project: Project) -> None:
    for attempt in (
        projects.remove_member(owner, project.id, user_id(owner)),
        projects.change_role(owner, project.id, user_id(owner), Role.ADMIN),
    ):
        with pytest.raises(LastOwner):
            await attempt
    await projects.change_role(owner, project.id, user_id(admin), Role.OWNER)
    await projects.remove_member(owner, project.id, user_id(owner))
    assert [m.user_id for m in await projects.list_members(admin, project.id)] == [user_id(admin)]


async def test_two_owners_who_leave_at_once_do_not_both_get_away(
    owner: Context, admin: Context, project: Project
) -> None:
    await projects.change_role(owner, project.id, user_id(admin), Role.OWNER)
    done = await asyncio.gather(
        projects.remove_member(owner, project.id, user_id(owner)),
        projects.remove_member(admin, project.id, user_id(admin)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Error) for result in done) == 1


async def test_members_are_listed_in_pages(platform: Platform, owner: Context, project: Project) -> None:
    for number in range(5):
        await platforms.user(platform, f"user{number}")
        await projects.add_member(owner, project.id, user=f"user{number}", role=Role.VIEWER)
    seen: list[str] = []
    while page := await projects.list_members(owner, project.id, first=2, after=seen[-1] if seen else None):
        seen += [member.user_id for member in page]
    assert len(seen) == len(set(seen)) == 6
