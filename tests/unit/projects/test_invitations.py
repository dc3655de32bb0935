"""Invitations by e-mail: for one address, once, for seven days, and never more than the inviter may give."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from af import auth, projects
from af.core import ids
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.errors import Error, Forbidden
from af.core.ids import SessionId
from af.core.messages import outbox
from af.projects import InvitationState, Organization, OrganizationRole, Project, Role
from af.projects.errors import (
    AlreadyInvited,
    InvitationNotFound,
    InvitationOver,
    InvitedAddressDiffers,
    RoleTooLow,
    TooManyInvitations,
)
from af.projects.service import invitations

ADDRESS = "ann@example.org"


@pytest.fixture
async def team(owner: Context) -> Organization:
    return await projects.create_organization(owner, "Blue Team")


async def person(platform: Platform, name: str, email: str | None) -> Context:
    """Somebody who is signed in, with a proven address."""
    made = await auth.create_user(platform.context(SYSTEM), name, email=email)
    session = SessionId(ids.new(ids.SESSION, platform.clock.now()))
    now = platform.clock.now()
    return platform.context(Actor(ActorKind.USER, user_id=made.id, session_id=session, authenticated_at=now))


async def last_link(platform: Platform) -> str:
    """The secret in the newest message, as the invited person gets it."""
    system = platform.context(SYSTEM)
    [newest] = await outbox.list_messages(system, first=1)
    shown = await outbox.read_message(system, newest.id)
    assert shown.content is not None
    found = re.search(r"/invitations/([\w-]{43})\b", shown.content.text)
    assert found is not None
    return found[1]


async def test_an_invited_person_sees_the_invitation_and_joins_once(
    platform: Platform, owner: Context, team: Organization
) -> None:
    made = await projects.invite(owner, team.id, email=" Ann@Example.org ", role=OrganizationRole.MEMBER)
    secret = await last_link(platform)
    shown = await projects.read_invitation(platform.context(Actor(ActorKind.ANONYMOUS)), secret)
    assert (shown.organization, shown.invited_by, shown.role) == ("Blue Team", "owner", "MEMBER")
    assert shown.masked_email == "a•••@e•••.org"
    ann = await person(platform, "ann", ADDRESS)
    accepted = await projects.accept_invitation(ann, secret)
    assert (accepted.id, accepted.state) == (made.id, InvitationState.ACCEPTED)
    assert (await projects.get_organization(ann, team.id)).id == team.id
    assert await projects.list_invitations(owner, team.id) == []
    for ctx in (ann, owner):
        with pytest.raises(InvitationOver):
            await projects.accept_invitation(ctx, secret)
    log = [entry.action for entry in await projects.list_organization_audit(owner, team.id)]
    assert log == ["invitation.accept", "invitation.create", "organization.create"]


async def test_the_secret_is_nowhere_but_in_the_message(platform: Platform, owner: Context, team: Organization) -> None:
    await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.MEMBER)
    secret = await last_link(platform)
    async with platform.database.reading() as connection:
        tables = await connection.run_sync(lambda c: sa.inspect(c).get_table_names())
        for table in tables:
            quoted = connection.dialect.identifier_preparer.quote(table)
            rows = (await connection.execute(sa.text(f"SELECT * FROM {quoted}"))).all()
            assert secret not in repr(rows), table
    assert secret not in repr(await projects.list_invitations(owner, team.id))
    assert secret not in repr(await projects.list_organization_audit(owner, team.id))


async def test_only_the_invited_address_joins(platform: Platform, owner: Context, team: Organization) -> None:
    await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.ADMIN)
    secret = await last_link(platform)
    for number, email in enumerate(("ann@example.com", "ann@examp1e.org", None)):
        other = await person(platform, f"other{number}", email)
        with pytest.raises(InvitedAddressDiffers) as refused:
            await projects.accept_invitation(other, secret)
        assert "a•••@e•••.org" in refused.value.hint
        assert ADDRESS not in refused.value.hint + refused.value.message
    ann = await person(platform, "ann", ADDRESS)
    by_token = platform.context(Actor(ActorKind.USER, user_id=ann.actor.user_id))
    with pytest.raises(Forbidden):
        await projects.accept_invitation(by_token, secret)
    await projects.accept_invitation(ann, secret)


async def test_of_two_acceptances_at_once_one_counts(platform: Platform, owner: Context, team: Organization) -> None:
    await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.MEMBER)
    secret, ann = await last_link(platform), await person(platform, "ann", ADDRESS)
    done = await asyncio.gather(*(projects.accept_invitation(ann, secret) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in done) == 1
    assert all(isinstance(result, InvitationOver) for result in done if isinstance(result, BaseException))


async def test_unknown_revoked_expired_and_replaced_links_are_answered_alike(
    platform: Platform, owner: Context, team: Organization
) -> None:
    ann = await person(platform, "ann", ADDRESS)
    first = await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.MEMBER)
    replaced = await last_link(platform)
    await projects.resend_invitation(owner, first.id)
    revoked = await last_link(platform)
    assert revoked != replaced
    assert await projects.read_invitation(ann, revoked)
    await projects.revoke_invitation(owner, first.id)
    await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.MEMBER)
    expired = await last_link(platform)
    platform.clock.advance(timedelta(days=7, seconds=1))  # type: ignore[attr-defined]
    assert await projects.list_invitations(owner, team.id) == []
    assert await projects.expire_invitations(platform.context(SYSTEM)) == 1
    answers = set()
    for secret in ("x" * 43, "", "x" * 1000, "é", replaced, revoked, expired):
        for attempt in (projects.read_invitation(ann, secret), projects.accept_invitation(ann, secret)):
            with pytest.raises(InvitationOver) as refused:
                await attempt
            answers.add((refused.value.message, refused.value.hint))
    assert len(answers) == 1


async def test_nobody_invites_above_themselves_nor_manages_what_they_may_not_give(
    platform: Platform, owner: Context, team: Organization
) -> None:
    """CVE-2025-64423: a member read an admin's invitation and used it."""
    people = {}
    for name in ("admin", "member", "viewer"):
        await projects.invite(owner, team.id, email=f"{name}@example.org", role=OrganizationRole[name.upper()])
        people[name] = await person(platform, name, f"{name}@example.org")
        await projects.accept_invitation(people[name], await last_link(platform))
    made = await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.OWNER)
    for name in ("member", "viewer"):
        for attempt in (
            projects.list_invitations(people[name], team.id),
            projects.invite(people[name], team.id, email="m@example.org", role=OrganizationRole.VIEWER),
            projects.revoke_invitation(people[name], made.id),
            projects.resend_invitation(people[name], made.id),
        ):
            with pytest.raises(RoleTooLow):
                await attempt
    for refused in (
        projects.invite(people["admin"], team.id, email="m@example.org", role=OrganizationRole.OWNER),
        projects.revoke_invitation(people["admin"], made.id),
        projects.resend_invitation(people["admin"], made.id),
    ):
        with pytest.raises(RoleTooLow):
            await refused
    stranger = await platforms_user(platform)
    for hidden in (projects.revoke_invitation(stranger, made.id), projects.resend_invitation(stranger, made.id)):
        with pytest.raises(InvitationNotFound):
            await hidden


async def platforms_user(platform: Platform) -> Context:
    return await person(platform, "stranger", "stranger@example.org")


async def test_an_invitation_is_worth_what_its_maker_may_still_give(
    platform: Platform, owner: Context, team: Organization
) -> None:
    await projects.invite(owner, team.id, email="adm@example.org", role=OrganizationRole.ADMIN)
    admin = await person(platform, "adm", "adm@example.org")
    await projects.accept_invitation(admin, await last_link(platform))
    await projects.invite(admin, team.id, email=ADDRESS, role=OrganizationRole.ADMIN)
    secret = await last_link(platform)
    assert admin.actor.user_id is not None
    await projects.remove_place(owner, team.id, admin.actor.user_id)
    with pytest.raises(InvitationOver):
        await projects.accept_invitation(await person(platform, "ann", ADDRESS), secret)


async def test_a_project_can_be_what_somebody_is_invited_to(
    platform: Platform, owner: Context, admin: Context, project: Project
) -> None:
    with pytest.raises(RoleTooLow):
        await projects.invite_to_project(admin, project.id, email=ADDRESS, role=Role.OWNER)
    await projects.invite_to_project(admin, project.id, email=ADDRESS, role=Role.MEMBER)
    ann = await person(platform, "ann", ADDRESS)
    await projects.accept_invitation(ann, await last_link(platform))
    assert (await projects.membership(ann, project.id))[1] is Role.MEMBER
    second = await projects.invite_to_project(admin, project.id, email="bob@example.org", role=Role.MEMBER)
    assert [i.id for i in await projects.list_project_invitations(owner, project.id)] == [second.id]
    secret = await last_link(platform)
    await projects.delete_project(owner, project.id)
    with pytest.raises(InvitationOver):
        await projects.accept_invitation(await person(platform, "bob", "bob@example.org"), secret)


async def test_invitations_are_bounded(platform: Platform, owner: Context, team: Organization) -> None:
    await projects.invite(owner, team.id, email=ADDRESS, role=OrganizationRole.MEMBER)
    with pytest.raises(AlreadyInvited):
        await projects.invite(owner, team.id, email=ADDRESS.upper(), role=OrganizationRole.ADMIN)
    for number in range(99):
        await projects.invite(owner, team.id, email=f"u{number}@example.org", role=OrganizationRole.VIEWER)
    with pytest.raises(TooManyInvitations):
        await projects.invite(owner, team.id, email="late@example.org", role=OrganizationRole.VIEWER)
    assert len(await projects.list_invitations(owner, team.id, first=100)) == 100
    made = (await projects.list_invitations(owner, team.id))[0]
    for _ in range(invitations.PER_INVITATION.count):
        await projects.resend_invitation(owner, made.id)
    with pytest.raises(Error, match="Too many"):
        await projects.resend_invitation(owner, made.id)
