"""Every SQL statement of identity, one module per thing: `users`, `methods` (ways to sign in), `challenges` (proofs
that are awaited), `factors` (second ones), `sessions` (with login links), `refresh` (their tokens), `keys` (that sign),
`tokens`, `trust` (rules for pipelines). Credentials are hashed or sealed."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.store import challenges, factors, keys, methods, refresh, sessions, tokens, trust, users
from af.core.ids import UserId

__all__ = ["challenges", "factors", "keys", "methods", "prune", "refresh", "sessions", "tokens", "trust", "users"]

KEEP_CHALLENGES = timedelta(hours=1)
"""They count in limits of what may be asked for."""


async def prune(connection: AsyncConnection, now: datetime, keep_tokens: timedelta) -> int:
    """Delete what is over: sessions, links, and tokens revoked or expired longer than ``keep_tokens`` ago."""
    gone = 0
    before = now - keep_tokens
    for statement in (
        sa.delete(sessions.sessions).where(sessions.sessions.c.expires_at <= now),
        sa.delete(refresh.refresh_tokens).where(refresh.refresh_tokens.c.expires_at <= now),
        sa.delete(keys.signing_keys).where(keys.signing_keys.c.retired_at <= now),
        sa.delete(sessions.login_links).where(sessions.login_links.c.expires_at <= now),
        sa.delete(challenges.challenges).where(challenges.challenges.c.expires_at <= now - KEEP_CHALLENGES),
        sa.delete(tokens.access_tokens).where(
            sa.or_(tokens.access_tokens.c.revoked_at < before, tokens.access_tokens.c.expires_at < before)
        ),
    ):
        gone += (await connection.execute(statement)).rowcount
    return gone


async def erase(connection: AsyncConnection, user_id: UserId) -> None:
    """Everything that belongs to a user but the row itself."""
    await factors.remove(connection, user_id)
    for table in (
        methods.login_methods,
        challenges.challenges,
        sessions.sessions,
        sessions.login_links,
        tokens.access_tokens,
    ):
        await connection.execute(sa.delete(table).where(table.c.user_id == user_id))
