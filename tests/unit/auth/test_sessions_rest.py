"""The list of sessions, ending them, and the original's routes of access tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from af import auth
from af.auth import service, store
from af.auth.devices import device_of, where_is
from af.auth.models import SessionKind
from af.core import audit
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, Actor, Context, Platform
from af.core.errors import Forbidden
from tests.support import platforms
from tests.support.asgi import AsgiClient

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def browser(ctx: Context, agent: str = FIREFOX, address: str = "127.0.0.1") -> str:
    """The cookie of a new session of the context's user."""
    user = await auth.me(ctx)
    assert user is not None
    visitor: Actor = replace(ANONYMOUS, user_agent=agent, address=address)
    created = await service.sessions.open_session(
        ctx.acting_as(visitor), user, kind=SessionKind.BROWSER, method="email"
    )
    return created.text


async def test_people_see_where_they_are_signed_in_and_end_it(ada: Context, client: AsgiClient) -> None:
    here = client.as_cookie(await browser(ada))
    there = client.as_cookie(await browser(ada, "curl/8.5", "8.8.8.8"))
    other = client.as_cookie(await browser(await platforms.user(ada.platform, "bob")))
    listed = (await here.get("/account/sessions")).json()["sessions"]
    by_device = {s["device"]: (s["current"], s["place"], s["method"]) for s in listed}  # both of one moment: any order
    assert by_device == {"curl": (False, None, "email"), "Firefox on Linux": (True, "this machine", "email")}
    away = next(s["id"] for s in listed if s["device"] == "curl")
    assert (await other.request("DELETE", f"/account/sessions/{away}")).status == 404
    assert (await there.get("/auth/me")).status == 200
    assert (await here.request("DELETE", f"/account/sessions/{away}")).json() == {"success": True}
    assert (await there.get("/auth/me")).status == 401
    for gone in (away, "ses_x", "x" * 500):
        assert (await here.request("DELETE", f"/account/sessions/{gone}")).status == 404


async def test_everywhere_else_and_everywhere(ada: Context, client: AsgiClient) -> None:
    here, *others = [client.as_cookie(await browser(ada)) for _ in range(4)]
    assert (await here.request("DELETE", "/account/sessions")).json() == {"success": True, "revoked": 3}
    assert [(await each.get("/auth/me")).status for each in (here, *others)] == [200, 401, 401, 401]
    assert (await here.request("DELETE", "/account/sessions?all=true")).json()["revoked"] == 1
    assert (await here.get("/auth/me")).status == 401


async def test_an_access_token_neither_sees_nor_ends_sessions(ada: Context, client: AsgiClient) -> None:
    holder = client.as_token(await platforms.token(ada))
    cookie = client.as_cookie(await browser(ada))
    for method in ("GET", "DELETE"):
        assert (await holder.request(method, "/account/sessions")).status == 403
    assert (await holder.post("/auth/logout")).status == 200
    assert (await cookie.get("/auth/me")).status == 200
    assert (await holder.get("/auth/me")).status == 200


async def test_each_sign_in_has_a_session_of_its_own(ada: Context, platform: Platform, clock: FixedClock) -> None:
    first, second = await browser(ada), await browser(ada)
    assert first != second
    user = await auth.me(ada)
    assert user is not None
    assert user.last_login_at == clock.now()
    async with platform.database.reading() as connection:
        rows = (await connection.execute(sa.select(store.sessions.sessions))).all()
        actions = (await connection.execute(sa.select(audit.audit_entries.c.action))).scalars().all()
    assert len({row.id for row in rows}) == 2
    assert not {first, second} & {row.hash for row in rows}
    assert actions.count("login.success") == 2


async def test_a_service_account_has_no_sessions(ada: Context) -> None:
    user = await auth.me(ada)
    assert user is not None
    with pytest.raises(Forbidden):
        await service.sessions.open_session(
            ada, replace(user, kind=auth.UserKind.SERVICE), kind=SessionKind.TOKENS, method="email"
        )


async def test_the_token_of_who_is_leaving_is_refused_but_they_can_come_back(
    ada: Context, client: AsgiClient, clock: FixedClock
) -> None:
    token, cookie = await platforms.token(ada), await browser(ada)
    async with ada.transaction() as tx:
        users = store.users.users
        later = clock.now() + timedelta(days=7)
        await tx.execute(sa.update(users).where(users.c.id == ada.actor.user_id).values(deletes_at=later))
    assert (await client.as_token(token).get("/auth/me")).status == 401
    assert (await client.as_cookie(cookie).get("/auth/me")).json()["user"]["deletesAt"] is not None


async def test_last_seen_follows_the_browser_by_the_minute(ada: Context, client: AsgiClient, clock: FixedClock) -> None:
    here = client.as_cookie(await browser(ada))
    clock.advance(timedelta(minutes=2))
    here.headers["user-agent"] = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14) Version/17 Safari/605"
    [first] = (await here.get("/account/sessions")).json()["sessions"]
    assert first["device"] == "Safari on macOS"
    assert first["lastSeenAt"] == "2026-01-01T12:02:00.000Z"


@pytest.mark.parametrize("agent", ["", "\x00\xff", "a" * 10_000, "<script>", "Mozilla/5.0"])
def test_any_user_agent_is_a_device_or_none(agent: str) -> None:
    assert device_of(agent) in {"", "af", "curl"}


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("192.168.1.4", "private network"),
        ("fd00::1", "private network"),
        ("8.8.8.8", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_place_is_only_what_the_address_itself_says(address: str, place: str | None) -> None:
    assert where_is(address) == place


# --- access tokens --------------------------------------------------------------------------------------------------


async def test_tokens_by_the_originals_routes(ada: Context, client: AsgiClient, clock: FixedClock) -> None:
    app = client.as_cookie(await browser(ada))
    ends = int((clock.now() + timedelta(days=1)).timestamp() * 1000)
    made = await app.post("/tokens", {"name": "ci", "expiresAt": ends, "scopes": ["sites:write"]})
    assert made.status == 201
    token = made.json()["token"]
    assert token["token"].startswith("af_live_")
    assert (token["expiresAt"], token["scopes"]) == (ends, ["sites:write"])
    [listed] = (await app.get("/tokens")).json()["tokens"]
    assert listed["id"] == token["id"]
    assert token["token"] not in str(listed)
    limits = (await app.get("/tokens/limits")).json()
    assert limits["rateLimit"]["remaining"] == 49
    assert limits["tokenLimit"] == {"active": 1, "max": 500}
    valid = await client.post("/tokens/validate", {"token": token["token"]})
    assert valid.json()["userId"] == ada.actor.user_id
    assert (await app.request("DELETE", f"/tokens/{token['id']}")).json() == {"success": True}
    assert (await client.post("/tokens/validate", {"token": token["token"]})).status == 401


async def test_a_name_is_taken_once_even_by_two_at_the_same_time(ada: Context, client: AsgiClient) -> None:
    app = client.as_cookie(await browser(ada))
    replies = await asyncio.gather(*(app.post("/tokens", {"name": "ci"}) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409]
    assert {r.json()["code"] for r in replies if r.status == 409} == {"duplicate_token_name"}


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"name": ""},
        {"name": "a/b"},
        {"name": "x", "projectId": "prj_1"},  # a limit that would be ignored is refused
        {"name": "x", "organizationId": "org_1"},
        {"name": "x", "expiresAt": "tomorrow"},
        {"name": "x", "expiresAt": 0},
        {"name": "x", "expiresAt": 1 << 62},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        [],
    ],
)
async def test_what_cannot_be_a_token_is_refused(ada: Context, client: AsgiClient, sent: object) -> None:
    app = client.as_cookie(await browser(ada))
    assert (await app.post("/tokens", sent)).status == 400  # type: ignore[arg-type]
    assert (await app.get("/tokens")).json()["tokens"] == []


async def test_validation_has_one_answer_for_whatever_is_no_token(ada: Context, client: AsgiClient) -> None:
    good = await platforms.token(ada)
    bad: list[object] = ["", "x", good[:-1], good.replace("af_live_", "af_test_"), "a.b.c", 7, None, good + good]
    replies = [await client.post("/tokens/validate", {"token": text}) for text in bad]
    replies.append(await client.post("/tokens/validate", b"not json"))
    assert {(reply.status, reply.body) for reply in replies} == {(401, b'{"valid":false,"error":"Invalid token"}')}
