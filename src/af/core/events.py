"""Events that lose nothing: rows first, wake-ups second.

`publish` writes a row in the caller's transaction; `stream` replays rows after a given id and then follows live ones.
Ids rise in commit order on both databases (SQLite has one writer; on PostgreSQL publishers take an advisory
lock until their commit), so a reader that has seen id N never has to look below N again. Rows are kept for
``AF_EVENTS_KEEP_SECONDS``; a reader that was away for longer is told so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import InvalidInput
from af.core.ids import ProjectId

BATCH_ROWS = 200
LOOK_SECONDS = 1.0
"""Longest time between two looks at the rows while nothing rings (another machine may have written)."""
_PUBLISH_LOCK = 0x6166_0001  # the key of PostgreSQL's advisory lock

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("ix_events_project_id_topic_id", "project_id", "topic", "id"),
    sa.Index("ix_events_created_at", "created_at"),
    sqlite_autoincrement=True,
)


class EventsGone(InvalidInput):
    """The id to resume from is older than what is kept, so events were missed."""

    code = "events_gone"
    number = 1103
    explain = "The stream cannot resume from that id: older events have been removed. Read the state again and resume."


@dataclass(frozen=True, slots=True)
class Event:
    """One stored event. ``topic`` names its subject, ``deployment:<id>`` for example."""

    id: int
    project_id: ProjectId
    topic: str
    kind: str
    data: Mapping[str, Any]
    created_at: datetime


async def publish(ctx: Context, *, project_id: ProjectId, topic: str, kind: str, data: Mapping[str, Any]) -> None:
    """Record an event in the caller's transaction; listeners wake after its commit."""
    async with ctx.transaction() as tx:
        if tx.dialect.name == "postgresql":
            await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_PUBLISH_LOCK)))
        await tx.execute(
            events.insert().values(project_id=project_id, topic=topic, kind=kind, data=dict(data), created_at=ctx.now)
        )
        ctx.ring("events")


async def recorded(
    ctx: Context, *, project_id: ProjectId, topic: str | None = None, after: int = 0, limit: int = BATCH_ROWS
) -> list[Event]:
    """Stored events with an id above ``after``, oldest first, at most ``limit``."""
    async with ctx.reading() as connection:
        return await _rows(connection, project_id, topic, after, limit)


async def stream(
    ctx: Context, *, project_id: ProjectId, topic: str | None = None, after: int | None = None
) -> AsyncIterator[Event]:
    """Events after the id ``after`` (`None`: from now on), then live ones until the consumer stops.

    A slow consumer costs nothing: rows are read in batches as it asks for them. The caller authorises.

    :raises EventsGone: events after ``after`` have been removed already.
    """
    async with ctx.reading() as connection:
        lowest, highest = (
            await connection.execute(sa.select(sa.func.min(events.c.id), sa.func.max(events.c.id)))
        ).one()
    if after is None:
        after = highest or 0
    elif after > 0 and lowest is not None and after < lowest - 1:
        raise EventsGone("Events after that id are no longer kept.", hint="Start again without Last-Event-ID.")
    bell = ctx.platform.bell
    while True:
        seen = bell.read("events")
        async with ctx.reading() as connection:
            batch = await _rows(connection, project_id, topic, after, BATCH_ROWS)
        for event in batch:
            yield event
            after = event.id
        if len(batch) < BATCH_ROWS:
            await bell.wait("events", seen, LOOK_SECONDS)


async def prune(ctx: Context) -> int:
    """Remove events older than ``AF_EVENTS_KEEP_SECONDS``; returns how many."""
    oldest = ctx.now - timedelta(seconds=ctx.settings.events_keep_seconds)
    async with ctx.transaction() as tx:
        # The newest row stays, so that ids keep rising and "after" can always be compared.
        newest = sa.select(sa.func.max(events.c.id)).scalar_subquery()
        done = await tx.execute(sa.delete(events).where(events.c.created_at < oldest, events.c.id < newest))
        return done.rowcount


async def _rows(
    connection: AsyncConnection, project_id: ProjectId, topic: str | None, after: int, limit: int
) -> list[Event]:
    query = sa.select(events).where(events.c.project_id == project_id, events.c.id > after)
    if topic is not None:
        query = query.where(events.c.topic == topic)
    found = await connection.execute(query.order_by(events.c.id).limit(limit))
    return [Event(r.id, ProjectId(r.project_id), r.topic, r.kind, r.data, r.created_at) for r in found]
