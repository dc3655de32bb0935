"""Signing in without scripts: by code, by link, with a second factor; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest

from af.core.clock import FixedClock
from tests.support.visitor import Visitor
from tests.unit.pages.conftest import PostOffice, sign_in

EMAIL = "ada@example.org"


async def test_a_code_from_the_message_signs_in_and_leads_back(visitor: Visitor, post_office: PostOffice) -> None:
    await visitor.open("/settings/tokens")
    assert visitor.path == "/login?return_to=%2Fsettings%2Ftokens"
    await visitor.send("/login", email=EMAIL)
    assert EMAIL in visitor.text
    await visitor.send("/login/code", code=await post_office.code(EMAIL))
    assert visitor.path == "/settings/tokens"
    assert set(visitor.cookies) == {"__Host-af_session"}
    await visitor.open("/settings")
    assert EMAIL in visitor.text


async def test_the_way_back_is_never_another_host(visitor: Visitor, post_office: PostOffice) -> None:
    await visitor.open("/login?return_to=//evil.test/")
    await visitor.send("/login", email=EMAIL, return_to="https://evil.test/")
    await visitor.send("/login/code", code=await post_office.code(EMAIL))
    assert visitor.path == "/"


async def test_a_wrong_code_is_told_and_five_end_it(visitor: Visitor, post_office: PostOffice) -> None:
    await visitor.open("/login")
    await visitor.send("/login", email=EMAIL)
    code = await post_office.code(EMAIL)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        reply = await visitor.send("/login/code", code=wrong)
        assert reply.status == 401
        assert "The code is wrong." in visitor.text
    await visitor.post("/login/code", code=code)
    assert "over" in visitor.text
    assert "__Host-af_session" not in visitor.cookies


async def test_a_new_code_can_be_asked_for(visitor: Visitor, post_office: PostOffice, clock: FixedClock) -> None:
    await visitor.open("/login")
    await visitor.send("/login", email=EMAIL)
    clock.advance(timedelta(seconds=1))
    await visitor.send("/login/code", again="1")
    await visitor.send("/login/code", code=await post_office.code(EMAIL))
    assert "__Host-af_session" in visitor.cookies


async def test_what_cannot_be_an_address_is_told_in_place(visitor: Visitor) -> None:
    await visitor.open("/login")
    reply = await visitor.send("/login", email='<img src=x onerror="alert(1)">')
    assert reply.status == 400
    assert 'role="alert"' in reply.text
    assert "<img src=x" not in reply.text


async def test_the_link_of_the_message_works_in_the_browser_that_asked(
    visitor: Visitor, post_office: PostOffice
) -> None:
    await visitor.open("/login?return_to=/settings")
    await visitor.send("/login", email=EMAIL)
    link = await post_office.link(EMAIL, "/auth/email/link")
    await visitor.open(link)
    assert "__Host-af_session" not in visitor.cookies, "a GET uses nothing up"
    await visitor.send("/auth/email/link")
    assert visitor.path == "/settings"
    await visitor.open(link)
    await visitor.post("/auth/email/link", token=link.partition("token=")[2])
    assert "over" in visitor.text, "the link works once"


async def test_in_another_browser_the_link_asks_for_the_code_and_is_not_used_up(
    browser_of: Callable[[str], Visitor], post_office: PostOffice
) -> None:
    first, second = browser_of("127.0.0.1"), browser_of("127.0.0.2")
    await first.open("/login")
    await first.send("/login", email=EMAIL)
    link = await post_office.link(EMAIL, "/auth/email/link")
    await second.open(link)
    assert "begun in another browser" in second.text
    assert second.forms() == []
    await second.post("/auth/email/link", token=link.partition("token=")[2])
    assert "__Host-af_session" not in second.cookies
    await first.open(link)
    await first.send("/auth/email/link")
    assert "__Host-af_session" in first.cookies


async def test_signing_in_anew_ends_the_session_before(visitor: Visitor, post_office: PostOffice) -> None:
    await sign_in(visitor, post_office, EMAIL)
    before = visitor.cookies["__Host-af_session"]
    await visitor.open("/login?again=1&return_to=/settings")
    await visitor.send("/login", email=EMAIL)
    await visitor.send("/login/code", code=await post_office.code(EMAIL))
    assert visitor.cookies["__Host-af_session"] != before
    visitor.cookies["__Host-af_session"] = before
    await visitor.open("/settings")
    assert visitor.path.startswith("/login")


async def test_a_second_factor_is_set_up_asked_for_and_replaced_by_a_recovery_code(
    browser_of: Callable[[str], Visitor], post_office: PostOffice, clock: FixedClock
) -> None:
    ada, elsewhere = browser_of("127.0.0.1"), browser_of("127.0.0.2")
    await sign_in(ada, post_office, EMAIL)
    await ada.open("/settings/security")
    reply = await ada.send("/settings/security", act="begin")
    assert 'src="data:image/svg+xml' in reply.text
    secret = dict(ada.forms()[1].values)["secret"]
    totp = pyotp.TOTP(secret)
    reply = await ada.send("/settings/security", code="000000" if totp.at(clock.now()) != "000000" else "111111")
    assert reply.status == 401
    assert secret in reply.text, "the secret stays on the page"
    reply = await ada.send("/settings/security", code=totp.at(clock.now()))
    codes = [word for word in ada.text.split() if len(word) == 14 and word.count("-") == 2]
    assert len(codes) == 10

    clock.advance(timedelta(minutes=1))
    await elsewhere.open("/login?return_to=/settings")
    await elsewhere.send("/login", email=EMAIL)
    await elsewhere.send("/login/code", code=await post_office.code(EMAIL))
    assert elsewhere.path == "/login/second-factor"
    assert "__Host-af_session" not in elsewhere.cookies
    await elsewhere.send("/login/second-factor", code="aaaa-bbbb-cccc")
    assert "__Host-af_session" not in elsewhere.cookies
    await elsewhere.send("/login/second-factor", code=codes[0])
    assert elsewhere.path == "/settings"
    await elsewhere.open("/settings/security")
    assert "9 recovery codes are left." in elsewhere.text


async def test_the_page_of_the_second_factor_alone_signs_nobody_in(visitor: Visitor) -> None:
    await visitor.open("/login/second-factor")
    assert "No sign-in waits" in visitor.text
    await visitor.post("/login/second-factor", code="123456")
    assert "__Host-af_session" not in visitor.cookies


@pytest.mark.parametrize("code", ["account_exists", "wrong_proof"])
async def test_what_went_wrong_at_a_provider_is_said_in_our_words(visitor: Visitor, code: str) -> None:
    reply = await visitor.open(f"/login?error={code}")
    assert 'role="alert"' in reply.text
    reply = await visitor.open("/login?error=Call+0800-EVIL")
    assert "EVIL" not in reply.text


async def test_a_refused_message_says_when_to_come_back(visitor: Visitor) -> None:
    replies = [await visitor.post("/login", method="email", email="ada@example.org") for _ in range(6)]
    headers = replies[-1].headers
    assert (replies[-1].status, headers["ratelimit-limit"], headers["ratelimit-remaining"]) == (429, "5", "0")
    assert int(headers["retry-after"]) >= 1
    assert headers["cache-control"] == "no-store"
