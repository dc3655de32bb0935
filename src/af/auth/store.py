"""Users and their credentials: every SQL statement that touches them. Credentials are kept as SHA-256 only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import AccessToken, Session, User
from af.core.db import Timestamp, metadata
from af.core.ids import ProjectId, SessionId, TokenId, UserId

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("username", sa.Text, nullable=False, unique=True),
    sa.Column("email", sa.Text, unique=True),
    sa.Column("operator", sa.Boolean, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
)

access_tokens = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("masked", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("scopes", sa.JSON(none_as_null=True)),
    sa.Column("project_id", sa.Text),
    sa.Column("expires_at", Timestamp()),
    sa.Column("last_used_at", Timestamp()),
    sa.Column("revoked_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
)
"""Revoked rows stay for a while: they count in the day's allowance and the audit log points at them."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
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


# --- users ----------------------------------------------------------------------------------------------------------


async def insert_user(connection: AsyncConnection, user: User) -> bool:
    """False when the user name or e-mail address is taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "operator": user.operator,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
    done = await connection.execute(dialect.insert(users).values(row).on_conflict_do_nothing())
    return done.rowcount == 1


async def users_by_id(connection: AsyncConnection, user_ids: Sequence[UserId]) -> dict[UserId, User]:
    found = await connection.execute(_USERS_BY_ID, {"ids": list(user_ids)})
    return {UserId(row.id): _user(row) for row in found}


_USERS_BY_ID = sa.select(users).where(users.c.id.in_(sa.bindparam("ids", expanding=True)))


async def user_by_name(connection: AsyncConnection, name: str) -> User | None:
    """By user name or e-mail address, whatever the case."""
    lowered = name.strip().lower()
    query = sa.select(users).where(sa.or_(users.c.username == lowered, sa.func.lower(users.c.email) == lowered))
    row = (await connection.execute(query.limit(1))).one_or_none()
    return _user(row) if row else None


async def first_operator(connection: AsyncConnection) -> User | None:
    query = sa.select(users).where(users.c.operator).order_by(users.c.id).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return _user(row) if row else None


def _user(row: Any) -> User:
    return User(UserId(row.id), row.username, row.email, row.operator, row.created_at, row.updated_at)


# --- access tokens --------------------------------------------------------------------------------------------------


async def insert_token(connection: AsyncConnection, token: AccessToken, hash: str) -> None:
    await connection.execute(
        access_tokens.insert().values(
            id=token.id,
            user_id=token.user_id,
            name=token.name,
            masked=token.masked,
            hash=hash,
            scopes=None if token.scopes is None else sorted(token.scopes),
            project_id=token.project_id,
            expires_at=token.expires_at,
            created_at=token.created_at,
        )
    )


async def token_by_hash(connection: AsyncConnection, hash: str) -> AccessToken | None:
    row = (await connection.execute(_BY_HASH, {"hash": hash})).one_or_none()
    return _token(row) if row else None


async def token_by_id(connection: AsyncConnection, token_id: TokenId) -> AccessToken | None:
    row = (await connection.execute(sa.select(access_tokens).where(access_tokens.c.id == token_id))).one_or_none()
    return _token(row) if row else None


async def tokens_of(
    connection: AsyncConnection, user_id: UserId, now: datetime, *, after: TokenId | None, limit: int
) -> list[AccessToken]:
    """The user's tokens that are not revoked, newest first; ``after`` is the last id of the page before."""
    query = sa.select(access_tokens).where(access_tokens.c.user_id == user_id, access_tokens.c.revoked_at.is_(None))
    if after is not None:
        query = query.where(access_tokens.c.id < after)
    return [_token(row) for row in await connection.execute(query.order_by(access_tokens.c.id.desc()).limit(limit))]


async def creation_times(connection: AsyncConnection, user_id: UserId, since: datetime) -> list[datetime]:
    """When the user's tokens since then were made, revoked ones too, oldest first."""
    query = sa.select(access_tokens.c.created_at).where(
        access_tokens.c.user_id == user_id, access_tokens.c.created_at > since
    )
    return list((await connection.execute(query.order_by(access_tokens.c.created_at))).scalars())


async def count_active(connection: AsyncConnection, user_id: UserId, now: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        access_tokens.c.user_id == user_id,
        access_tokens.c.revoked_at.is_(None),
        sa.or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now),
    )
    return (await connection.execute(query)).scalar_one()


async def revoke_token(connection: AsyncConnection, token_id: TokenId, now: datetime) -> None:
    await connection.execute(sa.update(access_tokens).where(access_tokens.c.id == token_id).values(revoked_at=now))


async def touch_token(connection: AsyncConnection, token_id: TokenId, now: datetime) -> None:
    await connection.execute(sa.update(access_tokens).where(access_tokens.c.id == token_id).values(last_used_at=now))


_BY_HASH = sa.select(access_tokens).where(access_tokens.c.hash == sa.bindparam("hash"))


def _token(row: Any) -> AccessToken:
    return AccessToken(
        id=TokenId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        masked=row.masked,
        scopes=None if row.scopes is None else frozenset(row.scopes),
        project_id=None if row.project_id is None else ProjectId(row.project_id),
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        created_at=row.created_at,
    )


# --- sessions and login links ---------------------------------------------------------------------------------------


async def insert_session(connection: AsyncConnection, session: Session, hash: str) -> None:
    await connection.execute(
        sessions.insert().values(
            id=session.id,
            user_id=session.user_id,
            hash=hash,
            expires_at=session.expires_at,
            created_at=session.created_at,
        )
    )


async def session_by_hash(connection: AsyncConnection, hash: str) -> Session | None:
    row = (await connection.execute(sa.select(sessions).where(sessions.c.hash == hash))).one_or_none()
    if row is None:
        return None
    return Session(SessionId(row.id), UserId(row.user_id), row.expires_at, row.created_at)


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


async def prune(connection: AsyncConnection, now: datetime, keep_tokens: timedelta) -> int:
    """Delete what is over: sessions, links, and tokens revoked or expired longer than ``keep_tokens`` ago."""
    gone = 0
    before = now - keep_tokens
    for statement in (
        sa.delete(sessions).where(sessions.c.expires_at <= now),
        sa.delete(login_links).where(login_links.c.expires_at <= now),
        sa.delete(access_tokens).where(
            sa.or_(access_tokens.c.revoked_at < before, access_tokens.c.expires_at < before)
        ),
    ):
        gone += (await connection.execute(statement)).rowcount
    return gone


# --- signing keys ---------------------------------------------------------------------------------------------------


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
