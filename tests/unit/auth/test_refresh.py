"""Refresh tokens: each gives one successor, whoever races; one that comes back late ends its family."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.routing import Router

from af import auth as identity
from af.auth import rules, store
from af.auth import service as auth
from af.auth.errors import InvalidRefreshToken
from af.auth.models import SessionKind, Tokens
from af.core import audit
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, SYSTEM, Context, Platform
from af.core.messages.rows import outbox_messages
from af.core.web import RequestContext
from af.server import targets
from tests.support import platforms
from tests.support.asgi import AsgiClient

WEEK = timedelta(days=7)


@pytest.fixture
async def instances(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[list[Platform]]:
    """Two processes' views of one platform."""
    async with AsyncExitStack() as stack:
        found = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            found.append(await stack.enter_async_context(platforms.open_platform(database_url, folder, clock)))
        yield found


async def sign_in(ctx: Context) -> Tokens:
    """A session by tokens of the context's user."""
    async with ctx.transaction() as tx:
        assert ctx.actor.user_id is not None
        user = (await store.users.users_by_id(tx, [ctx.actor.user_id]))[ctx.actor.user_id]
        created = await auth.sessions.open_session(ctx, user, kind=SessionKind.TOKENS, method="email")
        assert created.text == ""
        return await auth.sessions.issue_tokens(ctx, created.session)


async def attempt(platform: Platform, text: str) -> Tokens | None:
    try:
        return await auth.refresh.refresh(platform.context(ANONYMOUS), text)
    except InvalidRefreshToken:
        return None


async def rows(platform: Platform) -> int:
    async with platform.database.reading() as connection:
        return (
            await connection.execute(sa.select(sa.func.count()).select_from(store.refresh.refresh_tokens))
        ).scalar_one()


def texts(tokens: Tokens | None) -> tuple[str, str] | None:
    return None if tokens is None else (tokens.access, tokens.refresh)


@dataclass
class Expected:
    text: str
    used_at: datetime | None = None
    answer: tuple[str, str] | None = None


@pytest.mark.parametrize("seed", range(8))
async def test_rotation_follows_its_model_whatever_races(
    instances: list[Platform], clock: FixedClock, seed: int
) -> None:
    chance = random.Random(seed)
    ada = await platforms.user(instances[0], "ada")
    family = [Expected((await sign_in(ada)).refresh)]
    alive, ends = True, clock.now() + WEEK
    for _ in range(25):
        clock.advance(timedelta(seconds=chance.choice((0, 1, 5, 14, 15, 16, 900, 86_400, 86_400 * 6))))
        token = family[-1] if chance.random() < 0.75 else chance.choice(family)
        asked = [attempt(chance.choice(instances), token.text) for _ in range(chance.randint(1, 5))]
        answers = {texts(answer) for answer in await asyncio.gather(*asked)}
        now = clock.now()
        assert len(answers) == 1, "all who ask at one moment get one answer"
        answer = answers.pop()
        if not alive or now >= ends:
            assert answer is None
        elif token.used_at is None:
            assert answer is not None
            token.used_at, token.answer = now, answer
            family.append(Expected(answer[1]))
            ends = min(now + WEEK, platforms.START + timedelta(days=30))
        elif now - token.used_at < rules.REPLAY_WINDOW:
            assert answer == token.answer
        else:
            assert answer is None
            alive = False
        assert await rows(instances[1]) == (len(family) if alive else 0)


async def test_many_at_once_make_one_successor(instances: list[Platform], ada_tokens: Tokens) -> None:
    answers = await asyncio.gather(*(attempt(instances[n % 2], ada_tokens.refresh) for n in range(40)))
    assert len({texts(answer) for answer in answers}) == 1
    assert answers[0] is not None
    assert answers[0].refresh != ada_tokens.refresh
    assert await rows(instances[0]) == 2


async def test_a_stolen_token_ends_the_session_of_thief_and_victim(
    instances: list[Platform], ada_tokens: Tokens, clock: FixedClock
) -> None:
    async with instances[0].context(SYSTEM).transaction() as tx:
        await tx.execute(sa.update(store.users.users).values(email="ada@example.org"))
    thief = await attempt(instances[0], ada_tokens.refresh)
    assert thief is not None
    clock.advance(rules.REPLAY_WINDOW)
    assert await attempt(instances[1], ada_tokens.refresh) is None  # the victim comes later
    assert await attempt(instances[0], thief.refresh) is None
    client = client_of(instances[0]).as_token(thief.access)
    clock.advance(timedelta(seconds=5))
    assert (await client.get("/auth/me")).status == 401
    system = instances[0].context(SYSTEM)
    async with system.reading() as connection:
        actions = (await connection.execute(sa.select(audit.audit_entries.c.action))).scalars().all()
        told = (await connection.execute(sa.select(outbox_messages.c.template))).scalars().all()
    assert {"token.refresh.reuse", "session.revoke"} <= set(actions)
    assert told == ["session_reuse"]


async def test_a_failure_before_the_commit_uses_nothing_up(instances: list[Platform], ada_tokens: Tokens) -> None:
    ctx = instances[0].context(ANONYMOUS)
    with pytest.raises(ConnectionResetError):
        async with ctx.transaction():
            await auth.refresh.refresh(ctx, ada_tokens.refresh)
            raise ConnectionResetError
    assert await attempt(instances[1], ada_tokens.refresh) is not None


async def test_an_answer_that_was_lost_is_given_again_by_another_instance(
    instances: list[Platform], ada_tokens: Tokens, clock: FixedClock
) -> None:
    first = await attempt(instances[0], ada_tokens.refresh)
    clock.advance(timedelta(seconds=14))
    again = await attempt(instances[1], ada_tokens.refresh)
    assert texts(again) == texts(first)
    assert again is not None
    assert again.expires_in_seconds == 900 - 14


async def test_signing_out_while_refreshing_leaves_no_session(instances: list[Platform], ada_tokens: Tokens) -> None:
    ctx = instances[1].context(ANONYMOUS)
    await asyncio.gather(
        *(attempt(instances[0], ada_tokens.refresh) for _ in range(8)),
        auth.refresh.end_by_refresh(ctx, ada_tokens.refresh),
    )
    assert await rows(instances[0]) == 0
    assert await attempt(instances[0], ada_tokens.refresh) is None


async def test_revoked_here_is_over_there_within_five_seconds(
    instances: list[Platform], ada_tokens: Tokens, clock: FixedClock
) -> None:
    here, there = [client_of(each).as_token(ada_tokens.access) for each in instances]
    assert [(await client.get("/auth/me")).status for client in (here, there)] == [200, 200]
    assert (await here.post("/auth/logout")).status == 200
    assert (await here.get("/auth/me")).status == 401
    clock.advance(timedelta(seconds=5))
    assert (await there.get("/auth/me")).status == 401


async def test_a_session_without_use_ends_after_a_week_and_any_after_its_life(
    instances: list[Platform], ada_tokens: Tokens, clock: FixedClock
) -> None:
    text = ada_tokens.refresh
    for _ in range(4):
        clock.advance(WEEK - timedelta(seconds=1))
        answer = await attempt(instances[0], text)
        assert answer is not None
        text = answer.refresh
    clock.advance(timedelta(days=2, seconds=4))  # thirty days after the sign-in
    assert await attempt(instances[0], text) is None


async def test_texts_that_cannot_be_tokens_get_the_one_answer(instances: list[Platform], ada_tokens: Tokens) -> None:
    client = client_of(instances[0])
    unknown = rules.refresh_text("x" * rules.TOKEN_RANDOM_LENGTH)
    bad = ["", "x", unknown, ada_tokens.refresh[:-1] + "_", ada_tokens.access, "af_ref_' OR 1=1 --", "é" * 50]
    replies = [await client.post("/auth/refresh", {"refreshToken": text}) for text in bad]
    assert {reply.status for reply in replies} == {401}
    assert len({reply.json()["detail"] for reply in replies}) == 1
    assert (await client.post("/auth/refresh", {"refreshToken": "x" * 5000})).status == 413
    done = await client.post("/auth/refresh", {"refreshToken": ada_tokens.refresh})
    assert set(done.json()) == {"success", "accessToken", "refreshToken", "expiresIn"}
    assert done.headers["cache-control"] == "no-store"


@pytest.fixture
async def ada_tokens(instances: list[Platform]) -> Tokens:
    return await sign_in(await platforms.user(instances[0], "ada"))


def client_of(platform: Platform) -> AsgiClient:
    return AsgiClient(RequestContext(Router(targets.rest_routes()), platform, identity.authenticate))
