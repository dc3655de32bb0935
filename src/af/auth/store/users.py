"""People: every SQL statement that touches their rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import User, UserKind
from af.core.db import Timestamp, metadata
from af.core.ids import UserId

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("username", sa.Text, nullable=False, unique=True),
    sa.Column("email", sa.Text, unique=True),
    sa.Column("operator", sa.Boolean, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="person"),
    sa.Column("display_name", sa.Text),
    sa.Column("avatar_url", sa.Text),
    sa.Column("last_login_at", Timestamp()),
    sa.Column("deletes_at", Timestamp(), index=True),
    sa.Column("erased_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
)


async def insert_user(connection: AsyncConnection, user: User) -> bool:
    """False when the user name or e-mail address is taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "operator": user.operator,
        "kind": user.kind.value,
        "display_name": user.display_name,
        "avatar_url": user.avatar_url,
        "last_login_at": user.last_login_at,
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
    return User(
        id=UserId(row.id),
        username=row.username,
        email=row.email,
        operator=row.operator,
        created_at=row.created_at,
        updated_at=row.updated_at,
        kind=UserKind(row.kind),
        display_name=row.display_name,
        avatar_url=row.avatar_url,
        last_login_at=row.last_login_at,
        deletes_at=row.deletes_at,
    )


async def user_by_email(connection: AsyncConnection, email: str) -> User | None:
    """Whose proven address it is, in its normal form."""
    row = (await connection.execute(sa.select(users).where(users.c.email == email))).one_or_none()
    return _user(row) if row else None


async def set_email(connection: AsyncConnection, user_id: UserId, email: str | None, now: datetime) -> None:
    await connection.execute(sa.update(users).where(users.c.id == user_id).values(email=email, updated_at=now))


async def lock(connection: AsyncConnection, user_id: UserId) -> None:
    """Until the end of the transaction, others that lock this user wait (SQLite has one writer anyhow)."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())


async def set_profile(
    connection: AsyncConnection, user_id: UserId, display_name: str | None, avatar_url: str | None, now: datetime
) -> None:
    changed = {"display_name": display_name, "avatar_url": avatar_url, "updated_at": now}
    await connection.execute(sa.update(users).where(users.c.id == user_id).values(**changed))


async def set_deletes_at(
    connection: AsyncConnection, user_id: UserId, deletes_at: datetime | None, now: datetime
) -> bool:
    """False when the account was erased."""
    changed = (
        sa.update(users)
        .where(users.c.id == user_id, users.c.erased_at.is_(None))
        .values(deletes_at=deletes_at, updated_at=now)
    )
    return (await connection.execute(changed)).rowcount == 1


async def due_for_deletion(
    connection: AsyncConnection, now: datetime, *, after: UserId | None, limit: int
) -> list[UserId]:
    """Whose account ended and still has something personal; ``after`` is the last id of the page before."""
    query = sa.select(users.c.id).where(users.c.deletes_at <= now, users.c.erased_at.is_(None))
    if after is not None:
        query = query.where(users.c.id > after)
    return [UserId(row.id) for row in await connection.execute(query.order_by(users.c.id).limit(limit))]


async def anonymise(connection: AsyncConnection, user_id: UserId, username: str, now: datetime) -> bool:
    """Nothing personal stays in the row; false when the account was restored meanwhile."""
    nothing = {"email": None, "display_name": None, "avatar_url": None, "last_login_at": None, "operator": False}
    erased = (
        sa.update(users)
        .where(users.c.id == user_id, users.c.deletes_at <= now, users.c.erased_at.is_(None))
        .values(username=username, updated_at=now, erased_at=now, **nothing)
    )
    return (await connection.execute(erased)).rowcount == 1
