"""What one machine does at a time: a claim in the database, renewed while the work goes on, free a minute after its
holder died. It spares work, not safety: two collections at once would still lose nothing (see `collecting`)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from af.core.errors import Unavailable
from af.storage.backends.s3.store.facts import Facts
from af.storage.backends.s3.timekeeping import SharedTime
from af.storage.errors import StoreBusy

_CLAIM_MILLISECONDS = 60_000
_RENEW_SECONDS = 15.0
_log = structlog.get_logger()


@asynccontextmanager
async def holding(facts: Facts, name: str, time: SharedTime, *, work: str) -> AsyncIterator[None]:
    """Alone with ``name`` among all machines; ``work`` is what people call it. :raises StoreBusy: another has it"""
    holder = secrets.token_hex(8)
    now = await time.now()
    if not await facts.claim(name, holder, until=now + _CLAIM_MILLISECONDS, now=now):
        raise StoreBusy(f"Another {work} is running.", hint="Wait for it to end.")
    renewing = asyncio.create_task(_renew(facts, name, holder, time))
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await asyncio.shield(facts.release(name, holder))


async def _renew(facts: Facts, name: str, holder: str, time: SharedTime) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            now = await time.now()
            await facts.claim(name, holder, until=now + _CLAIM_MILLISECONDS, now=now)
        except Unavailable as error:
            _log.warning("a claim could not be renewed", claim=name, reason=error.detail)
