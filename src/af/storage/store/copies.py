"""Copies of public roots in the Kubo node: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.models import CopyChanges, CopyState, KuboCopy
from af.storage.store import content_roots, insert_into

kubo_copies = sa.Table(
    "kubo_copies",
    metadata,
    sa.Column("root", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("due_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Index(None, "due_at"),
)
"""``due_at``: when something is to be done next, if anything is. ``turn`` counts changes: each run has its own."""

_HERE = (CopyState.WANTED.value, CopyState.PINNED.value, CopyState.ANNOUNCED.value)
_NOT_HERE = (CopyState.LEAVING.value, CopyState.GONE.value)
_is_public = sa.and_(content_roots.c.public.is_(True), content_roots.c.kind != "upload")


async def changes(connection: AsyncConnection, limit: int) -> CopyChanges:
    """Where the rows do not say what the public roots say, ``limit`` of each at most."""
    held = sa.exists().where(content_roots.c.cid == kubo_copies.c.root, _is_public)
    known = sa.exists().where(kubo_copies.c.root == content_roots.c.cid)
    fresh = sa.select(content_roots.c.cid).where(_is_public, ~known).distinct().limit(limit)
    again = sa.select(kubo_copies.c.root).where(kubo_copies.c.state.in_(_NOT_HERE), held).limit(limit)
    unheld = sa.select(kubo_copies.c.root).where(kubo_copies.c.state.in_(_HERE), ~held).limit(limit)

    async def roots(query: sa.Select[Any]) -> tuple[CID, ...]:
        return tuple(cids.parse(text) for (text,) in await connection.execute(query))

    return CopyChanges(fresh=await roots(fresh), again=await roots(again), unheld=await roots(unheld))


async def want(connection: AsyncConnection, roots: Iterable[CID], now: datetime) -> None:
    """Rows for roots that have none."""
    for root in roots:
        row = insert_into(connection, kubo_copies).values(
            root=cids.to_text(root),
            state=CopyState.WANTED.value,
            attempts=0,
            turn=0,
            error="",
            due_at=now,
            created_at=now,
            updated_at=now,
        )
        await connection.execute(row.on_conflict_do_nothing(index_elements=["root"]))


async def become(
    connection: AsyncConnection,
    roots: Sequence[CID],
    state: CopyState,
    *,
    now: datetime,
    due_at: datetime | None,
    attempts: int = 0,
    error: str = "",
    turn: int | None = None,
) -> None:
    """Change rows. With ``turn`` only those that nobody has changed since."""
    change = sa.update(kubo_copies).where(kubo_copies.c.root.in_(list(map(cids.to_text, roots))))
    if turn is not None:
        change = change.where(kubo_copies.c.turn == turn)
    await connection.execute(
        change.values(
            state=state.value,
            due_at=due_at,
            attempts=attempts,
            error=error,
            turn=kubo_copies.c.turn + 1,
            updated_at=now,
        )
    )


async def get(connection: AsyncConnection, root: CID) -> KuboCopy | None:
    row = (await connection.execute(sa.select(kubo_copies).where(kubo_copies.c.root == cids.to_text(root)))).first()
    return None if row is None else _copy(row)


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[KuboCopy]:
    """Those to be worked on, the longest waiting first."""
    query = sa.select(kubo_copies).where(kubo_copies.c.due_at <= now).order_by(kubo_copies.c.due_at).limit(limit)
    return [_copy(row) for row in await connection.execute(query)]


async def in_states(
    connection: AsyncConnection, states: Sequence[CopyState], *, after: CID | None, limit: int
) -> list[KuboCopy]:
    """In the order of their roots' texts, a page at a time."""
    query = sa.select(kubo_copies).where(kubo_copies.c.state.in_([state.value for state in states]))
    if after is not None:
        query = query.where(kubo_copies.c.root > cids.to_text(after))
    return [_copy(row) for row in await connection.execute(query.order_by(kubo_copies.c.root).limit(limit))]


async def delete_gone(connection: AsyncConnection, before: datetime) -> None:
    gone = kubo_copies.c.state == CopyState.GONE.value
    await connection.execute(sa.delete(kubo_copies).where(gone, kubo_copies.c.updated_at <= before))


def _copy(row: Any) -> KuboCopy:
    return KuboCopy(
        root=cids.parse(row.root),
        state=CopyState(row.state),
        attempts=row.attempts,
        turn=row.turn,
        error=row.error,
        created_at=row.created_at,
    )
