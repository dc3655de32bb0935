"""Proofs that are awaited: every SQL statement that touches them. Their secrets are sealed, their keys hashed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import Challenge, Purpose
from af.core.db import Timestamp, metadata
from af.core.ids import ChallengeId, UserId

challenges = sa.Table(
    "challenges",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), index=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("flow_hash", sa.Text, nullable=False, unique=True),
    sa.Column("lookup_hash", sa.Text, unique=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("attempts_max", sa.Integer, nullable=False),
    sa.Column("return_to", sa.Text, nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("used_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
)


async def insert(connection: AsyncConnection, challenge: Challenge) -> None:
    await connection.execute(
        challenges.insert().values(
            id=challenge.id,
            method=challenge.method,
            purpose=challenge.purpose.value,
            user_id=challenge.user_id,
            subject=challenge.subject,
            flow_hash=challenge.flow_hash,
            lookup_hash=challenge.lookup_hash,
            secret=challenge.secret,
            attempts=challenge.attempts,
            attempts_max=challenge.attempts_max,
            return_to=challenge.return_to,
            expires_at=challenge.expires_at,
            created_at=challenge.created_at,
        )
    )


async def attempt(
    connection: AsyncConnection, method: str, now: datetime, *, flow_hash: str | None, lookup_hash: str | None
) -> Challenge | None:
    """The challenge that these keys name, with one more attempt counted; `None` if there is none, it is over, it was
    answered, or all attempts were made. Of several callers at once only ``attempts_max`` get it."""
    keys = [
        column == value
        for column, value in ((challenges.c.flow_hash, flow_hash), (challenges.c.lookup_hash, lookup_hash))
        if value is not None
    ]
    if not keys:
        return None
    counted = (
        sa.update(challenges)
        .where(
            *keys,
            challenges.c.method == method,
            challenges.c.used_at.is_(None),
            challenges.c.expires_at > now,
            challenges.c.attempts < challenges.c.attempts_max,
        )
        .values(attempts=challenges.c.attempts + 1)
        .returning(challenges)
    )
    row = (await connection.execute(counted)).one_or_none()
    return _challenge(row) if row else None


async def close(connection: AsyncConnection, challenge_id: ChallengeId, now: datetime) -> bool:
    """It is answered; false when another answer was faster."""
    closed = (
        sa.update(challenges)
        .where(challenges.c.id == challenge_id, challenges.c.used_at.is_(None), challenges.c.expires_at > now)
        .values(used_at=now)
    )
    return (await connection.execute(closed)).rowcount == 1


async def by_lookup(connection: AsyncConnection, method: str, lookup_hash: str, now: datetime) -> Challenge | None:
    """An open challenge, looked at only: no attempt is counted."""
    query = sa.select(challenges).where(
        challenges.c.lookup_hash == lookup_hash,
        challenges.c.method == method,
        challenges.c.used_at.is_(None),
        challenges.c.expires_at > now,
    )
    row = (await connection.execute(query)).one_or_none()
    return _challenge(row) if row else None


async def settle(
    connection: AsyncConnection,
    before: Challenge,
    *,
    subject: str,
    secret: bytes,
    user_id: UserId | None,
    now: datetime,
) -> bool:
    """Take an open challenge from one state (``subject``) to another; false when somebody else was faster."""
    settled = (
        sa.update(challenges)
        .where(
            challenges.c.id == before.id,
            challenges.c.subject == before.subject,
            challenges.c.used_at.is_(None),
            challenges.c.expires_at > now,
        )
        .values(subject=subject, secret=secret, user_id=user_id)
    )
    return (await connection.execute(settled)).rowcount == 1


def _challenge(row: Any) -> Challenge:
    return Challenge(
        id=ChallengeId(row.id),
        method=row.method,
        purpose=Purpose(row.purpose),
        user_id=None if row.user_id is None else UserId(row.user_id),
        subject=row.subject,
        flow_hash=row.flow_hash,
        lookup_hash=row.lookup_hash,
        secret=row.secret,
        attempts=row.attempts,
        attempts_max=row.attempts_max,
        return_to=row.return_to,
        expires_at=row.expires_at,
        used_at=row.used_at,
        created_at=row.created_at,
    )
