"""Questions that wait for an answer: put, taken up one attempt at a time, and closed once. Their secrets are sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from af.auth import rules, store
from af.auth.errors import ChallengeOver
from af.auth.models import Challenge, Purpose
from af.core import ids, seal
from af.core.context import Context
from af.core.ids import ChallengeId, UserId

FLOW_LENGTH_MAX = 100
_SEAL_PURPOSE = "auth.challenge"


async def put(
    ctx: Context,
    method: str,
    secret: Mapping[str, Any],
    *,
    flow: str,
    life: timedelta,
    attempts_max: int,
    lookup: str | None = None,
    purpose: Purpose = Purpose.SIGN_IN,
    user_id: UserId | None = None,
    subject: str = "",
    return_to: str = "",
) -> None:
    """Keep a question in the caller's transaction. ``flow`` is the secret of the browser that asked, ``lookup`` a text
    in the answer that finds the question again; only their hashes are kept."""
    sealed = ctx.get(seal.Sealer).seal(msgspec.json.encode(dict(secret)), purpose=_SEAL_PURPOSE)
    challenge = Challenge(
        id=ChallengeId(ids.new(ids.CHALLENGE, ctx.now)),
        method=method,
        purpose=purpose,
        user_id=user_id,
        subject=subject,
        flow_hash=rules.digest(flow),
        lookup_hash=None if lookup is None else rules.digest(lookup),
        secret=sealed,
        attempts=0,
        attempts_max=attempts_max,
        return_to=return_to,
        expires_at=ctx.now + life,
        used_at=None,
        created_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        await store.challenges.insert(tx, challenge)


async def take(
    ctx: Context, method: str, *, flow: str | None, lookup: str | None = None, bound: bool = True
) -> tuple[Challenge, Mapping[str, Any]]:
    """The challenge and its secret, one attempt counted. ``bound``: only for the browser that asked.

    :raises ChallengeOver: there is none any more; the text does not say why.
    """
    flow = flow if flow and len(flow) <= FLOW_LENGTH_MAX else None
    found = None
    if flow is not None or (lookup is not None and not bound):
        async with ctx.transaction() as tx:
            found = await store.challenges.attempt(
                tx,
                method,
                ctx.now,
                flow_hash=None if flow is None or (lookup is not None and not bound) else rules.digest(flow),
                lookup_hash=None if lookup is None else rules.digest(lookup),
            )
    if found is None:
        raise ChallengeOver(
            "This sign-in is over, or was begun in another browser.",
            hint="Begin again, and answer in the same browser.",
        )
    opened = ctx.get(seal.Sealer).open(found.secret, purpose=_SEAL_PURPOSE)
    return found, msgspec.json.decode(opened)


async def close(ctx: Context, challenge: Challenge) -> None:
    """It is answered, once, in the caller's transaction. :raises ChallengeOver: another answer was faster."""
    async with ctx.transaction() as tx:
        if not await store.challenges.close(tx, challenge.id, ctx.now):
            raise ChallengeOver("This was answered already.", hint="Begin again.")
