"""Second factors: every SQL statement that touches them. Their secrets are sealed, recovery codes hashed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import UserId

second_factors = sa.Table(
    "second_factors",
    metadata,
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("confirmed_at", Timestamp()),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
)
"""Time-based codes (RFC 6238). ``last_step`` is the newest time step whose code was used."""

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("hash", sa.Text, primary_key=True),
)
"""Those that were not used."""


async def is_enabled(connection: AsyncConnection, user_id: UserId) -> bool:
    """Whether sign-ins of this user need a second factor."""
    query = sa.select(second_factors.c.user_id).where(
        second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_not(None)
    )
    return (await connection.execute(query)).first() is not None


async def put_secret(connection: AsyncConnection, user_id: UserId, secret: bytes, now: datetime) -> bool:
    """A secret that waits to be confirmed, in place of an earlier one that does; false when one is confirmed."""
    await connection.execute(
        sa.delete(second_factors).where(second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_(None))
    )
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = dialect.insert(second_factors).values(user_id=user_id, secret=secret, last_step=-1, created_at=now)
    return (await connection.execute(row.on_conflict_do_nothing())).rowcount == 1


async def secret_of(connection: AsyncConnection, user_id: UserId, *, confirmed: bool) -> bytes | None:
    """The sealed secret."""
    is_confirmed = second_factors.c.confirmed_at.is_not(None)
    query = sa.select(second_factors.c.secret).where(
        second_factors.c.user_id == user_id, is_confirmed if confirmed else sa.not_(is_confirmed)
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def use_step(connection: AsyncConnection, user_id: UserId, step: int) -> bool:
    """False when a code of this time step, or of a later one, was used already: each counts once."""
    used = (
        sa.update(second_factors)
        .where(second_factors.c.user_id == user_id, second_factors.c.last_step < step)
        .values(last_step=step)
    )
    return (await connection.execute(used)).rowcount == 1


async def confirm(connection: AsyncConnection, user_id: UserId, now: datetime) -> bool:
    confirmed = (
        sa.update(second_factors)
        .where(second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_(None))
        .values(confirmed_at=now)
    )
    return (await connection.execute(confirmed)).rowcount == 1


async def replace_recovery_codes(connection: AsyncConnection, user_id: UserId, hashes: Sequence[str]) -> None:
    """These, and none of the earlier ones."""
    await connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    if hashes:
        await connection.execute(recovery_codes.insert(), [{"user_id": user_id, "hash": each} for each in hashes])


async def use_recovery_code(connection: AsyncConnection, user_id: UserId, hash: str) -> bool:
    """Whether it is one of the user's; it is none afterwards."""
    used = sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id, recovery_codes.c.hash == hash)
    return (await connection.execute(used)).rowcount == 1


async def count_recovery_codes(connection: AsyncConnection, user_id: UserId) -> int:
    query = sa.select(sa.func.count()).where(recovery_codes.c.user_id == user_id)
    return (await connection.execute(query)).scalar_one()


async def remove(connection: AsyncConnection, user_id: UserId) -> bool:
    """The factor and its recovery codes; false when there was none."""
    await connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    gone = await connection.execute(sa.delete(second_factors).where(second_factors.c.user_id == user_id))
    return gone.rowcount == 1
