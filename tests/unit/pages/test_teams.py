"""Teams by their pages: invitations, roles, leaving; and what strangers and members do not see."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from af import auth, projects
from af.core.clock import FixedClock
from af.core.context import Actor, ActorKind, Context
from af.pages.team import MEMBERS_SHOWN
from af.projects import OrganizationMember, OrganizationRole, store
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
    assert "Leave Lab?" in bob.text
    await bob.send("/settings/team/lab", act="leave", sure="yes")
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
    assert "Remove bob?" in ada.text
    assert (await bob.open("/settings/team/lab")).status == 200, "only asked"
    await ada.open("/settings/team/lab")
    await ada.post("/settings/team/lab", act="remove", user=user, sure="yes")
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


async def _member_page(ada: Visitor) -> str:
    await ada.open("/settings/team/lab")
    assert ada.last is not None
    found = re.search(r'href="(/settings/team/lab/members/usr_\w+)" aria-label="Access of bob"', ada.last.text)
    assert found is not None
    return found[1]


def _projects(visitor: Visitor) -> list[str]:
    """The names of the projects that the page of tokens offers: all that one reaches."""
    assert visitor.last is not None
    return re.findall(r'<option value="prj_\w+">(.+?)</option>', visitor.last.text)


async def test_a_member_reaches_the_projects_that_were_chosen(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock, system: Context
) -> None:
    await _join(ada, bob, post_office, clock, "MEMBER")
    owner = await _acting_as(system, ADA)
    team = await projects.get_organization(owner, "lab")
    made = [await projects.create_project(owner, name, organization_id=team.id) for name in ("Red", "Blue")]
    page = await _member_page(ada)
    assert (await ada.open(page)).text.count('name="project"') == 2
    await ada.send(page, act="access", access="some", project=[made[0].id])
    assert "The access was changed." in ada.text
    await bob.open("/settings/tokens")
    assert _projects(bob) == ["Red"]
    await ada.send(page, act="access", access="all", project=[])
    await bob.open("/settings/tokens")
    assert sorted(_projects(bob)) == ["Blue", "Red"]
    assert (await ada.post(page, act="access", project=made[0].id)).status == 400, "nothing chosen is not everything"
    assert (await ada.post(page, act="access", access="some", project="prj_0000000000000000000000")).status == 404


async def test_a_team_is_handed_over_after_a_question(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await _join(ada, bob, post_office, clock, "VIEWER")
    page = await _member_page(ada)
    assert (await bob.open(page)).status == 403
    for fields in ({"act": "transfer", "sure": "yes"}, {"act": "access", "access": "all"}):
        assert (await bob.post(page, **fields)).status == 403
    await ada.open(page)
    await ada.send(page, act="transfer")
    assert "Hand Lab over to bob?" in ada.text
    await bob.open("/settings/team/lab")
    assert "you are viewer" in bob.text
    await ada.send(page, act="transfer", sure="yes")
    assert "handed over" in ada.text
    await bob.open("/settings/team/lab")
    assert "you are owner" in bob.text


async def test_members_of_other_teams_have_no_page_in_ones_own(
    ada: Visitor, bob: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await _join(ada, bob, post_office, clock, "MEMBER")
    page = await _member_page(ada)
    assert (await ada.open(page.replace("/lab/", "/ada/"))).status == 404
    assert (await ada.open(page.replace("/lab/", "/nothing/"))).status == 404
    user = page.rpartition("/")[2]
    for sure in ("", "yes"):
        assert (await ada.post("/settings/team/ada", act="remove", user=user, sure=sure)).status == 404


async def test_an_invitation_is_revoked_after_a_question(ada: Visitor, bob: Visitor, post_office: PostOffice) -> None:
    await ada.send("/settings/team/lab", act="invite", email=BOB, role="VIEWER")
    link = await post_office.link(BOB, "/invitations/")
    await ada.send("/settings/team/lab", act="revoke")
    assert f"The link that {BOB} was sent works no more." in ada.text
    assert (await bob.open(link)).status == 200, "only asked"
    await ada.send("/settings/team/lab", act="revoke", sure="yes")
    assert "works no more" in ada.text
    assert (await bob.open(link)).status >= 400


async def test_all_members_of_a_large_team_are_reached(ada: Visitor, system: Context, clock: FixedClock) -> None:
    team = await projects.get_organization(await _acting_as(system, ADA), "lab")
    for number in range(MEMBERS_SHOWN + 1):
        user = await auth.create_user(system, f"member-{number:03}")
        place = OrganizationMember(team.id, user.id, OrganizationRole.VIEWER, True, clock.now())
        async with system.transaction() as tx:
            assert await store.organizations.insert_member(tx, place)
    seen: list[str] = []
    address = "/settings/team/lab"
    for _ in range(2):
        reply = await ada.open(address)
        seen += re.findall(r'aria-label="Access of (\S+?)"', reply.text)
        onward = re.search(r'href="(/settings/team/lab\?after=usr_\w+)"', reply.text)
        address = onward[1] if onward else ""
    assert address == "", "two pages, and no third"
    assert sorted(seen) == ["ada", *(f"member-{number:03}" for number in range(MEMBERS_SHOWN + 1))]


async def _acting_as(system: Context, email: str) -> Context:
    user = await auth.user_by_name(system, email)
    return system.acting_as(Actor(ActorKind.USER, user_id=user.id))
