"""Sessions, the links that open them, and the keys that sign their tokens. Credentials are kept as SHA-256 only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import Session, SessionKind
from af.core.db import Timestamp, metadata
from af.core.ids import SessionId, UserId

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False, server_default="browser"),
    sa.Column("method", sa.Text, nullable=False, server_default="link"),
    sa.Column("user_agent", sa.Text, nullable=False, server_default=""),
    sa.Column("address", sa.Text, nullable=False, server_default=""),
    sa.Column("authenticated_at", Timestamp()),
    sa.Column("last_seen_at", Timestamp()),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
)

login_links = sa.Table(
    "login_links",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
)

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


async def insert_session(connection: AsyncConnection, session: Session, hash: str) -> None:
    await connection.execute(
        sessions.insert().values(
            id=session.id,
            user_id=session.user_id,
            hash=hash,
            kind=session.kind.value,
            method=session.method,
            user_agent=session.user_agent,
            address=session.address,
            authenticated_at=session.authenticated_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            created_at=session.created_at,
        )
    )


async def session_by_hash(connection: AsyncConnection, hash: str) -> Session | None:
    row = (await connection.execute(sa.select(sessions).where(sessions.c.hash == hash))).one_or_none()
    if row is None:
        return None
    return Session(
        id=SessionId(row.id),
        user_id=UserId(row.user_id),
        expires_at=row.expires_at,
        created_at=row.created_at,
        kind=SessionKind(row.kind),
        method=row.method,
        authenticated_at=row.authenticated_at,
        user_agent=row.user_agent,
        address=row.address,
        last_seen_at=row.last_seen_at,
    )


async def delete_session(connection: AsyncConnection, hash: str) -> None:
    await connection.execute(sa.delete(sessions).where(sessions.c.hash == hash))


async def insert_login_link(
    connection: AsyncConnection, hash: str, user_id: UserId, expires_at: datetime, now: datetime
) -> None:
    await connection.execute(
        login_links.insert().values(hash=hash, user_id=user_id, expires_at=expires_at, created_at=now)
    )


async def take_login_link(connection: AsyncConnection, hash: str, now: datetime) -> UserId | None:
    """Whose link it is, if it still works; it does not afterwards, whoever asks at the same time."""
    taken = (
        sa.delete(login_links)
        .where(login_links.c.hash == hash)
        .returning(login_links.c.user_id, login_links.c.expires_at)
    )
    row = (await connection.execute(taken)).one_or_none()
    return UserId(row.user_id) if row is not None and row.expires_at > now else None


# --- signing keys ------


async def signing_key_rows(connection: AsyncConnection) -> list[Any]:
    """All keys, newest first: ``kid algorithm public_jwk sealed_private_jwk created_at retired_at``."""
    return list(await connection.execute(sa.select(signing_keys).order_by(signing_keys.c.created_at.desc())))


async def insert_signing_key(
    connection: AsyncConnection, *, kid: str, algorithm: str, public_jwk: dict[str, Any], sealed: bytes, now: datetime
) -> None:
    await connection.execute(
        signing_keys.insert().values(
            kid=kid, algorithm=algorithm, public_jwk=public_jwk, sealed_private_jwk=sealed, created_at=now
        )
    )
