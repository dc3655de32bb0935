"""Signing in over another site, as browsers and apps see it: with a real provider, both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from starlette.routing import Router

from af import auth
from af.auth import store
from af.auth.pkce import challenge_of
from af.core.clock import FixedClock, SystemClock
from af.core.context import Platform
from af.core.web import RequestContext
from af.server import targets
from tests.support import oidc, platforms
from tests.support.asgi import AsgiClient, Reply

pytestmark = pytest.mark.npm
APP = "https://app.example.org"
HTML = "text/html,application/xhtml+xml"
START = "/auth/oauth/work"


@pytest.fixture(scope="module")
def running() -> Iterator[oidc.Provider]:
    with oidc.running() as provider:
        yield provider


@pytest.fixture
def provider(running: oidc.Provider) -> oidc.Provider:
    running.alter()
    return running


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(SystemClock().now())  # the provider's tokens are of today


@pytest.fixture
async def platform(
    database_url: str, tmp_path: Path, clock: FixedClock, provider: oidc.Provider
) -> AsyncIterator[Platform]:
    settings = {"oidc_providers": oidc.settings_of(provider.issuer), "allowed_redirect_origins": APP}
    async with platforms.open_platform(database_url, tmp_path, clock, **settings) as opened:
        yield opened


@dataclass
class Browser:
    """Follows nothing by itself; keeps cookies."""

    client: AsgiClient
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, address: str, **headers: str) -> Reply:
        parts = urlsplit(address)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {"accept": HTML, "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        reply = await self.client.request("GET", path, headers={**sent, **headers})
        for line in filter(None, reply.headers.get("set-cookie", "").split("\n")):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        return reply

    async def through_the_provider(self, start: str = START) -> str:
        """Sent to the provider and back: the address that the provider sends the browser to."""
        departed = await self.get(start)
        assert departed.status == 302, departed.text
        return f"/auth/oauth/callback/work?{urlencode(await oidc.visit(departed.headers['location']))}"

    async def sign_in(self, start: str = START) -> Reply:
        return await self.get(await self.through_the_provider(start))

    @property
    def session(self) -> str | None:
        return self.cookies.get(auth.COOKIE)


@pytest.fixture
def client(platform: Platform) -> AsgiClient:
    return AsgiClient(RequestContext(Router(targets.rest_routes()), platform, auth.authenticate))


@pytest.fixture
def browser(client: AsgiClient) -> Browser:
    return Browser(client)


def error_in(reply: Reply) -> str:
    assert reply.status == 303, (reply.status, reply.text)
    address = urlsplit(reply.headers["location"])
    assert address.path == "/login"
    assert not address.netloc
    return parse_qs(address.query)["error"][0]


async def test_a_person_signs_in_and_is_the_same_the_next_time(browser: Browser, client: AsgiClient) -> None:
    arrived = await browser.sign_in(f"{START}?return_to=/settings/sessions?a=b")
    assert (arrived.status, arrived.headers["location"]) == (303, "/settings/sessions?a=b")
    assert arrived.headers["cache-control"] == "no-store"
    assert arrived.headers["referrer-policy"] == "no-referrer"
    assert "__Host-af_flow" not in browser.cookies
    me = (await browser.get("/auth/me")).json()["user"]
    other = Browser(client)
    assert (await other.sign_in()).headers["location"] == "/"
    assert (await other.get("/auth/me")).json()["user"]["id"] == me["id"]
    assert other.session != browser.session


async def test_a_new_sign_in_ends_the_session_that_it_replaces(browser: Browser) -> None:
    await browser.sign_in()
    before = browser.session
    await browser.sign_in()
    assert browser.session != before
    stale = Browser(browser.client, {auth.COOKIE: str(before)})
    assert (await stale.get("/auth/me", accept="application/json")).status == 401


async def test_the_providers_are_listed_with_their_addresses(client: AsgiClient) -> None:
    listed = (await client.get("/auth/oauth/providers")).json()
    assert listed == {
        "providers": [{"name": "work", "title": "Work", "authUrl": "http://localhost:8787/auth/oauth/work"}]
    }


async def test_another_browser_cannot_finish_what_this_one_began(browser: Browser, client: AsgiClient) -> None:
    back = await browser.through_the_provider()
    victim = Browser(client)  # without a flow cookie: an attacker sends the address on (login CSRF)
    assert error_in(await victim.get(back)) == "challenge_over"
    await victim.get(START)  # with one of its own
    assert error_in(await victim.get(back)) == "challenge_over"
    assert victim.session is None


async def test_a_wrong_missing_or_used_state_signs_nobody_in(browser: Browser) -> None:
    back = await browser.through_the_provider()
    good = dict(browser.cookies)
    for state in ("", "x" * 43, "x" * 10_000):
        wrong = back.partition("&state=")[0] + f"&state={state}"
        assert error_in(await browser.get(wrong)) == "challenge_over"
        browser.cookies = dict(good)
    assert (await browser.get(back)).headers["location"] == "/"
    replayed = Browser(browser.client, good)
    assert error_in(await replayed.get(back)) == "challenge_over"
    assert replayed.session is None


async def test_an_answer_at_another_providers_address_is_refused(browser: Browser) -> None:
    back = await browser.through_the_provider()
    assert error_in(await browser.get(back.replace("/work?", "/github?"))) == "method_not_configured"
    assert error_in(await browser.get(back.replace("/work?", "/email?"))) == "challenge_over"


async def test_ten_minutes_are_the_end(browser: Browser, clock: FixedClock) -> None:
    back = await browser.through_the_provider()
    clock.advance(timedelta(minutes=10))
    assert error_in(await browser.get(back)) == "challenge_over"


async def test_who_says_no_at_the_provider_is_told_so(browser: Browser, provider: oidc.Provider) -> None:
    provider.alter(answer={"error": "access_denied", "error_description": "<script>", "code": None})
    arrived = await browser.sign_in()
    assert error_in(arrived) == "consent_refused"
    assert "script" not in arrived.headers["location"]


async def test_an_address_that_a_provider_vouches_for_takes_over_no_account(
    browser: Browser, provider: oidc.Provider, platform: Platform
) -> None:
    ada = await platforms.user(platform, "ada")
    assert ada.actor.user_id is not None
    async with ada.transaction() as tx:
        await store.users.set_email(tx, ada.actor.user_id, "ada@example.org", ada.now)
    provider.alter(userinfo={"email": "Ada@Example.org", "email_verified": True})
    assert error_in(await browser.sign_in()) == "account_exists"
    assert browser.session is None
    provider.alter(userinfo={"email": "ada@example.org", "email_verified": False})
    await browser.sign_in()
    me = (await browser.get("/auth/me")).json()["user"]
    assert me["id"] != ada.actor.user_id
    assert me["email"] is None


async def test_a_forged_identity_token_signs_nobody_in(browser: Browser, provider: oidc.Provider) -> None:
    provider.alter(claims={"nonce": "another"})
    assert error_in(await browser.sign_in()) == "token_not_trusted"
    assert browser.session is None


async def test_programs_get_errors_as_json(client: AsgiClient) -> None:
    missing = await client.get("/auth/oauth/google")
    assert (missing.status, missing.json()["code"]) == (501, "method_not_configured")
    assert "AF_OAUTH_GOOGLE_CLIENT_ID" in missing.json()["hint"]
    for name in ("nothing", "email"):
        assert (await client.get(f"/auth/oauth/{name}")).status == 404
    assert (await client.get("/auth/oauth/callback/work?code=c&state=s")).status == 401


async def test_a_sign_in_begins_at_the_main_address(client: AsgiClient) -> None:
    for host in ("127.0.0.1:8787", "evil.example", "app.localhost:8787"):
        moved = await AsgiClient(client.app, host).get("/auth/oauth/work?return_to=/settings")
        assert moved.headers["location"] == "http://localhost:8787/auth/oauth/work?return_to=%2Fsettings"
        assert "set-cookie" not in moved.headers


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
async def test_nobody_is_sent_to_a_strangers_site(browser: Browser, target: str) -> None:
    arrived = await browser.sign_in(f"{START}?{urlencode({'return_to': target})}")
    assert arrived.headers["location"] == "/"
    refused = await browser.get(f"{START}?{urlencode({'redirect_url': target})}")
    assert (refused.status, refused.json()["code"]) == (400, "redirect_refused")


# --- on to another app ----------------------------------------------------------------------------------------------


async def code_for(browser: Browser, target: str, **more: str) -> str:
    """Signed in, and on to ``target``: the code that it gets."""
    arrived = await browser.sign_in(f"{START}?{urlencode({'redirect_url': target, **more})}")
    assert arrived.status == 303
    left = await browser.get(arrived.headers["location"])
    assert left.status == 302, left.text
    assert left.headers["referrer-policy"] == "no-referrer"
    assert left.headers["location"].startswith(target)
    return parse_qs(urlsplit(left.headers["location"]).query)["code"][0]


async def test_an_allowed_app_gets_tokens_for_its_code_once(browser: Browser, client: AsgiClient) -> None:
    code = await code_for(browser, f"{APP}/done?state=7")
    traded = await client.post("/auth/exchange", {"code": code}, origin=APP)
    assert traded.status == 200, traded.text
    assert traded.headers["access-control-allow-origin"] == APP
    assert traded.json()["user"]["id"] == (await browser.get("/auth/me")).json()["user"]["id"]
    known = await client.as_token(traded.json()["accessToken"]).get("/auth/me")
    assert known.status == 200
    assert "set-cookie" not in known.headers
    again = await client.post("/auth/exchange", {"code": code})
    assert (again.status, again.json()["code"]) == (401, "challenge_over")


async def test_a_code_is_worthless_after_a_minute(browser: Browser, client: AsgiClient, clock: FixedClock) -> None:
    code = await code_for(browser, f"{APP}/done")
    clock.advance(timedelta(seconds=60))
    assert (await client.post("/auth/exchange", {"code": code})).status == 401


async def test_a_program_proves_that_it_asked(browser: Browser, client: AsgiClient) -> None:
    verifier = "v" * 64
    pkce = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    code = await code_for(browser, "http://127.0.0.1:4321/done", **pkce)
    assert (await client.post("/auth/exchange", {"code": code, "codeVerifier": verifier})).status == 200
    for wrong in ({}, {"codeVerifier": "w" * 64}, {"codeVerifier": "v"}):
        code = await code_for(browser, "http://127.0.0.1:4321/done", **pkce)
        assert (await client.post("/auth/exchange", {"code": code, **wrong})).status == 401
        spent = await client.post("/auth/exchange", {"code": code, "codeVerifier": verifier})
        assert spent.json()["code"] == "challenge_over"


async def test_a_verifier_without_a_challenge_is_refused(browser: Browser, client: AsgiClient) -> None:
    code = await code_for(browser, f"{APP}/done")
    assert (await client.post("/auth/exchange", {"code": code, "codeVerifier": "v" * 64})).status == 401


@pytest.mark.parametrize(
    "query",
    [
        {"redirect_url": "http://127.0.0.1:4321/"},
        {"redirect_url": f"{APP}/", "code_challenge": "c" * 43},
        {"redirect_url": f"{APP}/", "code_challenge": "c" * 43, "code_challenge_method": "plain"},
        {"redirect_url": f"{APP}/", "code_challenge": "c", "code_challenge_method": "S256"},
    ],
)
async def test_an_app_that_asks_wrongly_is_told_at_once(client: AsgiClient, query: dict[str, Any]) -> None:
    refused = await client.get(f"{START}?{urlencode(query)}")
    assert (refused.status, refused.json()["code"]) == (400, "redirect_refused")


async def test_a_ticket_of_somebody_else_gets_no_code(browser: Browser, client: AsgiClient, clock: FixedClock) -> None:
    victim = Browser(client)
    await victim.sign_in()
    clock.advance(timedelta(seconds=1))
    arrived = await browser.sign_in(f"{START}?{urlencode({'redirect_url': APP + '/done'})}")
    ticket = arrived.headers["location"]
    assert error_in(await victim.get(ticket)) == "challenge_over"  # signed in before the ticket was made
    assert error_in(await Browser(client).get(ticket)) == "unauthenticated"
    assert error_in(await browser.get(ticket)) == "challenge_over"  # used up by the attempt


async def test_only_named_origins_may_trade_codes_in_a_page(client: AsgiClient) -> None:
    for origin, expected in ((APP, APP), ("https://evil.example", None), ("null", None)):
        asked = await client.request("OPTIONS", "/auth/exchange", headers={"origin": origin})
        assert asked.headers.get("access-control-allow-origin") == expected
        assert "access-control-allow-credentials" not in asked.headers


@pytest.mark.parametrize("body", [{}, {"code": 1}, {"code": ""}, {"code": "x" * 43}, {"code": "é" * 43}, []])
async def test_a_code_that_is_none_is_refused(client: AsgiClient, body: Any) -> None:
    assert (await client.post("/auth/exchange", body)).status in (400, 401)


async def test_an_odd_name_of_a_provider_is_only_a_name(client: AsgiClient) -> None:
    for name in ("%0d%0ax", quote("../x", safe=""), "a" * 500, "é"):
        assert (await client.get(f"/auth/oauth/{name}")).status == 404
