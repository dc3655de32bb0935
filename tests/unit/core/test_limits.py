"""Limits that all processes share: used up at once, given back evenly, counted right under races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from af.core import limits
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, SYSTEM, Context, Platform
from af.core.limits import Limit, TooOften
from tests.support import platforms

FIVE = Limit("tries", 5, timedelta(minutes=5))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(platforms.START)


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def ctx(platform: Platform) -> Context:
    return platform.context(ANONYMOUS)


async def test_the_count_can_be_used_at_once_and_comes_back_evenly(ctx: Context, clock: FixedClock) -> None:
    for _ in range(5):
        await limits.take(ctx, FIVE, "ada")
    with pytest.raises(TooOften) as refused:
        await limits.take(ctx, FIVE, "ada")
    assert refused.value.headers() == {
        "Retry-After": "60",
        "RateLimit-Limit": "5",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "300",
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": f"{platforms.START + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
    }
    clock.advance(timedelta(seconds=60))
    await limits.take(ctx, FIVE, "ada")
    with pytest.raises(TooOften):
        await limits.take(ctx, FIVE, "ada")


async def test_callers_and_limits_do_not_share(ctx: Context) -> None:
    for _ in range(5):
        await limits.take(ctx, FIVE, "ada")
    await limits.take(ctx, FIVE, "eve")
    await limits.take(ctx, Limit("other tries", 1, timedelta(minutes=5)), "ada")


async def test_races_let_exactly_the_count_through(ctx: Context) -> None:
    tries = await asyncio.gather(*(limits.take(ctx, FIVE, "ada") for _ in range(30)), return_exceptions=True)
    assert [each for each in tries if each is None] == [None] * 5
    assert sum(isinstance(each, TooOften) for each in tries) == 25


async def test_a_refusal_inside_a_transaction_does_not_undo_the_count(ctx: Context) -> None:
    for _ in range(5):
        async with ctx.transaction():
            await limits.take(ctx, FIVE, "ada")
    with pytest.raises(TooOften):
        async with ctx.transaction():
            await limits.take(ctx, FIVE, "ada")
    with pytest.raises(TooOften):
        await limits.take(ctx, FIVE, "ada")


async def test_who_has_everything_back_is_forgotten(platform: Platform, ctx: Context, clock: FixedClock) -> None:
    await limits.take(ctx, FIVE, "ada")
    assert await limits.prune(platform.context(SYSTEM)) == 0
    clock.advance(timedelta(minutes=6))
    assert await limits.prune(platform.context(SYSTEM)) == 1
