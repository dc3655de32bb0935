"""Login links, browser sessions, and what a cookie is worth from where."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from af import auth
from af.auth.errors import LinkUsed, TokenPowerExceeded
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.errors import Error, Forbidden
from tests.support import platforms
from tests.support.asgi import AsgiClient, Reply

HERE = "http://localhost:8787"


async def link(ctx: Context) -> str:
    assert ctx.actor.user_id is not None
    return await auth.create_login_link(ctx, ctx.actor.user_id)


async def redeem(client: AsgiClient, token: str, origin: str = HERE) -> Reply:
    kind = "application/x-www-form-urlencoded"
    return await client.post("/auth/link", f"token={token}", content_type=kind, origin=origin)


def cookie_of(reply: Reply) -> str:
    found = re.match(r"__Host-af_session=([\w-]{43});", reply.headers["set-cookie"])
    assert found
    return found[1]


async def test_a_link_signs_in_once_by_post_only(ada: Context, client: AsgiClient) -> None:
    token = await link(ada)
    for _ in range(2):  # looking at it, as mail scanners do, does not use it up
        page = await client.get(f"/auth/link?token={token}")
        assert page.status == 200
        assert token in page.text
        assert "set-cookie" not in page.headers
    reply = await redeem(client, token)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    flags = {part.strip().lower() for part in reply.headers["set-cookie"].split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)
    me = await client.as_cookie(cookie_of(reply)).get("/auth/me")
    assert me.json()["user"]["username"] == "ada"
    again = await redeem(client, token)
    assert again.status == 401
    assert "set-cookie" not in again.headers


async def test_only_the_platforms_own_link_proves_who_somebody_is(
    ada: Context, system: Context, client: AsgiClient
) -> None:
    """Whoever has a token has a token; the account's ways in are for its person."""
    assert ada.actor.user_id is not None
    wanted = {"method": "email", "email": "new@example.org"}
    for text, status in ((await link(ada), 403), (await auth.create_login_link(system, ada.actor.user_id), 200)):
        browser = client.as_cookie(cookie_of(await redeem(client, text)), HERE)
        assert (await browser.get("/account")).status == 200
        assert (await browser.post("/account/methods/link", wanted)).status == status
    weak = await link(ada)
    assert (await redeem(client, weak[1:])).status == 401, "the mark belongs to the secret"
    assert (await redeem(client, weak)).status == 303


async def test_of_two_at_the_same_time_one_gets_in(ada: Context) -> None:
    token = await link(ada)
    done = await asyncio.gather(*(auth.redeem_login_link(ada, token) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, LinkUsed) for result in done) == 4


async def test_a_link_ends_after_its_time(ada: Context, clock: FixedClock) -> None:
    token = await link(ada)
    clock.advance(timedelta(seconds=600))
    for text in (token, token, "", "x" * 43):
        with pytest.raises(LinkUsed):
            await auth.redeem_login_link(ada, text)


async def test_the_page_runs_nothing_but_its_own_script(ada: Context, client: AsgiClient) -> None:
    page = await client.get("/auth/link?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"


async def test_an_address_without_a_name_leads_to_the_name_and_gets_no_cookie(ada: Context, client: AsgiClient) -> None:
    token = await link(ada)
    for host in ("127.0.0.1:8787", "[::1]:8787", "rebound.example", "blog.localhost:8787"):
        other = AsgiClient(client.app, host=host)
        reply = await other.get(f"/auth/link?token={token}")
        assert reply.status == 302
        assert reply.headers["location"] == f"{HERE}/auth/link?token={token}"
        refused = await redeem(other, token, origin=f"http://{host}")
        assert refused.status == 403
        assert "set-cookie" not in refused.headers
    assert (await redeem(client, token)).status == 303  # and the link still works


async def test_another_sites_form_cannot_sign_a_visitor_in(ada: Context, client: AsgiClient) -> None:
    for origin in ("http://evil.example", "http://blog.localhost:8787", "null", "https://localhost:8787"):
        assert (await redeem(client, await link(ada), origin=origin)).status == 403


async def test_a_cookie_counts_on_our_own_hosts_only(ada: Context, client: AsgiClient) -> None:
    cookie = cookie_of(await redeem(client, await link(ada)))
    for host, status in (
        ("localhost:8787", 200),
        ("app.localhost:8787", 200),
        ("127.0.0.1:8787", 401),
        ("[::1]:8787", 401),
        ("blog.localhost:8787", 401),
        ("evil.example", 401),
    ):
        there = AsgiClient(client.app, host=host).as_cookie(cookie)
        assert (await there.get("/auth/me")).status == status, host


async def test_a_change_with_a_cookie_needs_our_own_origin(ada: Context, client: AsgiClient) -> None:
    cookie = cookie_of(await redeem(client, await link(ada)))
    for origin in ("http://blog.localhost:8787", "http://evil.example", "null", None):
        assert (await client.as_cookie(cookie, origin).post("/auth/logout")).status == 403, origin
    assert (await client.as_cookie(cookie).get("/auth/me")).status == 200
    done = await client.as_cookie(cookie, HERE).post("/auth/logout")
    assert done.json()["success"] is True
    assert "max-age=0" in done.headers["set-cookie"].lower()
    assert (await client.as_cookie(cookie).get("/auth/me")).status == 401


async def test_a_stale_cookie_is_nobody_and_no_error(client: AsgiClient) -> None:
    page = await client.as_cookie("x" * 43, None).get("/auth/link?token=abc")
    assert page.status == 200


async def test_a_session_ends_after_its_time(ada: Context, client: AsgiClient, clock: FixedClock) -> None:
    browser = client.as_cookie(cookie_of(await redeem(client, await link(ada))))
    clock.advance(timedelta(seconds=ada.settings.session_seconds - 1))
    assert (await browser.get("/auth/me")).status == 200
    clock.advance(timedelta(seconds=1))
    assert (await browser.get("/auth/me")).status == 401


async def test_links_are_made_for_oneself_and_not_with_a_limited_token(ada: Context, system: Context) -> None:
    assert ada.actor.user_id is not None
    bob = await platforms.user(ada.platform, "bob")
    with pytest.raises(Forbidden):
        await auth.create_login_link(bob, ada.actor.user_id)
    for limit in ({"scopes": frozenset({"tokens:write"})}, {"project_id": "prj_x"}):
        with pytest.raises(TokenPowerExceeded):
            await link(replace(ada, actor=replace(ada.actor, **limit)))
    assert await auth.create_login_link(system, ada.actor.user_id)
    with pytest.raises(Error):
        await auth.create_login_link(system, "usr_nobody")  # type: ignore[arg-type]


async def test_an_authorization_header_counts_before_a_cookie(ada: Context, client: AsgiClient) -> None:
    cookie = cookie_of(await redeem(client, await link(ada)))
    bob = await platforms.token(await platforms.user(ada.platform, "bob"))
    both = client.as_cookie(cookie).as_token(bob)
    assert (await both.get("/auth/me")).json()["user"]["username"] == "bob"
