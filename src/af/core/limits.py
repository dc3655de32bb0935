"""How often something may be done, counted for all processes and machines together: in a table.

For what is rare and must not be guessed or flooded (sign-in, messages); the many requests of an API are counted by each
process for itself (`core.rates`). A bucket that leaks (the generic cell rate algorithm, ITU-T I.371): a caller may use
its whole count at once and then gets it back evenly. One row per caller and limit, one statement per check.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from af.core import rates
from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import RateLimited

rate_limits = sa.Table(
    "rate_limits",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("drained_at", Timestamp(), nullable=False, index=True),
)
"""``key`` is a hash: it was made of addresses of people. ``drained_at`` is when the bucket will be empty again."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``count`` times in ``period``, under a name that people are told."""

    name: str
    count: int
    period: timedelta


class TooOften(RateLimited):
    """Done too often by this caller, or to this account."""

    code = "too_often"
    number = 1130
    explain = (
        "This was done too often in a short time, from this address or for this account. Wait for the time in "
        "Retry-After. The limits of signing in are listed in docs/guides/access.md."
    )

    def __init__(self, limit: Limit, retry_after: timedelta, now: datetime) -> None:
        seconds = max(1, math.ceil(retry_after.total_seconds()))
        wait = f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
        super().__init__(
            f"Too many attempts ({limit.name}).", hint=f"Try again in {wait}.", retry_after_seconds=seconds
        )
        self.limit = limit
        self.reset_seconds = (retry_after + limit.period - limit.period / limit.count).total_seconds()
        """Until the whole count is there again."""
        self.now = now

    def headers(self) -> dict[str, str]:
        return {**super().headers(), **rates.headers(self.limit.count, 0, self.reset_seconds, self.now)}


async def take(ctx: Context, limit: Limit, key: str) -> None:
    """Count one use by ``key`` (an address, an account), in a transaction of its own unless one is open.

    :raises TooOften: the count is used up; a refused use does not count.
    """
    step = limit.period / limit.count
    now = ctx.now
    hashed = hashlib.sha256(f"{limit.name}\0{key}".encode()).hexdigest()
    async with ctx.transaction() as tx:
        dialect = sqlite if tx.dialect.name == "sqlite" else postgresql
        row = dialect.insert(rate_limits).values(key=hashed, drained_at=now)
        await tx.execute(row.on_conflict_do_nothing())
        query = sa.select(rate_limits.c.drained_at).where(rate_limits.c.key == hashed)
        if tx.dialect.name == "postgresql":
            query = query.with_for_update()
        before: datetime = (await tx.execute(query)).scalar_one()
        after = max(before, now) + step
        over = after - now - limit.period
        if over <= timedelta(milliseconds=1):
            await tx.execute(sa.update(rate_limits).where(rate_limits.c.key == hashed).values(drained_at=after))
    if over > timedelta(milliseconds=1):
        raise TooOften(limit, over, now)


async def prune(ctx: Context) -> int:
    """Forget who has all of its count back; run by the worker's schedule."""
    async with ctx.transaction() as tx:
        return (await tx.execute(sa.delete(rate_limits).where(rate_limits.c.drained_at < ctx.now))).rowcount
