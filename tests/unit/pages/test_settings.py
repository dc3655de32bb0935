"""The pages of one's own account, used as people use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from af import auth
from af.core.clock import FixedClock
from af.core.context import Context
from tests.support.visitor import Visitor
from tests.unit.pages.conftest import PostOffice, sign_in

EMAIL = "ada@example.org"
PAGES = ("", "/methods", "/security", "/sessions", "/tokens", "/team", "/account")


@pytest.fixture
async def ada(visitor: Visitor, post_office: PostOffice) -> Visitor:
    await sign_in(visitor, post_office, EMAIL)
    return visitor


@pytest.mark.parametrize("page", [*PAGES, "/outbox", "/team/somebody"])
async def test_nobody_sees_settings(visitor: Visitor, page: str) -> None:
    await visitor.open(f"/settings{page}")
    assert visitor.path.startswith("/login?return_to=")


@pytest.mark.parametrize("page", PAGES)
async def test_each_page_has_a_title_a_heading_and_its_place_in_the_menu(ada: Visitor, page: str) -> None:
    reply = await ada.open(f"/settings{page}")
    assert reply.status == 200
    assert reply.text.count("<h1") == 1
    assert reply.text.count('aria-current="page"') == 1
    assert '<html lang="en">' in reply.text
    assert "<title>" in reply.text


async def test_a_name_is_text_whatever_it_holds(ada: Visitor) -> None:
    await ada.open("/settings")
    reply = await ada.send("/settings", act="save", display_name='"><script>alert(1)</script>', avatar_url="")
    assert "Saved." in ada.text
    assert "<script>alert" not in reply.text
    reply = await ada.send("/settings", act="save", display_name="x", avatar_url="javascript:alert(1)")
    assert reply.status == 400


async def test_a_token_is_shown_once_works_within_its_scope_and_is_revoked(ada: Visitor) -> None:
    await ada.open("/settings/tokens")
    await ada.send("/settings/tokens", act="create", name="CI", power="some", scope=["tokens:read"], life="30")
    text = next(word for word in ada.text.split() if word.startswith("af_live_") and "…" not in word)
    assert (await ada.client.as_token(text).get("/tokens")).status == 200
    assert (await ada.client.as_token(text).post("/tokens", {"name": "more"})).status == 403
    await ada.open("/settings/tokens")
    assert text not in ada.text
    row = next(form for form in ada.forms() if ("act", "revoke") in form.values)
    await ada.send("/settings/tokens", act="revoke", id=dict(row.values)["id"])
    assert "Revoke CI?" in ada.text
    assert (await ada.client.as_token(text).get("/tokens")).status == 200, "only asked"
    await ada.send("/settings/tokens", act="revoke", sure="yes")
    assert "The token was revoked" in ada.text
    assert (await ada.client.as_token(text).get("/tokens")).status == 401


async def test_a_token_without_any_scope_is_refused_and_what_was_typed_stays(ada: Visitor) -> None:
    await ada.open("/settings/tokens")
    reply = await ada.send("/settings/tokens", act="create", name="nothing", power="some", life="30")
    assert reply.status == 400
    assert 'value="nothing"' in reply.text


async def test_other_devices_are_signed_out(
    ada: Visitor, browser_of: Callable[[str], Visitor], post_office: PostOffice, clock: FixedClock
) -> None:
    clock.advance(timedelta(seconds=1))
    phone = browser_of("127.0.0.9")
    await sign_in(phone, post_office, EMAIL)
    await ada.open("/settings/sessions")
    assert "127.0.0.9" in ada.text
    await ada.send("/settings/sessions", act="revoke_all")
    assert "127.0.0.9" not in ada.text
    await phone.open("/settings")
    assert phone.path.startswith("/login")


async def test_a_second_address_is_added_by_its_code_and_either_signs_in(
    ada: Visitor, browser_of: Callable[[str], Visitor], post_office: PostOffice, clock: FixedClock
) -> None:
    await ada.open("/settings/methods")
    assert "cannot be removed" in ada.text
    await ada.send("/settings/methods", act="address", method="email", email="second@example.org")
    assert "Confirm the address" in ada.text
    await ada.send("/login/code", code=await post_office.code("second@example.org"))
    assert "was added" in ada.text
    clock.advance(timedelta(seconds=1))
    other = browser_of("127.0.0.9")
    await sign_in(other, post_office, "second@example.org")
    await other.open("/settings")
    assert EMAIL in other.text, "the same account"


async def test_a_change_of_the_account_needs_a_fresh_sign_in_and_comes_back(
    ada: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await ada.open("/settings/methods")
    clock.advance(timedelta(minutes=20))
    await ada.send("/settings/methods", act="address", method="email", email="second@example.org")
    assert ada.path.startswith("/login?")
    assert "Confirm that it is you" in ada.text
    await ada.send("/login", email=EMAIL)
    await ada.send("/login/code", code=await post_office.code(EMAIL))
    assert ada.path == "/settings/methods"


async def test_data_is_taken_along_and_the_account_ends_and_comes_back(ada: Visitor) -> None:
    await ada.open("/settings/account")
    reply = await ada.send("/settings/account", act="export")
    assert json.loads(reply.text)["user"]["email"] == EMAIL
    assert "attachment" in reply.headers["content-disposition"]
    await ada.open("/settings/account")
    reply = await ada.send("/settings/account", act="delete", confirm="somebody-else")
    assert reply.status == 400
    await ada.send("/settings/account", act="delete", confirm="ada")
    assert "To be deleted on" in ada.text
    await ada.send("/settings/account", act="restore")
    assert "Your account stays." in ada.text


@pytest.mark.parametrize("page", ["/methods", "/security", "/sessions", "/tokens", "/team"])
async def test_who_is_leaving_is_led_to_the_page_that_keeps_the_account(ada: Visitor, page: str) -> None:
    await ada.open("/settings/account")
    await ada.send("/settings/account", act="delete", confirm="ada")
    await ada.open(f"/settings{page}")
    assert ada.path == "/settings/account"
    assert "Keep my account" in ada.text
    for act in ("export", "delete"):
        assert (await ada.post("/settings/account", act=act, confirm="ada")).status == 403
    assert (await ada.post("/settings", act="save", display_name="Eve", avatar_url="")).status == 403


async def test_a_sign_in_while_leaving_shows_how_to_keep_the_account(
    ada: Visitor, post_office: PostOffice, browser_of: Callable[[str], Visitor], clock: FixedClock
) -> None:
    await ada.open("/settings/account")
    await ada.send("/settings/account", act="delete", confirm="ada")
    clock.advance(timedelta(seconds=1))
    elsewhere = browser_of("127.0.0.2")
    await sign_in(elsewhere, post_office, EMAIL)
    assert elsewhere.path == "/settings/account"
    await elsewhere.send("/settings/account", act="restore")
    assert "Your account stays." in elsewhere.text


async def test_the_outbox_is_for_the_operator(
    ada: Visitor, system: Context, browser_of: Callable[[str], Visitor]
) -> None:
    assert (await ada.open("/settings/outbox")).status == 403
    operator, _ = await auth.ensure_operator(system, "owner")
    link = auth.login_url(system, await auth.create_login_link(system, operator.id))
    owner = browser_of("127.0.0.5")
    await owner.open(link.partition("8787")[2])
    await owner.send("/auth/link")
    await owner.open("/settings/outbox")
    assert EMAIL in owner.text
    assert "Outbox" in owner.text


async def test_a_form_that_no_page_has_changes_nothing(ada: Visitor) -> None:
    for page in PAGES:
        assert (await ada.post(f"/settings{page}", act="nothing")).status in (400, 405)
    assert (await ada.post("/settings/account", origin="http://blog.localhost:8787", act="export")).status == 403
