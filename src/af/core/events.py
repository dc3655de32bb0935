"""Events that lose nothing: rows first, wake-ups second.

`publish` writes a row in the caller's transaction; `stream` replays rows after a given id and then follows live ones.
Ids rise in commit order on both databases (SQLite has one writer; on PostgreSQL publishers take an advisory lock as
their last act before the commit), so a reader that has seen id N never has to look below N again. Rows are kept for
``AF_EVENTS_KEEP_SECONDS``; a reader that was away for longer is told so.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import InvalidInput, TooLarge
from af.core.ids import ProjectId

BATCH_ROWS = 50
DATA_BYTES_MAX = 32 << 10
"""Largest event; with `BATCH_ROWS` it bounds what one reader keeps in memory."""
PRUNE_ROWS = 1000
_LOOK_SECONDS = {"sqlite": 10.0, "postgresql": 1.0}
"""Longest time between two looks at the rows while nothing rings. On PostgreSQL another machine may have written."""
_PUBLISH_LOCK = 0x6166_0001  # the key of PostgreSQL's advisory lock
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

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

    def __init__(self, latest: int) -> None:
        super().__init__("Events after that id are no longer kept.", hint="Read the state again, then follow from now.")
        self.latest = latest
        """The id to resume after once the state has been read again."""


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
    """Record an event in the caller's transaction; its row is written just before the commit, and listeners wake after.

    :raises TooLarge: ``data`` has more than `DATA_BYTES_MAX` bytes as JSON.
    """
    assert _KIND.fullmatch(kind), "kinds are words: they become the event: line of a stream"
    size = len(msgspec.json.encode(data))
    if size > DATA_BYTES_MAX:
        raise TooLarge(f"An event of {size} bytes is too large (at most {DATA_BYTES_MAX}).")
    row = {"project_id": project_id, "topic": topic, "kind": kind, "data": dict(data), "created_at": ctx.now}

    async def write(connection: AsyncConnection) -> None:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PUBLISH_LOCK)))
        await connection.execute(events.insert().values(row))

    async with ctx.transaction():
        ctx.before_commit(write, order="events")
        ctx.ring("events")


async def recorded(
    ctx: Context, *, project_id: ProjectId, topic: str | None = None, after: int = 0, limit: int = BATCH_ROWS
) -> list[Event]:
    """Stored events with an id above ``after``, oldest first, at most ``limit``."""
    async with ctx.reading() as connection:
        return await _rows(connection, project_id, topic, after, limit)


async def stream(
    ctx: Context, *, project_id: ProjectId, topic: str | None = None, after: int | None = None
) -> AsyncGenerator[Event, None]:
    """Events after the id ``after`` (`None`: from now on), then live ones until the consumer stops.

    A slow consumer costs nothing: rows are read in batches as it asks for them. The caller authorises.

    :raises EventsGone: events after ``after`` have been removed already, or were never given out here.
    """
    async with ctx.reading() as connection:
        lowest, latest = (await connection.execute(sa.select(sa.func.min(events.c.id), sa.func.max(events.c.id)))).one()
    if after is None:
        after = latest or 0
    elif after > (latest or 0) or 0 < after < (lowest or 0) - 1:
        raise EventsGone(latest or 0)
    bell, look_seconds = ctx.platform.bell, _LOOK_SECONDS[ctx.platform.database.dialect]
    while True:
        seen = bell.read("events")
        batch = await recorded(ctx, project_id=project_id, topic=topic, after=after)
        for event in batch:
            yield event
            after = event.id
        if len(batch) < BATCH_ROWS:
            await bell.wait("events", seen, look_seconds)


async def prune(ctx: Context) -> int:
    """Remove events older than ``AF_EVENTS_KEEP_SECONDS``, some rows at a time; returns how many went."""
    oldest = ctx.now - timedelta(seconds=ctx.settings.events_keep_seconds)
    # The newest row stays, so that ids keep rising and "after" can always be compared.
    newest = sa.select(sa.func.max(events.c.id)).scalar_subquery()
    old = sa.select(events.c.id).where(events.c.created_at < oldest, events.c.id < newest).order_by(events.c.id)
    removed = 0
    while True:
        async with ctx.transaction() as tx:
            done = await tx.execute(sa.delete(events).where(events.c.id.in_(old.limit(PRUNE_ROWS))))
        removed += done.rowcount
        if done.rowcount < PRUNE_ROWS:
            return removed


async def _rows(
    connection: AsyncConnection, project_id: ProjectId, topic: str | None, after: int, limit: int
) -> list[Event]:
    query = sa.select(events).where(events.c.project_id == project_id, events.c.id > after)
    if topic is not None:
        query = query.where(events.c.topic == topic)
    found = await connection.execute(query.order_by(events.c.id).limit(limit))
    return [Event(r.id, ProjectId(r.project_id), r.topic, r.kind, r.data, r.created_at) for r in found]
