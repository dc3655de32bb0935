"""Access tokens: every SQL statement that touches them. Only their SHA-256 is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import AccessToken
from af.auth.store.users import users
from af.core.db import Timestamp, metadata
from af.core.ids import ProjectId, TokenId, TrustRuleId, UserId

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
    sa.Column("made_by", sa.Text, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
)
"""Revoked rows stay for a while: they count in the day's allowance and the audit log points at them."""


async def insert_token(
    connection: AsyncConnection, token: AccessToken, hash: str, *, made_by: TrustRuleId | None = None
) -> None:
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
            made_by=made_by,
        )
    )


async def live_token_by_hash(connection: AsyncConnection, hash: str) -> AccessToken | None:
    """The token, unless it was revoked or its user is about to be deleted; it may have expired."""
    row = (await connection.execute(_LIVE_BY_HASH, {"hash": hash})).one_or_none()
    return _token(row) if row else None


async def live_token_by_id(connection: AsyncConnection, token_id: TokenId) -> AccessToken | None:
    """As `live_token_by_hash`."""
    row = (await connection.execute(_LIVE_BY_ID, {"id": token_id})).one_or_none()
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


async def lock_owner(connection: AsyncConnection, user_id: UserId) -> None:
    """One change of this user's tokens at a time, until the end of the transaction. (SQLite has one writer anyway.)"""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())


async def has_name(connection: AsyncConnection, user_id: UserId, name: str, now: datetime) -> bool:
    """Whether the user has a token of this name that works."""
    query = sa.select(sa.func.count()).where(
        access_tokens.c.user_id == user_id,
        access_tokens.c.name == name,
        access_tokens.c.revoked_at.is_(None),
        sa.or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now),
    )
    return (await connection.execute(query)).scalar_one() > 0


async def count_active(connection: AsyncConnection, user_id: UserId, now: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        access_tokens.c.user_id == user_id,
        access_tokens.c.revoked_at.is_(None),
        sa.or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now),
    )
    return (await connection.execute(query)).scalar_one()


async def revoke_token(connection: AsyncConnection, token_id: TokenId, now: datetime) -> None:
    await connection.execute(sa.update(access_tokens).where(access_tokens.c.id == token_id).values(revoked_at=now))


async def revoke_made_by(connection: AsyncConnection, rule_id: TrustRuleId, now: datetime) -> list[TokenId]:
    """End the tokens that a trust rule gave; those that ended just now."""
    return await _revoke(connection, access_tokens.c.made_by == rule_id, now)


async def revoke_in_project(
    connection: AsyncConnection, user_id: UserId, project_id: ProjectId, now: datetime
) -> list[TokenId]:
    """End a user's tokens that are limited to a project; those that ended just now."""
    which = sa.and_(access_tokens.c.user_id == user_id, access_tokens.c.project_id == project_id)
    return await _revoke(connection, which, now)


async def _revoke(connection: AsyncConnection, which: sa.ColumnElement[bool], now: datetime) -> list[TokenId]:
    ended = (
        sa.update(access_tokens)
        .where(which, access_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(access_tokens.c.id)
    )
    return [TokenId(row.id) for row in await connection.execute(ended)]


async def touch_token(connection: AsyncConnection, token_id: TokenId, now: datetime) -> None:
    await connection.execute(sa.update(access_tokens).where(access_tokens.c.id == token_id).values(last_used_at=now))


_LIVE = (
    sa.select(access_tokens)
    .join(users, users.c.id == access_tokens.c.user_id)
    .where(access_tokens.c.revoked_at.is_(None), users.c.deletes_at.is_(None))
)
_LIVE_BY_HASH = _LIVE.where(access_tokens.c.hash == sa.bindparam("hash"))
_LIVE_BY_ID = _LIVE.where(access_tokens.c.id == sa.bindparam("id"))


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
