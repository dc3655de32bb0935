"""Policies and copies: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core import ids
from af.core.db import Timestamp, insert_into, metadata
from af.core.ids import CopyId, ProjectId, SiteId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication.models import Copy, CopyState, Cost, Policy, Receipt

policies = sa.Table(
    "replication_policies",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Text, primary_key=True),
    sa.Column("providers", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
)
"""``site_id`` is empty for the project's own policy."""

copies = sa.Table(
    "replicas",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("root", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("cost", sa.JSON),
    sa.Column("car_bytes", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("blocks_proved", sa.Integer, nullable=False),
    sa.Column("proved_at", Timestamp()),
    sa.Column("unwanted_at", Timestamp()),
    sa.Column("due_at", Timestamp(), nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.UniqueConstraint("project_id", "root", "provider"),
    sa.Index(None, "due_at"),
)


class Wanted(NamedTuple):
    """A copy that a policy asks for."""

    root: CID
    name: str
    provider: str


# Policies


async def put_policy(connection: AsyncConnection, policy: Policy) -> None:
    insert = insert_into(connection, policies).values(
        project_id=policy.project_id,
        site_id=policy.site_id or "",
        providers=list(policy.providers),
        created_at=policy.created_at,
        updated_at=policy.updated_at,
    )
    replaced = {"providers": insert.excluded.providers, "updated_at": insert.excluded.updated_at}
    await connection.execute(insert.on_conflict_do_update(index_elements=["project_id", "site_id"], set_=replaced))


async def delete_policy(connection: AsyncConnection, project_id: str, site_id: str | None) -> bool:
    """Whether there was one."""
    gone = sa.delete(policies).where(policies.c.project_id == project_id, policies.c.site_id == (site_id or ""))
    return (await connection.execute(gone)).rowcount > 0


async def policies_of(connection: AsyncConnection, project_id: str) -> list[Policy]:
    """The project's own first, then those of its sites."""
    query = sa.select(policies).where(policies.c.project_id == project_id).order_by(policies.c.site_id)
    return [_policy(row) for row in await connection.execute(query)]


async def projects_after(connection: AsyncConnection, after: str, limit: int) -> list[ProjectId]:
    """Projects that have a policy or copies, in order, a page at a time."""
    having = sa.union(sa.select(policies.c.project_id), sa.select(copies.c.project_id)).subquery()
    query = sa.select(having.c.project_id).where(having.c.project_id > after).order_by(having.c.project_id)
    return [ProjectId(row.project_id) for row in await connection.execute(query.limit(limit))]


def _policy(row: Any) -> Policy:
    return Policy(
        project_id=ProjectId(row.project_id),
        site_id=SiteId(row.site_id) if row.site_id else None,
        providers=tuple(row.providers),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


# Copies


async def wanted_keys(connection: AsyncConnection, project_id: str) -> set[tuple[str, str]]:
    """(root, provider) of the project's copies that are wanted."""
    query = sa.select(copies.c.root, copies.c.provider).where(
        copies.c.project_id == project_id, copies.c.unwanted_at.is_(None)
    )
    return {(row.root, row.provider) for row in await connection.execute(query)}


async def want(connection: AsyncConnection, project_id: str, wanted: Iterable[Wanted], now: datetime) -> None:
    """Rows for copies; one that was let go is wanted again as it is."""
    rows = [
        {
            "id": ids.new(ids.COPY, now),
            "project_id": project_id,
            "root": cids.to_text(each.root),
            "provider": each.provider,
            "name": each.name,
            "state": CopyState.WANTED,
            "ref": "",
            "url": "",
            "detail": "",
            "car_bytes": 0,
            "attempts": 0,
            "turn": 0,
            "error": "",
            "blocks_proved": 0,
            "due_at": now,
            "created_at": now,
            "updated_at": now,
        }
        for each in wanted
    ]
    insert = insert_into(connection, copies)
    again = insert.on_conflict_do_update(
        index_elements=["project_id", "root", "provider"], set_={"unwanted_at": None, "updated_at": now}
    )
    await connection.execute(again, rows)


async def let_go(
    connection: AsyncConnection, project_id: str, keys: Iterable[tuple[str, str]], now: datetime, due_at: datetime
) -> None:
    """Copies that nothing wants any more; they are due when their time to be kept is over."""
    for root, provider in keys:
        change = sa.update(copies).where(
            copies.c.project_id == project_id, copies.c.root == root, copies.c.provider == provider
        )
        await connection.execute(change.values(unwanted_at=now, due_at=due_at, updated_at=now))


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[Copy]:
    query = sa.select(copies).where(copies.c.due_at <= now).order_by(copies.c.due_at).limit(limit)
    return [_copy(row) for row in await connection.execute(query)]


async def get(connection: AsyncConnection, copy_id: str) -> Copy | None:
    row = (await connection.execute(sa.select(copies).where(copies.c.id == copy_id))).first()
    return None if row is None else _copy(row)


async def of_project(
    connection: AsyncConnection, project_id: str, *, root: CID | None, after: str | None, limit: int
) -> list[Copy]:
    """Oldest first, those behind the id ``after``."""
    query = sa.select(copies).where(copies.c.project_id == project_id).order_by(copies.c.id).limit(limit)
    if root is not None:
        query = query.where(copies.c.root == cids.to_text(root))
    if after is not None:
        query = query.where(copies.c.id > after)
    return [_copy(row) for row in await connection.execute(query)]


async def save(connection: AsyncConnection, copy: Copy) -> bool:
    """The row after a run, if no other run has changed it meanwhile: its turn is one higher then."""
    receipt = copy.receipt
    change = sa.update(copies).where(copies.c.id == copy.id, copies.c.turn == copy.turn)
    values: dict[str, Any] = {
        "state": copy.state,
        "ref": receipt.ref if receipt else "",
        "url": receipt.url if receipt else "",
        "detail": receipt.detail if receipt else "",
        "cost": _cost_json(copy.cost),
        "car_bytes": copy.car_bytes,
        "attempts": copy.attempts,
        "turn": copy.turn + 1,
        "error": copy.error,
        "blocks_proved": copy.blocks_proved,
        "proved_at": copy.proved_at,
        "due_at": copy.due_at,
        "updated_at": copy.updated_at,
    }
    return (await connection.execute(change.values(**values))).rowcount > 0


async def delete(connection: AsyncConnection, copy: Copy) -> None:
    await connection.execute(sa.delete(copies).where(copies.c.id == copy.id, copies.c.unwanted_at.is_not(None)))


async def make_due(connection: AsyncConnection, project_id: str, root: CID, now: datetime) -> int:
    """The project's wanted copies of a root; how many there are."""
    change = sa.update(copies).where(
        copies.c.project_id == project_id, copies.c.root == cids.to_text(root), copies.c.unwanted_at.is_(None)
    )
    return (await connection.execute(change.values(due_at=now))).rowcount


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """Wanted copies by state."""
    query = sa.select(copies.c.state, sa.func.count()).where(copies.c.unwanted_at.is_(None)).group_by(copies.c.state)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def oldest_wanted(connection: AsyncConnection) -> datetime | None:
    """When the longest-waiting copy that is not stored yet was first wanted."""
    query = sa.select(sa.func.min(copies.c.created_at)).where(
        copies.c.unwanted_at.is_(None), copies.c.state.not_in((CopyState.STORED, CopyState.FINAL))
    )
    found: datetime | None = (await connection.execute(query)).scalar()
    return found


def _copy(row: Any) -> Copy:
    state = CopyState(row.state)
    receipt = Receipt(ref=row.ref, state=state, url=row.url, detail=row.detail) if row.ref else None
    return Copy(
        id=CopyId(row.id),
        project_id=ProjectId(row.project_id),
        root=cids.parse(row.root),
        name=row.name,
        provider=row.provider,
        state=state,
        receipt=receipt,
        cost=None if row.cost is None else Cost(**row.cost),
        car_bytes=row.car_bytes,
        attempts=row.attempts,
        turn=row.turn,
        error=row.error,
        blocks_proved=row.blocks_proved,
        proved_at=row.proved_at,
        unwanted_at=row.unwanted_at,
        due_at=row.due_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _cost_json(cost: Cost | None) -> dict[str, Any] | None:
    return None if cost is None else {"amount": cost.amount, "unit": cost.unit, "monthly": cost.monthly}
