"""Copies of public roots in the Kubo node: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, insert_into, metadata
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.models import CopyChanges, CopyState, KuboCopy
from af.storage.store import content_roots

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

_ROOTS_AT_ONCE = 500  # below every SQLite's limit of variables
_HERE = (CopyState.WANTED.value, CopyState.PINNED.value, CopyState.ANNOUNCED.value)
_NOT_HERE = (CopyState.LEAVING.value, CopyState.GONE.value)
_is_public = sa.and_(content_roots.c.public.is_(True), content_roots.c.kind != "upload")
_held = sa.exists().where(content_roots.c.cid == kubo_copies.c.root, _is_public)


async def changes(connection: AsyncConnection, limit: int) -> CopyChanges:
    """Where the rows do not say what the public roots say, ``limit`` of each at most."""
    known = sa.exists().where(kubo_copies.c.root == content_roots.c.cid)
    fresh = sa.select(content_roots.c.cid).where(_is_public, ~known).distinct().limit(limit)
    again = sa.select(kubo_copies.c.root).where(kubo_copies.c.state.in_(_NOT_HERE), _held).limit(limit)
    unheld = sa.select(kubo_copies.c.root).where(kubo_copies.c.state.in_(_HERE), ~_held).limit(limit)

    async def roots(query: sa.Select[Any]) -> tuple[CID, ...]:
        return tuple(cids.parse(text) for (text,) in await connection.execute(query))

    return CopyChanges(fresh=await roots(fresh), again=await roots(again), unheld=await roots(unheld))


async def want(connection: AsyncConnection, roots: Iterable[CID], now: datetime) -> None:
    """Copies of roots that have none, or none any more."""
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
        again = row.on_conflict_do_update(
            index_elements=["root"],
            set_={
                "state": CopyState.WANTED.value,
                "attempts": 0,
                "turn": kubo_copies.c.turn + 1,
                "error": "",
                "due_at": now,
                "updated_at": now,
            },
            where=kubo_copies.c.state.in_(_NOT_HERE),
        )
        await connection.execute(again)


async def let_go(connection: AsyncConnection, roots: Sequence[CID], now: datetime) -> None:
    """Take back the copies of those roots that nothing public holds."""
    if roots:
        await _become(
            connection,
            roots,
            CopyState.LEAVING,
            now=now,
            due_at=now,
            only=sa.and_(kubo_copies.c.state.in_(_HERE), ~_held),
        )


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
    only = kubo_copies.c.turn == turn if turn is not None else sa.true()
    await _become(connection, roots, state, now=now, due_at=due_at, attempts=attempts, error=error, only=only)


async def _become(
    connection: AsyncConnection,
    roots: Sequence[CID],
    state: CopyState,
    *,
    now: datetime,
    due_at: datetime | None,
    attempts: int = 0,
    error: str = "",
    only: sa.ColumnElement[bool],
) -> None:
    values = {"state": state.value, "due_at": due_at, "attempts": attempts, "error": error, "updated_at": now}
    for start in range(0, len(roots), _ROOTS_AT_ONCE):
        named = [cids.to_text(root) for root in roots[start : start + _ROOTS_AT_ONCE]]
        change = sa.update(kubo_copies).where(kubo_copies.c.root.in_(named), only)
        await connection.execute(change.values(**values, turn=kubo_copies.c.turn + 1))


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
