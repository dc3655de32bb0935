"""Signing in a device: who may let it in, who may collect, and that it happens once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from af import auth
from af.auth.service import device, sessions
from af.core.clock import FixedClock
from af.core.context import Context
from tests.support.asgi import AsgiClient, Reply

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
LOOPBACK = "http://127.0.0.1:4321/done?state=abc"


@pytest.fixture
async def browser(ada: Context, client: AsgiClient) -> AsgiClient:
    """Ada's browser, signed in."""
    assert ada.actor.user_id is not None
    link = await auth.create_login_link(ada, ada.actor.user_id)
    return client.as_cookie((await auth.redeem_login_link(ada, link)).text)


async def start(client: AsgiClient, **more: str) -> Any:
    reply = await client.post("/auth/cli/start", {"name": "laptop", **more})
    assert reply.status == 200, reply.text
    return reply.json()


async def approve(browser: AsgiClient, begun: Any, code: str | None = None) -> Reply:
    body = {"verificationSessionId": begun["verificationSessionId"], "userCode": code or begun["userCode"]}
    return await browser.post("/auth/cli/approve", body)


async def poll(client: AsgiClient, begun: Any, secret: str | None = None) -> Reply:
    body = {"verificationSessionId": begun["verificationSessionId"], "pollSecret": secret or begun["pollSecret"]}
    return await client.post("/auth/cli/poll", body)


async def exchange(client: AsgiClient, code: str, verifier: str = VERIFIER) -> Reply:
    return await client.post("/auth/cli/exchange", {"code": code, "codeVerifier": verifier})


def code_in(reply: Reply) -> str:
    return parse_qs(urlsplit(str(reply.json()["redirectTo"])).query)["code"][0]


async def test_a_start_gives_an_address_a_code_that_people_can_read_and_a_secret(client: AsgiClient) -> None:
    begun = await start(client)
    assert begun["verificationUrl"] == f"http://localhost:8787/login/{begun['verificationSessionId']}"
    assert (len(begun["verificationSessionId"]), begun["expiresIn"], begun["interval"]) == (32, 600, 2)
    first, second = begun["userCode"].split("-")
    assert len(first) == len(second) == 4
    assert not set(first + second) & set("AEIOUY01")
    assert len({(await start(client))["userCode"] for _ in range(5)}) == 5


async def test_an_approved_device_gets_tokens_once(client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client)
    waiting = await poll(client, begun)
    assert (waiting.status, waiting.json()) == (202, {"status": "pending"})
    assert (await approve(browser, begun)).json() == {"success": True, "redirectTo": None}
    got = (await poll(client, begun)).json()
    assert got["success"]
    assert got["token"] == got["accessToken"]
    assert got["user"]["username"] == "ada"
    me = await client.as_token(got["accessToken"]).get("/auth/me")
    assert me.json()["user"]["username"] == "ada"
    again = await poll(client, begun)
    assert (again.status, again.json()["code"]) == (404, "device_request_over")
    assert (await approve(browser, begun)).status == 404


async def test_of_many_that_ask_at_once_one_gets_tokens(client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    code = code_in(await approve(browser, begun))
    asked = [poll(client, begun), poll(client, begun), *(exchange(client, code) for _ in range(4))]
    replies = await asyncio.gather(*asked)
    assert sorted(reply.status for reply in replies)[:2] == [200, 404]
    assert sum(reply.status == 200 for reply in replies) == 1


async def test_of_two_that_approve_at_once_one_does(client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client)
    replies = await asyncio.gather(*(approve(browser, begun) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 404, 404, 404]


async def test_another_devices_secret_is_refused_and_slows_nobody_down(client: AsgiClient, browser: AsgiClient) -> None:
    begun, other = await start(client), await start(client)
    for _ in range(10):
        assert (await poll(client, begun, other["pollSecret"])).status == 401
    await approve(browser, begun)
    assert (await poll(client, begun)).status == 200


@pytest.mark.parametrize("identifier", ["", "x", "x" * 32, "é" * 32, "x" * 5000])
async def test_an_unknown_request_is_not_found(client: AsgiClient, browser: AsgiClient, identifier: str) -> None:
    unknown = {"verificationSessionId": identifier, "pollSecret": "x", "userCode": "x"}
    assert (await poll(client, unknown)).status == 404
    assert (await approve(browser, unknown)).status == 404
    assert (await exchange(client, f"{identifier}.x")).status == 404


async def test_a_device_that_asks_too_often_is_slowed_down(
    client: AsgiClient, browser: AsgiClient, clock: FixedClock
) -> None:
    begun = await start(client)
    statuses = [(await poll(client, begun)).status for _ in range(3)]
    assert statuses == [202, 202, 429]
    hurried = await poll(client, begun)
    assert (hurried.json()["code"], hurried.headers["retry-after"]) == ("slow_down", "2")
    for _ in range(5):
        clock.advance(timedelta(seconds=2))
        assert (await poll(client, begun)).status == 202
    await approve(browser, begun)
    clock.advance(timedelta(seconds=2))
    assert (await poll(client, begun)).status == 200


async def test_what_was_refused_stays_refused(client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    body = {"verificationSessionId": begun["verificationSessionId"]}
    denied = await browser.post("/auth/cli/deny", body)
    assert denied.json()["redirectTo"] == f"{LOOPBACK}&error=access_denied"
    for _ in range(2):
        reply = await poll(client, begun)
        assert (reply.status, reply.json()["code"]) == (403, "device_denied")
    assert (await approve(browser, begun)).status == 404


async def test_ten_minutes_later_it_is_over(client: AsgiClient, browser: AsgiClient, clock: FixedClock) -> None:
    late, collected_late = await start(client), await start(client)
    await approve(browser, collected_late)
    clock.advance(timedelta(minutes=10))
    assert (await approve(browser, late)).status == 404
    assert (await poll(client, late)).status == 404
    assert (await poll(client, collected_late)).status == 404


# --- who may let it in ----------------------------------------------------------------------------------------------


async def test_a_person_sees_who_asks_and_from_where(ada: Context, client: AsgiClient, browser: AsgiClient) -> None:
    far = AsgiClient(client.app, headers={"user-agent": "af-python/1\u0001"}, address="203.0.113.9")
    begun = await start(far, name="a\x1b[31mlaptop\n")
    assert ada.actor.user_id is not None
    link = await auth.redeem_login_link(ada, await auth.create_login_link(ada, ada.actor.user_id))
    ctx = ada.acting_as(replace(ada.actor, session_id=link.session.id))
    shown = await device.pending(ctx, begun["verificationSessionId"])
    assert shown.name == "a [31mlaptop"
    assert shown.device == "af-python/1?"
    assert (shown.user_code, shown.address) == (begun["userCode"], "203.0.113.9")
    assert shown.expires_at - shown.created_at == timedelta(minutes=10)


async def test_nobody_and_tokens_let_in_no_device(ada: Context, client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client)
    here = {"origin": "http://localhost:8787"}
    token = (await auth.create_token(ada, "t")).text
    assert (await approve(AsgiClient(client.app, headers=here), begun)).status == 401
    assert (await approve(AsgiClient(client.app, headers=here).as_token(token), begun)).status == 403
    await approve(browser, begun)
    cli = (await poll(client, begun)).json()["accessToken"]
    second = await start(client)
    reply = await approve(AsgiClient(client.app, headers=here).as_token(cli), second)
    assert (reply.status, reply.json()["code"]) == (403, "person_required"), "a command line must not let in others"
    assert (await poll(client, second)).status == 202


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://site.localhost:8787", "null"])
async def test_another_sites_page_lets_in_no_device(
    client: AsgiClient, browser: AsgiClient, origin: str | None
) -> None:
    begun = await start(client)
    cookie = browser.headers["cookie"].partition("=")[2]
    assert (await approve(client.as_cookie(cookie, origin), begun)).status == 403
    assert (await poll(client, begun)).status == 202


@pytest.mark.parametrize("code", ["", "BBBB-BBBB", "é", "x" * 5000])
async def test_the_wrong_code_lets_in_no_device(client: AsgiClient, browser: AsgiClient, code: str) -> None:
    begun = await start(client)
    body = {"verificationSessionId": begun["verificationSessionId"], "userCode": code}
    assert (await browser.post("/auth/cli/approve", body)).json()["code"] == "user_code_wrong"
    assert (await poll(client, begun)).status == 202
    sloppy = begun["userCode"].lower().replace("-", " ")
    assert (await approve(browser, begun, sloppy)).status == 200


async def test_ending_the_session_ends_a_device_that_has_not_come_yet(
    ada: Context, client: AsgiClient, browser: AsgiClient
) -> None:
    begun = await start(client)
    await approve(browser, begun)
    assert ada.actor.user_id is not None
    await sessions.end_all(ada, ada.actor.user_id)
    assert (await poll(client, begun)).status == 403


# --- loopback -------------------------------------------------------------------------------------------------------


async def test_the_browser_brings_a_code_that_only_the_device_can_use(client: AsgiClient, browser: AsgiClient) -> None:
    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    approved = await approve(browser, begun)
    assert approved.json()["redirectTo"].startswith(f"{LOOPBACK}&code=")
    code = code_in(approved)
    for wrong in ("w" * 43, "", "v" * 42, CHALLENGE):
        assert (await exchange(client, code, wrong)).status == 401
    got = await exchange(client, code)
    assert got.status == 200
    assert (await client.as_token(got.json()["accessToken"]).get("/auth/me")).status == 200
    assert (await exchange(client, code)).status == 404
    assert (await poll(client, begun)).status == 404


async def test_guesses_of_a_verifier_use_the_code_up_but_not_the_device(
    client: AsgiClient, browser: AsgiClient
) -> None:
    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    code = code_in(await approve(browser, begun))
    for _ in range(device.EXCHANGES_MAX):
        assert (await exchange(client, code, "w" * 43)).status == 401
    assert (await exchange(client, code)).status == 404
    assert (await poll(client, begun)).status == 200


async def test_a_code_before_the_approval_or_without_a_loopback_is_worth_nothing(
    client: AsgiClient, browser: AsgiClient
) -> None:
    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    assert (await exchange(client, f"{begun['verificationSessionId']}.x")).status == 404
    plain = await start(client)
    await approve(browser, plain)
    assert (await exchange(client, f"{plain['verificationSessionId']}.")).status == 404


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1:4321/",
        "http://localhost:4321/",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1.evil.example:80/",
        "http://evil.example:80/",
        "http://127.0.0.1:4321@evil.example:80/",
        "http://u:p@127.0.0.1:4321/",
        "http://127.0.0.1:4321\\@evil.example/",
        "http://127.0.0.1:4321/#x",
        "http://127.0.0.1:4321/\r\nX: y",
        "http://[::1",
        "http://[::1]evil:9/",
        "javascript:alert(1)",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:4321/" + "x" * 500,
        "",
    ],
)
async def test_the_code_goes_to_a_loopback_address_only(client: AsgiClient, uri: str) -> None:
    reply = await client.post("/auth/cli/start", {"redirectUri": uri, "codeChallenge": CHALLENGE})
    assert reply.status == 400


@pytest.mark.parametrize("challenge", ["", "x", VERIFIER + "v", "%" * 43])
async def test_a_loopback_needs_a_challenge(client: AsgiClient, challenge: str) -> None:
    reply = await client.post("/auth/cli/start", {"redirectUri": "http://[::1]:1/", "codeChallenge": challenge})
    assert reply.status == 400


async def test_the_database_holds_no_token_of_a_device(
    client: AsgiClient, browser: AsgiClient, ada: Context, database_url: str
) -> None:
    """Between approval and collection: only hashes and what is sealed."""
    from af.auth.store.challenges import challenges

    begun = await start(client, redirectUri=LOOPBACK, codeChallenge=CHALLENGE)
    code = code_in(await approve(browser, begun))
    async with ada.reading() as connection:
        row = (await connection.execute(challenges.select().where(challenges.c.method == "device"))).one()
    text = repr(tuple(row))
    for secret in (begun["pollSecret"], begun["verificationSessionId"], code, begun["userCode"]):
        assert secret not in text


async def test_starting_is_limited_by_address(ada: Context, client: AsgiClient) -> None:
    replies = [await client.post("/auth/cli/start", {}) for _ in range(device.STARTS.count + 1)]
    assert [reply.status for reply in replies] == [200] * device.STARTS.count + [429]
    of_all, refused = replies[0].headers, replies[-1].headers
    assert of_all["ratelimit-limit"] == str(ada.settings.rate_per_minute_anonymous), (
        "what is not refused shows the limit of all requests"
    )
    assert refused["ratelimit-limit"] == refused["x-ratelimit-limit"] == str(device.STARTS.count)
    assert refused["ratelimit-remaining"] == "0"
    assert 1 <= int(refused["retry-after"]) <= int(refused["ratelimit-reset"])
    elsewhere = AsgiClient(client.app, address="203.0.113.9")
    assert (await elsewhere.post("/auth/cli/start", {})).status == 200
