"""Sessions and the one-time links that open them. Credentials are kept as SHA-256 only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import Session, SessionKind
from af.auth.store.users import users
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
"""A session that was ended has no row: what stands for it is then unknown."""

login_links = sa.Table(
    "login_links",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
)


_SESSIONS = sa.select(sessions, users.c.deletes_at).join(users, users.c.id == sessions.c.user_id)


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


async def note_login(connection: AsyncConnection, user_id: UserId, now: datetime) -> None:
    await connection.execute(sa.update(users).where(users.c.id == user_id).values(last_login_at=now))


async def session_by_hash(connection: AsyncConnection, hash: str) -> Session | None:
    row = (await connection.execute(_BY_HASH, {"hash": hash})).one_or_none()
    return _session(row) if row else None


async def session_by_id(connection: AsyncConnection, session_id: SessionId) -> Session | None:
    row = (await connection.execute(_BY_ID, {"id": session_id})).one_or_none()
    return _session(row) if row else None


async def lock_session(connection: AsyncConnection, session_id: SessionId) -> Session | None:
    """The session, unchanged by others until the end of the transaction (where the database has row locks)."""
    query = _BY_ID if connection.dialect.name == "sqlite" else _BY_ID.with_for_update(of=sessions)
    row = (await connection.execute(query, {"id": session_id})).one_or_none()
    return _session(row) if row else None


async def sessions_of(connection: AsyncConnection, user_id: UserId, now: datetime, limit: int) -> list[Session]:
    """The user's sessions that are not over, newest first."""
    query = _SESSIONS.where(sessions.c.user_id == user_id, sessions.c.expires_at > now)
    return [_session(row) for row in await connection.execute(query.order_by(sessions.c.id.desc()).limit(limit))]


async def note_seen(
    connection: AsyncConnection, session_id: SessionId, now: datetime, *, user_agent: str, address: str
) -> None:
    seen = {"user_agent": user_agent, "address": address, "last_seen_at": now}
    await connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(seen))


async def prolong(connection: AsyncConnection, session_id: SessionId, expires_at: datetime) -> None:
    await connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(expires_at=expires_at))


async def delete_session(connection: AsyncConnection, session_id: SessionId, user_id: UserId) -> bool:
    """End a session of this user, with its refresh tokens. False when there is none."""
    mine = (sessions.c.id == session_id, sessions.c.user_id == user_id)
    return (await connection.execute(sa.delete(sessions).where(*mine))).rowcount == 1


async def delete_sessions_of(
    connection: AsyncConnection, user_id: UserId, *, keep: SessionId | None
) -> list[SessionId]:
    """End all of the user's sessions but ``keep``; which they were."""
    gone = sa.delete(sessions).where(sessions.c.user_id == user_id)
    if keep is not None:
        gone = gone.where(sessions.c.id != keep)
    return [SessionId(row.id) for row in await connection.execute(gone.returning(sessions.c.id))]


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


_BY_HASH = _SESSIONS.where(sessions.c.hash == sa.bindparam("hash"))
_BY_ID = _SESSIONS.where(sessions.c.id == sa.bindparam("id"))


def _session(row: Any) -> Session:
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
        leaving=row.deletes_at is not None,
    )
