"""The keys that sign short-lived tokens; the private half is sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata

_LOCK = 0x6166_0003  # the key of PostgreSQL's advisory lock

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("kid", sa.Text, primary_key=True),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("public_jwk", sa.JSON, nullable=False),
    sa.Column("sealed_private_jwk", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("retired_at", Timestamp()),
)
"""``retired_at`` is when the key's last token will be over: from then on it is not accepted."""


async def rows(connection: AsyncConnection) -> list[Any]:
    """All keys, newest first: ``kid algorithm public_jwk sealed_private_jwk created_at retired_at``."""
    return list(await connection.execute(_NEWEST_FIRST))


_NEWEST_FIRST = sa.select(signing_keys).order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)


async def lock(connection: AsyncConnection) -> None:
    """Until the end of the transaction, nobody else adds keys. (SQLite has one writer anyway.)"""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def insert(
    connection: AsyncConnection, *, kid: str, algorithm: str, public_jwk: dict[str, Any], sealed: bytes, now: datetime
) -> None:
    await connection.execute(
        signing_keys.insert().values(
            kid=kid, algorithm=algorithm, public_jwk=public_jwk, sealed_private_jwk=sealed, created_at=now
        )
    )


async def retire_others(connection: AsyncConnection, kid: str, at: datetime) -> None:
    """All keys but ``kid`` end at that time, or earlier if they do already."""
    ends_later = sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > at)
    await connection.execute(sa.update(signing_keys).where(signing_keys.c.kid != kid, ends_later).values(retired_at=at))
