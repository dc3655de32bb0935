"""Trust rules, by which pipelines sign in: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.auth.models import TrustRule
from af.core.db import Timestamp, metadata
from af.core.ids import ProjectId, TrustRuleId, UserId

trust_rules = sa.Table(
    "trust_rules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False, index=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("issuer", sa.Text, nullable=False, index=True),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("claims", sa.JSON, nullable=False),
    sa.Column("scopes", sa.JSON(none_as_null=True)),
    sa.Column("life_seconds", sa.Integer, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("last_used_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
)


async def insert(connection: AsyncConnection, rule: TrustRule) -> None:
    await connection.execute(
        trust_rules.insert().values(
            id=rule.id,
            project_id=rule.project_id,
            user_id=rule.user_id,
            name=rule.name,
            issuer=rule.issuer,
            audience=rule.audience,
            subject=rule.subject,
            claims=dict(rule.claims),
            scopes=None if rule.scopes is None else sorted(rule.scopes),
            life_seconds=int(rule.life.total_seconds()),
            created_by=rule.created_by,
            created_at=rule.created_at,
        )
    )


async def by_issuer(connection: AsyncConnection, issuer: str, *, limit: int) -> list[TrustRule]:
    """The rules that trust this issuer, oldest first."""
    query = sa.select(trust_rules).where(trust_rules.c.issuer == issuer).order_by(trust_rules.c.id).limit(limit)
    return [_rule(row) for row in await connection.execute(query)]


async def of_project(connection: AsyncConnection, project_id: ProjectId) -> list[TrustRule]:
    query = sa.select(trust_rules).where(trust_rules.c.project_id == project_id).order_by(trust_rules.c.id)
    return [_rule(row) for row in await connection.execute(query)]


async def by_id(connection: AsyncConnection, rule_id: TrustRuleId) -> TrustRule | None:
    row = (await connection.execute(sa.select(trust_rules).where(trust_rules.c.id == rule_id))).one_or_none()
    return _rule(row) if row else None


async def delete(connection: AsyncConnection, rule_ids: Sequence[TrustRuleId]) -> None:
    await connection.execute(sa.delete(trust_rules).where(trust_rules.c.id.in_(rule_ids)))


async def delete_of(connection: AsyncConnection, user_id: UserId, project_id: ProjectId) -> None:
    """The rules of a project by which pipelines act as this user."""
    mine = sa.and_(trust_rules.c.user_id == user_id, trust_rules.c.project_id == project_id)
    await connection.execute(sa.delete(trust_rules).where(mine))


async def note_use(connection: AsyncConnection, rule_id: TrustRuleId, now: datetime) -> bool:
    """False when the rule is gone meanwhile."""
    used = sa.update(trust_rules).where(trust_rules.c.id == rule_id).values(last_used_at=now)
    return (await connection.execute(used)).rowcount == 1


def _rule(row: Any) -> TrustRule:
    return TrustRule(
        id=TrustRuleId(row.id),
        project_id=ProjectId(row.project_id),
        user_id=UserId(row.user_id),
        name=row.name,
        issuer=row.issuer,
        audience=row.audience,
        subject=row.subject,
        claims=row.claims,
        scopes=None if row.scopes is None else frozenset(row.scopes),
        life=timedelta(seconds=row.life_seconds),
        created_by=UserId(row.created_by),
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )
