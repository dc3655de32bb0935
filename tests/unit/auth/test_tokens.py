"""Access tokens: made, used, listed, revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from starlette.routing import Router

from af import auth, projects
from af.auth import rules
from af.auth.errors import TokenLimitReached, TokenNotFound, TokenPowerExceeded, TooManyTokens
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, Context, Platform
from af.core.db import Database
from af.core.errors import Forbidden, Unauthenticated
from af.core.web import RequestContext
from af.server import targets
from tests.support import platforms
from tests.support.asgi import AsgiClient


async def test_a_token_signs_its_owner_in_with_and_without_the_word_bearer(ada: Context, client: AsgiClient) -> None:
    text = await platforms.token(ada)
    assert (await client.as_token(text).get("/auth/me")).json()["user"]["username"] == "ada"
    assert (await client.get("/auth/me", authorization=text)).json()["user"]["username"] == "ada"
    assert (await client.get("/auth/me", authorization=f"bearer {text}")).status == 200


@pytest.mark.parametrize("header", ["Bearer af_live_x", "Bearer ", "Basic YTpi", "", "Bearer a.b.c", "x" * 9000])
async def test_a_bad_credential_is_refused_and_not_ignored(client: AsgiClient, header: str) -> None:
    reply = await client.get("/auth/me", authorization=header)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_nobody_is_asked_to_sign_in(client: AsgiClient) -> None:
    reply = await client.get("/auth/me")
    assert (reply.status, reply.json()["code"]) == (401, "unauthenticated")


async def test_only_a_hash_of_the_token_is_stored(ada: Context, platform: Platform) -> None:
    made = await projects.create_token(ada, "secret one")
    async with platform.database.reading() as connection:
        row = (await connection.execute(text("SELECT * FROM access_tokens"))).one()
    assert made.text not in str(row)
    assert made.text[8:-4] not in str(row)
    assert rules.digest(made.text) in str(row)


async def test_a_revoked_token_ends_at_once_here_and_within_seconds_elsewhere(
    ada: Context, platform: Platform, client: AsgiClient, clock: FixedClock
) -> None:
    made = await projects.create_token(ada, "laptop")
    other_process = Database(platform.database.url)
    there = replace(platform, database=other_process)
    elsewhere = AsgiClient(RequestContext(Router(targets.rest_routes()), there, auth.authenticate)).as_token(made.text)
    here = client.as_token(made.text)
    assert (await here.get("/auth/me")).status == (await elsewhere.get("/auth/me")).status == 200
    await auth.revoke_token(ada, made.token.id)
    assert (await here.get("/auth/me")).status == 401
    clock.advance(timedelta(seconds=5))
    assert (await elsewhere.get("/auth/me")).status == 401
    await other_process.close()


async def test_a_token_ends_when_it_expires_even_while_it_is_remembered(
    ada: Context, client: AsgiClient, clock: FixedClock
) -> None:
    token = await platforms.token(ada, expires_at=platforms.START + timedelta(seconds=3))
    assert (await client.as_token(token).get("/auth/me")).status == 200
    clock.advance(timedelta(seconds=3))
    assert (await client.as_token(token).get("/auth/me")).status == 401


async def test_the_last_use_is_noted_at_most_once_a_minute(ada: Context, client: AsgiClient, clock: FixedClock) -> None:
    token = client.as_token(await platforms.token(ada))
    seen = []
    for _ in range(4):
        await token.get("/auth/me")
        seen.append((await auth.list_tokens(ada))[0].last_used_at)
        clock.advance(timedelta(seconds=25))
    start = platforms.START
    assert seen == [start, start, start, start + timedelta(seconds=75)]


async def test_people_see_and_revoke_their_own_tokens_only(ada: Context, platform: Platform) -> None:
    bob = await platforms.user(platform, "bob")
    made = await projects.create_token(ada, "laptop")
    assert await auth.list_tokens(bob) == []
    with pytest.raises(TokenNotFound):
        await auth.revoke_token(bob, made.token.id)
    assert [token.id for token in await auth.list_tokens(ada)] == [made.token.id]
    await auth.revoke_token(ada, made.token.id)
    assert await auth.list_tokens(ada) == []
    with pytest.raises(TokenNotFound):
        await auth.revoke_token(ada, made.token.id)


async def test_a_token_cannot_make_a_stronger_one(ada: Context, platform: Platform) -> None:
    limited = replace(ada, actor=replace(ada.actor, scopes=frozenset({"tokens:write", "sites:read"})))
    made = await auth.create_token(limited, "less", scopes=["sites:read"])
    assert made.token.scopes == {"sites:read"}
    for scopes in (None, ["all"], ["sites:write"], ["sites:read", "storage:read"]):
        with pytest.raises(TokenPowerExceeded):
            await auth.create_token(limited, "more", scopes=scopes)
    with pytest.raises(Forbidden):
        await auth.create_token(replace(ada, actor=replace(ada.actor, scopes=frozenset({"sites:read"}))), "none")
    with pytest.raises(Unauthenticated):
        await auth.create_token(platform.context(ANONYMOUS), "nobody")


async def test_a_token_made_with_a_token_does_not_outlive_it(ada: Context) -> None:
    day = timedelta(days=1)
    maker = await auth.create_token(ada, "maker", expires_at=platforms.START + day)
    with_token = replace(ada, actor=replace(ada.actor, token_id=maker.token.id))
    assert (await auth.create_token(with_token, "child")).token.expires_at == platforms.START + day


async def test_fifty_tokens_a_day_revoked_ones_included(ada: Context, clock: FixedClock) -> None:
    for number in range(50):
        made = await auth.create_token(ada, f"t{number}")
        await auth.revoke_token(ada, made.token.id)
        clock.advance(timedelta(minutes=1))
    assert (await auth.token_allowance(ada)).remaining == 0
    with pytest.raises(TooManyTokens) as refused:
        await auth.create_token(ada, "one more")
    assert refused.value.retry_after_seconds == pytest.approx(86_400 - 50 * 60)
    clock.advance(timedelta(seconds=86_400 - 50 * 60))
    await auth.create_token(ada, "tomorrow")
    assert (await auth.token_allowance(ada)).active == 1


async def test_five_hundred_tokens_at_once(ada: Context, system: Context) -> None:
    assert ada.actor.user_id is not None
    for number in range(rules.TOKENS_ACTIVE_MAX):
        await auth.create_token(system, f"t{number}", user_id=ada.actor.user_id)
    async with system.transaction() as tx:  # made long ago, so that the day's allowance is not what refuses
        await tx.execute(text("UPDATE access_tokens SET created_at = '2025-01-01 00:00:00'"))
    with pytest.raises(TokenLimitReached):
        await auth.create_token(ada, "one more")


async def test_old_credentials_are_forgotten_by_the_platform_only(
    ada: Context, system: Context, clock: FixedClock
) -> None:
    await auth.create_token(ada, "short", expires_at=platforms.START + timedelta(days=1))
    await auth.create_token(ada, "long")
    with pytest.raises(Forbidden):
        await auth.prune(ada)
    clock.advance(timedelta(days=30))
    assert await auth.prune(system) == 0
    clock.advance(timedelta(days=2))
    assert await auth.prune(system) == 1
