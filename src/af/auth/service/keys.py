"""The keys that sign short-lived tokens: made, published, replaced, retired.

The private halves are sealed in the database, so that every process signs with the same key. A new key is published
`PUBLISHED_AHEAD` before it signs, so that whoever verifies (our other instances, readers of the JWKS) knows it by then.
The one before it stays published and accepted until the last token that it signed is over; then its row is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from joserfc.jwk import ECKey

from af.auth import store
from af.auth.service import memory
from af.auth.service.users import require_operator
from af.core import audit, seal
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden, Internal

ALGORITHM = "ES256"
JWKS_SECONDS = 300
"""How long readers may keep the published keys."""
PUBLISHED_AHEAD = timedelta(seconds=2 * JWKS_SECONDS)
TOKEN_LIFE_MAX = timedelta(hours=1)
"""No token lasts longer: the most that AF_ACCESS_TOKEN_SECONDS can be."""
LATE = timedelta(minutes=1)
"""How much later than we another instance may notice that its key was replaced, with a clock of its own."""
_PURPOSE = "auth.signing-key"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of this process by ``kid``; the private one of ``signing`` only when it was needed."""

    public: dict[str, ECKey]
    ends: dict[str, datetime | None]
    signing: ECKey | None
    loaded_at: datetime


async def accepted_key(ctx: Context, kid: str) -> ECKey | None:
    """The public key with this id, if its tokens are accepted now."""
    found = await _keyring(ctx)
    end = found.ends.get(kid)
    return found.public.get(kid) if end is None or end > ctx.now else None


async def signing_key(ctx: Context) -> ECKey:
    """The private key that signs now; the first one is made here."""
    known = await _keyring(ctx)
    if known.signing is not None:
        return known.signing
    async with ctx.transaction() as tx:
        await store.keys.lock(tx)
        if not _accepted(await store.keys.rows(tx), ctx.now):
            await _add(ctx)
        rows = _accepted(await store.keys.rows(tx), ctx.now)
    row = _signer(rows, ctx.now)
    opened = ctx.get(seal.Sealer).open(row.sealed_private_jwk, purpose=_PURPOSE)
    key = ECKey.import_key(cast(dict[str, Any], msgspec.json.decode(opened)))
    memory.of(ctx).keyring = _ring(rows, ctx.now, key)
    return key


async def jwks(ctx: Context) -> dict[str, Any]:
    """The published keys as a JWK Set (RFC 7517 §5): those to come, the one that signs, those still accepted.

    Anyone may ask. Before the first token there is none.
    """
    found = await _keyring(ctx)
    ends = found.ends
    shown = [key for kid, key in found.public.items() if (end := ends[kid]) is None or end > ctx.now]
    return {"keys": [key.as_dict(private=False) for key in shown]}


async def rotate_signing_keys(ctx: Context, *, at_once: bool = False) -> str:
    """Replace the key; the ``kid`` of the new one. ``at_once`` is for a key that leaked: every token that was signed
    with the old ones ends (here now, elsewhere within ten seconds), and clients get new ones by their refresh tokens.

    :raises OperatorOnly: the caller does not run the platform.
    """
    await require_operator(ctx)
    return await _rotate(ctx, at_once=at_once)


async def rotate_due_keys(ctx: Context) -> None:
    """Replace the key when it is AF_SIGNING_KEY_DAYS old; run by the worker's schedule."""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself follows its schedule.")
    async with ctx.transaction() as tx:
        await store.keys.lock(tx)
        rows = _accepted(await store.keys.rows(tx), ctx.now)
        if rows and rows[0].created_at + timedelta(days=ctx.settings.signing_key_days) <= ctx.now:
            await _rotate(ctx, at_once=False)


async def _rotate(ctx: Context, *, at_once: bool) -> str:
    async with ctx.transaction() as tx:
        await store.keys.lock(tx)
        kid = await _add(ctx)
        ends = ctx.now if at_once else ctx.now + PUBLISHED_AHEAD + TOKEN_LIFE_MAX + LATE
        await store.keys.retire_others(tx, kid, ends)
        await audit.record(ctx, audit.PLATFORM, "key.rotate", kid, after={"atOnce": at_once})
    memory.of(ctx).keyring = None
    if at_once:
        memory.of(ctx).grants.clear()
    return kid


async def _add(ctx: Context) -> str:
    key = ECKey.generate_key("P-256", auto_kid=True)
    key = ECKey.import_key({**key.as_dict(private=True), "use": "sig", "alg": ALGORITHM})
    kid = _kid(key)
    async with ctx.transaction() as tx:
        await store.keys.insert(
            tx,
            kid=kid,
            algorithm=ALGORITHM,
            public_jwk=dict(key.as_dict(private=False)),
            sealed=ctx.get(seal.Sealer).seal(msgspec.json.encode(key.as_dict(private=True)), purpose=_PURPOSE),
            now=ctx.now,
        )
    return kid


async def _keyring(ctx: Context) -> Keyring:
    """As the database had it within the last five seconds: rotation and retirement in other processes count here."""
    known = memory.of(ctx).keyring
    if known is not None and known.loaded_at <= ctx.now < known.loaded_at + memory.FRESH_FOR:
        return known
    async with ctx.reading() as connection:
        rows = _accepted(await store.keys.rows(connection), ctx.now)
    signing = known.signing if known is not None else None
    if signing is not None and (not rows or _signer(rows, ctx.now).kid != signing.kid):
        signing = None
    found = memory.of(ctx).keyring = _ring(rows, ctx.now, signing)
    return found


def _ring(rows: list[Any], now: datetime, signing: ECKey | None) -> Keyring:
    public = {row.kid: ECKey.import_key(row.public_jwk) for row in rows}
    return Keyring(public, {row.kid: row.retired_at for row in rows}, signing, now)


def _accepted(rows: list[Any], now: datetime) -> list[Any]:
    return [row for row in rows if row.retired_at is None or row.retired_at > now]


def _signer(rows: list[Any], now: datetime) -> Any:
    """Of the accepted keys, newest first: the newest that has been published long enough, else the oldest, which
    nothing was signed before."""
    return next((row for row in rows if row.created_at + PUBLISHED_AHEAD <= now), rows[-1])


def _kid(key: ECKey) -> str:
    if key.kid is None:
        raise Internal("A signing key has no id.")
    return key.kid
