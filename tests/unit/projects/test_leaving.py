"""Deleting one's account: nobody who stays is left without an owner."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from af import auth, projects
from af.auth.errors import AccountLeaving, DeletionNotConfirmed, PersonRequired, ReauthenticationRequired
from af.core.context import SYSTEM, Context
from af.core.errors import Error
from af.projects import Project, Role
from af.projects.errors import LastOwner
from af.projects.service import machines


async def leave(ctx: Context) -> auth.User:
    user = await auth.me(ctx)
    assert user is not None
    return await projects.delete_account(ctx, user.username)


async def test_whose_projects_nobody_else_uses_may_go(owner: Context, project: Project) -> None:
    await machines.create_service_account(owner, project.id, "deploys", Role.MEMBER)  # a program is nobody
    left = await leave(owner)
    assert left.deletes_at is not None
    assert left.deletes_at > owner.now


async def test_the_only_owner_of_a_project_that_others_use_stays(
    owner: Context, admin: Context, project: Project
) -> None:
    with pytest.raises(LastOwner, match=project.slug):
        await leave(owner)
    user = await auth.me(owner)
    assert user is not None
    assert user.deletes_at is None
    await machines.create_service_account(owner, project.id, "robot", Role.OWNER)
    with pytest.raises(LastOwner):
        await leave(owner)
    assert admin.actor.user_id is not None
    await projects.change_role(owner, project.id, admin.actor.user_id, Role.OWNER)
    assert (await leave(owner)).deletes_at is not None


async def test_a_deleted_project_keeps_nobody(owner: Context, admin: Context, project: Project) -> None:
    await projects.delete_project(owner, project.id)
    assert (await leave(owner)).deletes_at is not None
    assert (await leave(admin)).deletes_at is not None


async def test_of_two_owners_one_stays_also_when_both_leave_at_once(
    owner: Context, admin: Context, project: Project
) -> None:
    assert admin.actor.user_id is not None
    await projects.add_member(owner, project.id, user=await _third(owner), role=Role.VIEWER)
    await projects.change_role(owner, project.id, admin.actor.user_id, Role.OWNER)
    # The one is an owner by the organization, which nobody else is in; the other by the project alone.
    outcomes = await asyncio.gather(leave(owner), leave(admin), return_exceptions=True)
    assert sum(isinstance(each, auth.User) for each in outcomes) == 1
    assert sum(isinstance(each, LastOwner) for each in outcomes) == 1
    owners = [
        member.user_id
        for member in await projects.list_members(system_of(owner), project.id)
        if member.role is Role.OWNER
    ]
    users = await auth.users_by_id(system_of(owner), owners)
    assert any(user.deletes_at is None for user in users.values())


async def test_it_needs_the_name_a_person_and_a_recent_sign_in(owner: Context) -> None:
    with pytest.raises(DeletionNotConfirmed):
        await projects.delete_account(owner, "OWNER")
    actor = owner.actor
    assert actor.authenticated_at is not None
    refused: dict[type[Error], Context] = {
        PersonRequired: owner.acting_as(replace(actor, session_id=None)),
        ReauthenticationRequired: owner.acting_as(
            replace(actor, authenticated_at=actor.authenticated_at - timedelta(minutes=16))
        ),
        AccountLeaving: owner.acting_as(replace(actor, leaving=True)),
    }
    for error, ctx in refused.items():
        with pytest.raises(error):
            await projects.delete_account(ctx, "owner")


async def _third(owner: Context) -> str:
    made = await auth.create_user(system_of(owner), "third")
    return made.username


def system_of(ctx: Context) -> Context:
    return ctx.acting_as(SYSTEM)
