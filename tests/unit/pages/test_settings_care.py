"""What the settings take care of: questions before what cannot be undone, other people's ids, other sites' forms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest

from af import auth
from af.core.clock import FixedClock
from af.pages.tokens import SCOPE_WORDS
from tests.support.visitor import Visitor
from tests.unit.pages.conftest import PostOffice, sign_in

ADA, BOB = "ada@example.org", "bob@example.org"
ACTS = {
    "": ("save",),
    "/methods": ("address", "provider", "remove", "primary"),
    "/security": ("begin", "confirm", "disable", "renew"),
    "/sessions": ("revoke", "revoke_all"),
    "/tokens": ("create", "revoke"),
    "/team": ("create",),
    "/team/ada": ("invite", "resend", "revoke", "role", "remove", "leave", "rename", "delete"),
    "/account": ("export", "delete", "restore"),
}


@pytest.fixture
async def ada(visitor: Visitor, post_office: PostOffice) -> Visitor:
    await sign_in(visitor, post_office, ADA)
    return visitor


@pytest.fixture
async def bob(
    ada: Visitor, browser_of: Callable[[str], Visitor], post_office: PostOffice, clock: FixedClock
) -> Visitor:
    clock.advance(timedelta(seconds=1))
    browser = browser_of("127.0.0.2")
    await sign_in(browser, post_office, BOB)
    return browser


@pytest.mark.parametrize("origin", ["http://blog.localhost:8787", "https://evil.example", "null", None])
async def test_no_form_of_another_site_does_anything(ada: Visitor, origin: str | None) -> None:
    for page, acts in ACTS.items():
        for act in acts:
            reply = await ada.post(f"/settings{page}", origin=origin, act=act, sure="yes", confirm="ada")
            assert reply.status == 403, (page, act)
    await ada.open("/settings/account")
    assert "To be deleted on" not in ada.text


async def test_what_is_somebody_elses_is_not_there(ada: Visitor, bob: Visitor) -> None:
    await ada.open("/settings/tokens")
    await ada.send("/settings/tokens", act="create", name="mine", scope=["tokens:read"], life="30")
    found = {}
    for page, act in (("/methods", "remove"), ("/sessions", "revoke"), ("/tokens", "revoke")):
        await ada.open(f"/settings{page}")
        found[page, act] = next(
            (
                dict(form.values)["id"]
                for form in ada.forms()
                if ("act", act) in form.values and "id" in dict(form.values)
            ),
            "mth_0000000000000000000000",  # the last way in has no button
        )
    assert len(set(found.values())) == 3
    for (page, act), key in found.items():
        for sure in ("", "yes"):
            reply = await bob.post(f"/settings{page}", act=act, id=key, sure=sure)
            assert reply.status == 404, (page, act, sure, bob.text)
    await ada.open("/settings/tokens")
    assert "mine" in ada.text, "her session and her token are still there"


async def test_a_way_in_is_removed_after_a_question_and_only_then(ada: Visitor, post_office: PostOffice) -> None:
    await ada.open("/settings/methods")
    await ada.send("/settings/methods", act="address", method="email", email="old@example.org")
    await ada.send("/login/code", code=await post_office.code("old@example.org"))
    row = next(form for form in ada.forms() if ("act", "remove") in form.values)
    key = dict(row.values)["id"]
    await ada.send("/settings/methods", act="remove", id=key)
    assert "Remove " in ada.text
    await ada.open("/settings/methods")
    assert "old@example.org" in ada.text
    assert "cannot be removed" not in ada.text
    await ada.send("/settings/methods", act="remove", id=key)
    await ada.send("/settings/methods", act="remove", sure="yes")
    assert "was removed" in ada.text
    assert "cannot be removed" in ada.text


async def test_the_question_before_a_removal_comes_after_the_proof_of_who_asks(
    ada: Visitor, post_office: PostOffice, clock: FixedClock
) -> None:
    await ada.open("/settings/methods")
    clock.advance(timedelta(minutes=20))
    await ada.post("/settings/methods", act="remove", id="mth_0000000000000000000000")
    assert ada.path.startswith("/login?")


async def test_recovery_codes_are_replaced_after_a_question(ada: Visitor, clock: FixedClock) -> None:
    await ada.open("/settings/security")
    await ada.send("/settings/security", act="begin")
    secret = dict(next(form for form in ada.forms() if ("act", "confirm") in form.values).values)["secret"]
    await ada.send("/settings/security", act="confirm", code=pyotp.TOTP(secret).at(clock.now()))
    first = ada.text
    assert "Your recovery codes" in first
    await ada.open("/settings/security")
    await ada.send("/settings/security", act="renew")
    assert "Replace the recovery codes?" in ada.text
    await ada.send("/settings/security", act="renew", sure="yes")
    assert "Your recovery codes" in ada.text
    assert ada.text != first


@pytest.mark.parametrize("life", ["", "0", "-1", "31", "99999", "forever", " 7x"])
async def test_a_token_lives_for_ever_only_when_that_was_chosen(ada: Visitor, life: str) -> None:
    fields = {"act": "create", "name": "odd", "scope": "tokens:read", **({"life": life} if life else {})}
    await ada.open("/settings/tokens")
    assert (await ada.post("/settings/tokens", **fields)).status == 400
    await ada.open("/settings/tokens")
    assert "No tokens yet" in ada.text


async def test_a_token_without_an_end_can_be_chosen(ada: Visitor) -> None:
    await ada.post("/settings/tokens", act="create", name="for ever", scope="tokens:read", life="")
    assert "never ends" in ada.text


async def test_every_scope_is_explained_in_plain_words(ada: Visitor) -> None:
    assert tuple(SCOPE_WORDS) == auth.SCOPES
    await ada.open("/settings/tokens")
    for words in SCOPE_WORDS.values():
        assert words in ada.text


async def test_a_note_says_only_what_we_wrote(ada: Visitor) -> None:
    reply = await ada.open("/settings?done=Your+account+was+stolen,+call+us")
    assert reply.status == 200
    assert "stolen" not in ada.text
