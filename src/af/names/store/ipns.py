"""IPNS names with their records, and the sealed keys that sign them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import IpnsRecordId, ProjectId, SiteId
from af.names.errors import IpnsNameTaken
from af.names.models import IpnsName

NEWEST_READ = 16
"""Rows of one name that are looked at for the newest record: those with the highest sequence."""

ipns_records = sa.Table(
    "ipns_records",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("site_id", sa.Text),
    sa.Column("key_type", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("record", sa.LargeBinary),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("valid_until", Timestamp()),
    sa.Column("lifetime_seconds", sa.BigInteger, nullable=False),
    sa.Column("ttl_seconds", sa.Float, nullable=False),
    sa.Column("due_at", Timestamp()),
    sa.Column("announce_at", Timestamp()),
    sa.Column("replaced_by", sa.Text),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.UniqueConstraint("project_id", "name"),
    sa.UniqueConstraint("project_id", "label"),
    sa.Index(None, "project_id", "id"),
    sa.Index(None, "name", "sequence"),
    sa.Index(None, "site_id"),
    sa.Index(None, "due_at"),
    sa.Index(None, "announce_at"),
)
"""Several projects may keep records of one name: what counts is the newest, whoever brought it."""

ipns_keys = sa.Table(
    "ipns_keys",
    metadata,
    sa.Column("record_id", sa.Text, sa.ForeignKey("ipns_records.id"), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
)
"""Private keys (libp2p protobuf), sealed for the purpose ``ipns-key:<record id>``."""


async def insert(connection: AsyncConnection, name: IpnsName) -> None:
    """:raises IpnsNameTaken: the project has the name or the label."""
    try:
        await connection.execute(sa.insert(ipns_records).values(_values(name)))
    except IntegrityError as error:
        raise IpnsNameTaken("The project has this name or label already.", field="label") from error


async def update(connection: AsyncConnection, name: IpnsName) -> None:
    await connection.execute(sa.update(ipns_records).where(ipns_records.c.id == name.id).values(_values(name)))


async def insert_key(connection: AsyncConnection, record_id: str, sealed: bytes, now: datetime) -> None:
    await connection.execute(sa.insert(ipns_keys).values(record_id=record_id, sealed=sealed, created_at=now))


async def key(connection: AsyncConnection, record_id: str) -> bytes | None:
    sealed: bytes | None = (
        await connection.execute(sa.select(ipns_keys.c.sealed).where(ipns_keys.c.record_id == record_id))
    ).scalar()
    return sealed


async def delete(connection: AsyncConnection, record_id: str) -> None:
    """The name and its key."""
    await connection.execute(sa.delete(ipns_keys).where(ipns_keys.c.record_id == record_id))
    await connection.execute(sa.delete(ipns_records).where(ipns_records.c.id == record_id))


async def delete_of_project(connection: AsyncConnection, project_id: str) -> int:
    """Everything of a project; returns how many names."""
    of_project = sa.select(ipns_records.c.id).where(ipns_records.c.project_id == project_id)
    await connection.execute(sa.delete(ipns_keys).where(ipns_keys.c.record_id.in_(of_project)))
    return (await connection.execute(sa.delete(ipns_records).where(ipns_records.c.project_id == project_id))).rowcount


async def by_id(connection: AsyncConnection, record_id: str, *, locked: bool = False) -> IpnsName | None:
    query = sa.select(ipns_records).where(ipns_records.c.id == record_id)
    return _one(await connection.execute(query.with_for_update() if locked else query))


async def by_ids(connection: AsyncConnection, record_ids: Iterable[str]) -> list[IpnsName]:
    query = sa.select(ipns_records).where(ipns_records.c.id.in_(list(record_ids)))
    return [_name(row) for row in await connection.execute(query)]


async def in_project(connection: AsyncConnection, project_id: str, name: str) -> IpnsName | None:
    """A project's name, by the name itself or by its label."""
    wanted = sa.or_(ipns_records.c.name == name, ipns_records.c.label == name)
    return _one(
        await connection.execute(sa.select(ipns_records).where(ipns_records.c.project_id == project_id, wanted))
    )


async def of_project(connection: AsyncConnection, project_id: str, *, after: str | None, limit: int) -> list[IpnsName]:
    """Oldest first, those behind the id ``after``."""
    query = sa.select(ipns_records).where(ipns_records.c.project_id == project_id)
    if after is not None:
        query = query.where(ipns_records.c.id > after)
    return [_name(row) for row in await connection.execute(query.order_by(ipns_records.c.id).limit(limit))]


async def count(connection: AsyncConnection, project_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(ipns_records).where(ipns_records.c.project_id == project_id)
    return (await connection.execute(query)).scalar_one()


async def of_sites(connection: AsyncConnection, site_ids: Iterable[str]) -> list[IpnsName]:
    """The names that follow these sites, oldest first."""
    query = sa.select(ipns_records).where(ipns_records.c.site_id.in_(list(site_ids))).order_by(ipns_records.c.id)
    return [_name(row) for row in await connection.execute(query)]


async def records_of(connection: AsyncConnection, name: str) -> list[bytes]:
    """The records that all projects keep of a name, those with the highest sequence first."""
    query = sa.select(ipns_records.c.record).where(ipns_records.c.name == name, ipns_records.c.record.is_not(None))
    query = query.order_by(ipns_records.c.sequence.desc(), ipns_records.c.valid_until.desc()).limit(NEWEST_READ)
    return [row.record for row in await connection.execute(query)]


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[tuple[IpnsRecordId, datetime]]:
    """Whose record is to be signed, the longest overdue first."""
    query = sa.select(ipns_records.c.id, ipns_records.c.due_at).where(ipns_records.c.due_at <= now)
    rows = await connection.execute(query.order_by(ipns_records.c.due_at).limit(limit))
    return [(IpnsRecordId(row.id), row.due_at) for row in rows]


async def postpone(connection: AsyncConnection, record_id: str, due_at: datetime) -> None:
    await connection.execute(sa.update(ipns_records).where(ipns_records.c.id == record_id).values(due_at=due_at))


async def to_announce(connection: AsyncConnection, now: datetime, limit: int) -> list[tuple[IpnsRecordId, datetime]]:
    """Whose record is valid and to be given to the network, the longest waiting first."""
    query = sa.select(ipns_records.c.id, ipns_records.c.announce_at).where(
        ipns_records.c.announce_at <= now, ipns_records.c.valid_until > now
    )
    rows = await connection.execute(query.order_by(ipns_records.c.announce_at).limit(limit))
    return [(IpnsRecordId(row.id), row.announce_at) for row in rows]


async def announce_next(connection: AsyncConnection, record_id: str, since: datetime | None, then: datetime) -> None:
    """Unless a newer record wants it meanwhile."""
    change = sa.update(ipns_records).where(ipns_records.c.id == record_id, ipns_records.c.announce_at == since)
    await connection.execute(change.values(announce_at=then))


async def lead_site(connection: AsyncConnection, site_id: str, value: str, now: datetime) -> int:
    """Have the names of a site sign ``value`` next; returns how many."""
    change = sa.update(ipns_records).where(ipns_records.c.site_id == site_id, ipns_records.c.value != value)
    return (await connection.execute(change.values(value=value, due_at=now, updated_at=now))).rowcount


async def leave_site(connection: AsyncConnection, site_id: str, now: datetime) -> None:
    change = sa.update(ipns_records).where(ipns_records.c.site_id == site_id)
    await connection.execute(change.values(site_id=None, due_at=None, updated_at=now))


async def projects_with_names(connection: AsyncConnection, project_ids: Sequence[ProjectId]) -> list[ProjectId]:
    """Those of the projects that keep a name."""
    query = sa.select(ipns_records.c.project_id).where(ipns_records.c.project_id.in_(project_ids)).distinct()
    return [ProjectId(row.project_id) for row in await connection.execute(query)]


def _values(name: IpnsName) -> dict[str, Any]:
    return {column.name: getattr(name, column.name) for column in ipns_records.c}


def _one(rows: Any) -> IpnsName | None:
    row = rows.first()
    return None if row is None else _name(row)


def _name(row: Any) -> IpnsName:
    values = dict(row._mapping)
    values |= {
        "id": IpnsRecordId(row.id),
        "project_id": ProjectId(row.project_id),
        "site_id": None if row.site_id is None else SiteId(row.site_id),
    }
    return IpnsName(**values)


assert [column.name for column in ipns_records.c] == [field.name for field in fields(IpnsName)]
