"""Ways to sign in: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import LoginMethod
from af.core.db import Timestamp, metadata
from af.core.ids import MethodId, UserId

login_methods = sa.Table(
    "login_methods",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("is_primary", sa.Boolean, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("last_used_at", Timestamp()),
    sa.UniqueConstraint("method", "subject"),
)


async def insert(connection: AsyncConnection, method: LoginMethod) -> bool:
    """False when somebody has this method and subject already."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {
        "id": method.id,
        "user_id": method.user_id,
        "method": method.method,
        "subject": method.subject,
        "label": method.label,
        "is_primary": method.primary,
        "data": dict(method.data),
        "created_at": method.created_at,
        "last_used_at": method.last_used_at,
    }
    done = await connection.execute(dialect.insert(login_methods).values(row).on_conflict_do_nothing())
    return done.rowcount == 1


async def by_subject(connection: AsyncConnection, method: str, subject: str) -> LoginMethod | None:
    query = sa.select(login_methods).where(login_methods.c.method == method, login_methods.c.subject == subject)
    row = (await connection.execute(query)).one_or_none()
    return _method(row) if row else None


async def of_user(connection: AsyncConnection, user_id: UserId) -> list[LoginMethod]:
    """A user's ways in, oldest first; in a transaction, locked until its end (where the database has row locks)."""
    query = sa.select(login_methods).where(login_methods.c.user_id == user_id).order_by(login_methods.c.id)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    return [_method(row) for row in await connection.execute(query)]


async def note_use(connection: AsyncConnection, method_id: MethodId, data: Mapping[str, Any], now: datetime) -> None:
    await connection.execute(
        sa.update(login_methods).where(login_methods.c.id == method_id).values(data=dict(data), last_used_at=now)
    )


async def set_primary(connection: AsyncConnection, user_id: UserId, method_id: MethodId) -> None:
    """The user's one primary method."""
    await connection.execute(
        sa.update(login_methods)
        .where(login_methods.c.user_id == user_id)
        .values(is_primary=login_methods.c.id == method_id)
    )


async def delete(connection: AsyncConnection, method_id: MethodId) -> None:
    await connection.execute(sa.delete(login_methods).where(login_methods.c.id == method_id))


def _method(row: Any) -> LoginMethod:
    return LoginMethod(
        id=MethodId(row.id),
        user_id=UserId(row.user_id),
        method=row.method,
        subject=row.subject,
        label=row.label,
        primary=row.is_primary,
        data=row.data,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
