"""Refresh tokens: every SQL statement that touches them. Their texts are hashed, the answers to them sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.store.sessions import sessions
from af.core.db import Timestamp, metadata
from af.core.ids import SessionId

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, sa.ForeignKey(sessions.c.id, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("used_at", Timestamp()),
    sa.Column("successor", sa.LargeBinary),
)
"""All tokens of a session are one family. ``successor`` is the sealed answer that the one use got."""


async def insert(
    connection: AsyncConnection, hash: str, session_id: SessionId, now: datetime, expires_at: datetime
) -> None:
    await connection.execute(
        refresh_tokens.insert().values(hash=hash, session_id=session_id, created_at=now, expires_at=expires_at)
    )


async def take(connection: AsyncConnection, hash: str, now: datetime) -> bool:
    """Use the token up. True for exactly one caller, whoever asks at the same time."""
    fresh = (refresh_tokens.c.hash == hash, refresh_tokens.c.used_at.is_(None), refresh_tokens.c.expires_at > now)
    return (await connection.execute(sa.update(refresh_tokens).where(*fresh).values(used_at=now))).rowcount == 1


async def by_hash(connection: AsyncConnection, hash: str) -> Any:
    """``hash session_id created_at expires_at used_at successor``, or `None`."""
    return (await connection.execute(sa.select(refresh_tokens).where(refresh_tokens.c.hash == hash))).one_or_none()


async def set_successor(connection: AsyncConnection, hash: str, sealed: bytes) -> None:
    await connection.execute(sa.update(refresh_tokens).where(refresh_tokens.c.hash == hash).values(successor=sealed))


async def forget_successors(connection: AsyncConnection, session_id: SessionId, used_before: datetime) -> None:
    """What may not be answered again is not kept either."""
    old = (refresh_tokens.c.session_id == session_id, refresh_tokens.c.used_at < used_before)
    await connection.execute(
        sa.update(refresh_tokens).where(*old, refresh_tokens.c.successor.is_not(None)).values(successor=None)
    )
