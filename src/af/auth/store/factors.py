"""Second factors: every SQL statement that touches them. Their secrets are sealed, recovery codes hashed."""

from __future__ import annotations

import sqlalchemy as sa
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


async def is_enabled(connection: AsyncConnection, user_id: UserId) -> bool:
    """Whether sign-ins of this user need a second factor."""
    query = sa.select(second_factors.c.user_id).where(
        second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_not(None)
    )
    return (await connection.execute(query)).first() is not None
