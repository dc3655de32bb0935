"""Teams by their pages: invitations, roles, leaving; and what strangers and members do not see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from af.core.clock import FixedClock
from tests.support.visitor import Visitor
from tests.unit.pages.conftest import PostOffice, sign_in

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
async def ada(visitor: Visitor, post_office: PostOffice) -> Visitor:
    """An owner of the team ``lab``."""
    await sign_in(visitor, post_office, ADA)
    await visitor.open("/settings/team")
    await visitor.send("/settings/team", act="create", name="Lab")
    assert visitor.path.startswith("/settings/team/lab")
    return visitor


@pytest.fixture
def bob(browser_of: Callable[[str], Visitor]) -> Visitor:
    return browser_of("127.0.0.2")


async def _join(ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock, role: str) -> str:
    await ada.open("/settings/team/lab")
    await ada.send("/settings/team/lab", act="invite", email=BOB, role=role)
    link = await post_office.link(BOB, "/invitations/")
    clock.advance(timedelta(seconds=1))
    await bob.open(link)
    assert "Lab" in bob.text
    await sign_in(bob, post_office, BOB)
    await bob.open(link)
    await bob.send(link)
    return link


async def test_an_invitation_is_accepted_once_by_whom_it_is_for(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    link = await _join(ada, bob, post_office, clock, "MEMBER")
    assert "Welcome to the team." in bob.text
    await bob.open("/settings/team/lab")
    assert "you are member" in bob.text
    assert [form for form in bob.forms() if ("act", "invite") in form.values] == []
    assert (await bob.open(link)).status >= 400


async def test_an_invitation_for_somebody_else_is_refused_in_place(ada: Visitor, post_office: PostOffice) -> None:
    await ada.send("/settings/team/lab", act="invite", email=BOB, role="VIEWER")
    link = await post_office.link(BOB, "/invitations/")
    await ada.open(link)
    reply = await ada.send(link)
    assert reply.status in (403, 409)
    assert "another e-mail address" in ada.text


async def test_a_member_cannot_do_what_the_page_does_not_offer(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await _join(ada, bob, post_office, clock, "MEMBER")
    for fields in ({"act": "invite", "email": "x@example.org", "role": "OWNER"}, {"act": "rename", "name": "Mine"}):
        assert (await bob.post("/settings/team/lab", **fields)).status == 403
    await bob.send("/settings/team/lab", act="leave")
    assert (await bob.open("/settings/team/lab")).status == 404


async def test_roles_change_and_members_are_removed(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await _join(ada, bob, post_office, clock, "BILLING")
    assert (await bob.open("/settings/team/lab")).status == 200
    assert ADA not in bob.text
    await ada.open("/settings/team/lab")
    row = next(form for form in ada.forms() if ("act", "remove") in form.values)
    user = dict(row.values)["user"]
    await ada.post("/settings/team/lab", act="role", user=user, role="ADMIN")
    assert "The role was changed." in ada.text
    await ada.post("/settings/team/lab", act="remove", user=user)
    assert (await bob.open("/settings/team/lab")).status == 404


async def test_strangers_learn_nothing_of_a_team(ada: Visitor, bob: Visitor, post_office: PostOffice) -> None:
    await sign_in(bob, post_office, BOB)
    hidden = await bob.open("/settings/team/lab")
    absent = await bob.open("/settings/team/nothing")
    assert (hidden.status, absent.status) == (404, 404)
    assert (await bob.post("/settings/team/lab", act="leave")).status == 404


async def test_the_only_owner_of_a_team_with_others_cannot_delete_the_account(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await _join(ada, bob, post_office, clock, "MEMBER")
    await ada.open("/settings/account")
    reply = await ada.send("/settings/account", act="delete", confirm="ada")
    assert reply.status == 409
    assert "only owner of Lab" in ada.text


async def test_a_team_is_deleted_by_its_name(ada: Visitor) -> None:
    reply = await ada.send("/settings/team/lab", act="delete", confirm="other")
    assert reply.status == 400
    await ada.open("/settings/team/lab")
    await ada.send("/settings/team/lab", act="delete", confirm="lab")
    assert "The team is gone." in ada.text
