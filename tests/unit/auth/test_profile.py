"""One's own account: profile, ways in, the address, export, leaving and coming back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from af import auth
from af.auth import jobs, profile, sign_in
from af.auth.errors import (
    DeletionNotConfirmed,
    InvalidProfile,
    LastMethod,
    MethodNotFound,
    ReauthenticationRequired,
)
from af.auth.models import Linked, LoginMethod, Purpose, SignedIn
from af.core import audit, ids
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.errors import Unauthenticated
from tests.unit.auth.mailbox import last_letter, letters
from tests.unit.auth.people import ADA, by_code, person, visitor

PHONE = "+4915112345678"


async def add(platform: Platform, me: Context, method: str, **claim: str) -> LoginMethod:
    begun = await sign_in.begin(me, method, claim, purpose=Purpose.LINK)
    done = await sign_in.finish(me, method, {"code": (await last_letter(platform)).code}, flow=begun.flow)
    assert isinstance(done, Linked)
    return done.method


async def test_a_profile_is_changed_and_emptied(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    changed = await profile.update_profile(me, display_name=" Ada L. ", avatar_url="https://example.org/a.png")
    assert (changed.display_name, changed.avatar_url) == ("Ada L.", "https://example.org/a.png")
    assert (await profile.update_profile(me, avatar_url="")).avatar_url is None
    for wrong in ("javascript:alert(1)", 'https://x/"><script>', "http://example.org/a.png"):
        with pytest.raises(InvalidProfile):
            await profile.update_profile(me, avatar_url=wrong)
    for wrong in ("a\nb", "x" * 101):
        with pytest.raises(InvalidProfile):
            await profile.update_profile(me, display_name=wrong)


async def test_the_last_way_in_stays(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    only = (await profile.methods(me))[0]
    with pytest.raises(LastMethod):
        await profile.remove_method(me, only.id)
    await add(platform, me, "sms", phone=PHONE)
    await profile.remove_method(me, only.id)
    left = await profile.methods(me)
    assert [(each.method, each.primary) for each in left] == [("sms", True)]
    told = {each.template for each in await letters(platform) if each.to == ADA}
    assert told >= {"method_added", "method_removed"}


async def test_two_removals_at_once_leave_one(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    await add(platform, me, "sms", phone=PHONE)
    tries = [profile.remove_method(me, each.id) for each in await profile.methods(me)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, LastMethod) for each in outcomes) == 1
    assert len(await profile.methods(me)) == 1


async def test_others_ways_in_do_not_exist(platform: Platform) -> None:
    eve = person(platform, await by_code(platform, "eve@example.org"))
    me = person(platform, await by_code(platform))
    mine = (await profile.methods(me))[0]
    for attempt in (profile.remove_method(eve, mine.id), profile.set_primary_method(eve, mine.id)):
        with pytest.raises(MethodNotFound):
            await attempt


async def test_a_new_primary_address_is_told_to_the_old_one(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    second = await add(platform, me, "email", email="lovelace@example.org")
    assert (await auth.me(me)) is not None
    await profile.set_primary_method(me, second.id)
    user = await auth.me(me)
    assert user is not None
    assert user.email == "lovelace@example.org"
    notice = next(each for each in await letters(platform) if each.template == "email_changed")
    assert notice.to == ADA
    assert "lovelace@example.org" in notice.text
    assert [each.primary for each in await profile.methods(me)] == [False, True]


async def test_the_address_goes_with_its_way_in(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    await add(platform, me, "sms", phone=PHONE)
    mail = next(each for each in await profile.methods(me) if each.method == "email")
    await profile.remove_method(me, mail.id)
    user = await auth.me(me)
    assert user is not None
    assert user.email is None
    assert (await by_code(platform)).is_new  # the address is free again


async def test_changes_need_a_recent_sign_in(platform: Platform, clock: FixedClock) -> None:
    me = person(platform, await by_code(platform))
    mine = (await profile.methods(me))[0]
    clock.advance(timedelta(minutes=16))
    for attempt in (
        profile.remove_method(me, mine.id),
        profile.set_primary_method(me, mine.id),
        profile.schedule_deletion(me, "ada"),
    ):
        with pytest.raises(ReauthenticationRequired):
            await attempt


async def test_the_export_has_everything_but_secrets(platform: Platform) -> None:
    done = await by_code(platform)
    me = person(platform, done)
    token = await auth.create_token(platform.context(SYSTEM), "ci", user_id=done.user.id)
    document = msgspec.json.decode(msgspec.json.encode(await profile.export(me)))
    assert document["user"]["email"] == ADA
    assert [each["label"] for each in document["methods"]] == [ADA]
    assert [each["name"] for each in document["accessTokens"]] == ["ci"]
    assert document["sessions"]
    assert document["audit"]
    text = str(document)
    assert done.cookie is not None
    for secret in (token.text, done.cookie):
        assert secret not in text


async def test_an_account_is_deleted_after_time_to_change_ones_mind(platform: Platform, clock: FixedClock) -> None:
    done = await by_code(platform)
    me, user = person(platform, done), done.user
    elsewhere = await by_code(platform)
    token = await auth.create_token(platform.context(SYSTEM), "ci", user_id=user.id)
    with pytest.raises(DeletionNotConfirmed):
        await profile.schedule_deletion(me, "somebody")
    leaving = await profile.schedule_deletion(me, user.username)
    assert leaving.deletes_at == clock.now() + timedelta(days=14)
    assert [each.id for each in await auth.list_sessions(me)] == [done.session.id]
    assert elsewhere.session.id != done.session.id
    with pytest.raises(Unauthenticated):
        await auth.authenticate_token(visitor(platform), token.text)
    system = platform.context(SYSTEM)
    assert await jobs.erase_due(system) == 0
    clock.advance(timedelta(days=14, seconds=1))
    assert await jobs.erase_due(system) == 1
    assert await jobs.erase_due(system) == 0
    gone = (await auth.users_by_id(system, [user.id]))[user.id]
    assert gone.username.startswith("deleted-")
    assert (gone.email, gone.display_name) == (None, None)
    assert (await audit.verify(system, f"user:{user.id}")).broken_at is None
    assert (await by_code(platform)).is_new


async def test_an_account_that_cannot_be_erased_holds_up_no_other(platform: Platform, clock: FixedClock) -> None:
    leaving = [await by_code(platform, email) for email in ("first@example.org", "second@example.org")]
    for done in leaving:
        await profile.schedule_deletion(person(platform, done), done.user.username)
    first, second = sorted(done.user.id for done in leaving)
    system = platform.context(SYSTEM)
    async with system.transaction() as tx:  # as an operator's own table might hold on to a row of ours
        await tx.execute(sa.text("CREATE TABLE holds (id TEXT REFERENCES login_methods (id))"))
        held = sa.text("INSERT INTO holds SELECT id FROM login_methods WHERE user_id = :user")
        await tx.execute(held, {"user": first})
    clock.advance(timedelta(days=14, seconds=1))
    assert await jobs.erase_due(system) == 1
    users = await auth.users_by_id(system, [first, second])
    assert (users[first].email is None, users[second].email is None) == (False, True)
    async with system.transaction() as tx:
        await tx.execute(sa.text("DROP TABLE holds"))
    assert await jobs.erase_due(system) == 1


async def test_nobody_keeps_an_account_from_being_erased_by_taking_its_name(
    platform: Platform, clock: FixedClock
) -> None:
    done = await by_code(platform)
    await auth.create_user(platform.context(SYSTEM), f"deleted-{ids.label(done.user.id)}")
    await profile.schedule_deletion(person(platform, done), done.user.username)
    clock.advance(timedelta(days=14, seconds=1))
    assert await jobs.erase_due(platform.context(SYSTEM)) == 1


async def test_who_comes_back_in_time_keeps_everything(platform: Platform, clock: FixedClock) -> None:
    done = await by_code(platform)
    token = await auth.create_token(platform.context(SYSTEM), "ci", user_id=done.user.id)
    await profile.schedule_deletion(person(platform, done), done.user.username)
    clock.advance(timedelta(days=13))
    again = await by_code(platform)
    assert isinstance(again, SignedIn)
    assert again.user.id == done.user.id
    assert (await profile.restore(person(platform, again))).deletes_at is None
    clock.advance(timedelta(days=2))
    assert await jobs.erase_due(platform.context(SYSTEM)) == 0
    await auth.authenticate_token(visitor(platform), token.text)


async def test_many_exports_at_once(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    documents = await asyncio.gather(*(profile.export(me) for _ in range(8)))
    assert {document["user"].email for document in documents} == {ADA}


async def test_a_primary_address_that_is_removed_at_the_same_moment_is_nobodys(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    second = await add(platform, me, "email", email="lovelace@example.org")
    await asyncio.gather(
        profile.set_primary_method(me, second.id), profile.remove_method(me, second.id), return_exceptions=True
    )
    user = await auth.me(me)
    assert user is not None
    assert user.email in [each.subject for each in await profile.methods(me)]


async def test_an_account_of_an_early_release_is_found_by_its_address(platform: Platform) -> None:
    early = await auth.create_user(platform.context(SYSTEM), "early", email="early@example.org")
    with pytest.raises(auth.errors.MethodTaken):
        await add(platform, person(platform, await by_code(platform)), "email", email="early@example.org")
    done = await by_code(platform, "early@example.org")
    assert (done.user.id, done.is_new) == (early.id, False)
