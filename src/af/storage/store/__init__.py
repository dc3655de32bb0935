"""Pins, and the roots that keep content: every SQL statement that touches them. Pin requests are in `requests`,
copies in the Kubo node in `copies`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, insert_into, metadata
from af.core.ids import PinId, ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.models import Pin, ProjectStats, RootKind
from af.storage.store import requests as requests

_REFS_AT_ONCE = 500  # below every SQLite's limit of variables

pins = sa.Table(
    "pins",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("cid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.UniqueConstraint("project_id", "cid"),
    sa.Index(None, "project_id", "id"),
)

content_roots = sa.Table(
    "content_roots",
    metadata,
    sa.Column("cid", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("ref", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("expires_at", Timestamp()),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Index(None, "kind", "ref"),
)
"""Why content is kept. Garbage collection frees only what none of these reaches. ``expires_at``: leases only."""


class Root(NamedTuple):
    """One reason to keep a DAG."""

    cid: CID
    kind: str
    ref: str
    project_id: ProjectId
    public: bool


# Pins


async def insert_pin(connection: AsyncConnection, pin: Pin) -> bool:
    """Whether it is new; the project may have the CID pinned already."""
    insert = insert_into(connection, pins).values(
        id=pin.id,
        project_id=pin.project_id,
        cid=cids.to_text(pin.cid),
        name=pin.name,
        folder=pin.folder,
        size=pin.size,
        created_at=pin.created_at,
        updated_at=pin.updated_at,
    )
    done = await connection.execute(
        insert.on_conflict_do_nothing(index_elements=["project_id", "cid"]).returning(pins.c.id)
    )
    return done.first() is not None


async def rename_pin(connection: AsyncConnection, pin_id: str, name: str, folder: str, now: datetime) -> None:
    change = sa.update(pins).where(pins.c.id == pin_id).values(name=name, folder=folder, updated_at=now)
    await connection.execute(change)


async def delete_pin(connection: AsyncConnection, pin_id: str) -> None:
    await connection.execute(sa.delete(pins).where(pins.c.id == pin_id))


async def pin(connection: AsyncConnection, project_id: str, cid: CID) -> Pin | None:
    query = sa.select(pins).where(pins.c.project_id == project_id, pins.c.cid == cids.to_text(cid))
    row = (await connection.execute(query)).first()
    return None if row is None else _pin(row)


async def pin_in_folder(connection: AsyncConnection, project_id: str, folder: str, name: str) -> Pin | None:
    query = sa.select(pins).where(pins.c.project_id == project_id, pins.c.folder == folder, pins.c.name == name)
    row = (await connection.execute(query.limit(1))).first()
    return None if row is None else _pin(row)


async def list_pins(
    connection: AsyncConnection, project_id: str, *, after: str | None, name: str | None, limit: int
) -> list[Pin]:
    """Oldest first, those behind the id ``after``; with ``name`` only pins of that name."""
    query = sa.select(pins).where(pins.c.project_id == project_id).order_by(pins.c.id).limit(limit)
    if after is not None:
        query = query.where(pins.c.id > after)
    if name is not None:
        query = query.where(pins.c.name == name)
    return [_pin(row) for row in await connection.execute(query)]


async def projects_with_pins(connection: AsyncConnection, project_ids: Sequence[ProjectId]) -> list[ProjectId]:
    """Those of the projects that keep something."""
    query = sa.select(pins.c.project_id).where(pins.c.project_id.in_(project_ids)).distinct()
    return [ProjectId(row.project_id) for row in await connection.execute(query)]


async def delete_pins_of_project(connection: AsyncConnection, project_id: str) -> int:
    """Delete the project's pins and what they hold; returns how many."""
    held = (content_roots.c.kind == "pin", content_roots.c.project_id == project_id)
    await connection.execute(sa.delete(content_roots).where(*held))
    return (await connection.execute(sa.delete(pins).where(pins.c.project_id == project_id))).rowcount


async def public_pins(connection: AsyncConnection, project_id: str) -> list[tuple[CID, str]]:
    """(CID, name) of the pins that everybody may see."""
    held = (content_roots.c.kind == "pin") & (content_roots.c.ref == pins.c.id) & content_roots.c.public.is_(True)
    query = sa.select(pins.c.cid, pins.c.name).join(content_roots, held).where(pins.c.project_id == project_id)
    return [(cids.parse(row.cid), row.name) for row in await connection.execute(query.order_by(pins.c.id))]


async def project_stats(connection: AsyncConnection, project_id: str) -> ProjectStats:
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(pins.c.size), 0))
    count, size = (await connection.execute(query.where(pins.c.project_id == project_id))).one()
    return ProjectStats(pins=count, bytes=int(size))


def _pin(row: Any) -> Pin:
    return Pin(
        id=PinId(row.id),
        project_id=ProjectId(row.project_id),
        cid=cids.parse(row.cid),
        name=row.name,
        size=row.size,
        folder=row.folder,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


# Roots


async def hold(
    connection: AsyncConnection,
    *,
    cid: CID,
    kind: RootKind,
    ref: str,
    project_id: str,
    public: bool,
    now: datetime,
    expires_at: datetime | None = None,
) -> None:
    insert = insert_into(connection, content_roots).values(
        cid=cids.to_text(cid),
        kind=kind,
        ref=ref,
        project_id=project_id,
        public=public,
        expires_at=expires_at,
        created_at=now,
    )
    upsert = insert.on_conflict_do_update(
        index_elements=["cid", "kind", "ref"],
        set_={"public": insert.excluded.public, "expires_at": insert.excluded.expires_at},
    )
    await connection.execute(upsert)


async def release(connection: AsyncConnection, kind: str, refs: Sequence[str]) -> None:
    gone = sa.delete(content_roots).where(content_roots.c.kind == kind)
    for start in range(0, len(refs), _REFS_AT_ONCE):
        await connection.execute(gone.where(content_roots.c.ref.in_(refs[start : start + _REFS_AT_ONCE])))


async def public_roots(connection: AsyncConnection, kind: str, refs: Sequence[str]) -> list[CID]:
    """What these hold for everybody."""
    found: set[str] = set()
    query = sa.select(content_roots.c.cid).where(content_roots.c.kind == kind, content_roots.c.public.is_(True))
    for start in range(0, len(refs), _REFS_AT_ONCE):
        page = query.where(content_roots.c.ref.in_(refs[start : start + _REFS_AT_ONCE]))
        found.update((await connection.execute(page)).scalars())
    return [cids.parse(text) for text in sorted(found)]


async def lease_ends(connection: AsyncConnection, cid: CID, project_id: str) -> datetime | None:
    query = sa.select(content_roots.c.expires_at).where(
        content_roots.c.cid == cids.to_text(cid), content_roots.c.kind == "upload", content_roots.c.ref == project_id
    )
    ends: datetime | None = (await connection.execute(query)).scalar()
    return ends


async def is_held_publicly(connection: AsyncConnection, cid: CID) -> bool:
    query = sa.select(sa.literal(1)).where(content_roots.c.cid == cids.to_text(cid), content_roots.c.public.is_(True))
    return (await connection.execute(query.limit(1))).first() is not None


async def delete_expired(connection: AsyncConnection, now: datetime) -> None:
    expired = content_roots.c.expires_at.is_not(None) & (content_roots.c.expires_at < now)
    await connection.execute(sa.delete(content_roots).where(expired))


async def roots_after(connection: AsyncConnection, last: Root | None, now: datetime, limit: int) -> Sequence[Root]:
    """All roots that have not expired, in the order of their key, a page at a time."""
    columns = (content_roots.c.cid, content_roots.c.kind, content_roots.c.ref)
    query = sa.select(*columns, content_roots.c.project_id, content_roots.c.public).order_by(*columns).limit(limit)
    query = query.where(content_roots.c.expires_at.is_(None) | (content_roots.c.expires_at >= now))
    if last is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*map(sa.literal, (cids.to_text(last.cid), *last[1:3]))))
    rows = await connection.execute(query)
    return [Root(cids.parse(row.cid), row.kind, row.ref, ProjectId(row.project_id), row.public) for row in rows]


from af.storage.store import copies as copies  # noqa: E402 - it needs the table above
from af.storage.store import gateways as gateways  # noqa: E402
