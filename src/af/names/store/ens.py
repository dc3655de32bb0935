"""ENS records, with the transaction that is to bring each about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import EnsRecordId, IpnsRecordId, ProjectId, SiteId
from af.names.errors_ens import EnsBusy, EnsRecordTaken
from af.names.models_ens import EnsRecord, EnsStatus

ens_records = sa.Table(
    "ens_records",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("site_id", sa.Text),
    sa.Column("ipns_record_id", sa.Text),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seen", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("verified_at", Timestamp()),
    sa.Column("checked_at", Timestamp()),
    sa.Column("transaction", sa.Text, nullable=False),
    sa.Column("sender", sa.Text),
    sa.Column("nonce", sa.BigInteger),
    sa.Column("max_fee", sa.BigInteger),
    sa.Column("tip", sa.BigInteger),
    sa.Column("signed", sa.LargeBinary),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.UniqueConstraint("project_id", "name"),
    sa.UniqueConstraint("sender", "nonce"),
    sa.Index(None, "project_id", "id"),
    sa.Index(None, "ipns_record_id"),
    sa.Index(None, "status", "checked_at"),
)
"""Several projects may want one name: the chain decides. Two transactions of ours never share a number: the row keeps
``sender`` and ``nonce`` until its transaction is mined."""


async def insert(connection: AsyncConnection, record: EnsRecord) -> None:
    """:raises EnsRecordTaken: the project has a record of the name."""
    try:
        await connection.execute(sa.insert(ens_records).values(_values(record)))
    except IntegrityError as error:
        raise EnsRecordTaken(f"The project has a record of {record.name} already.", field="name") from error


async def update(connection: AsyncConnection, record: EnsRecord) -> None:
    """:raises EnsBusy: another transaction of the same sender has this number."""
    try:
        await connection.execute(sa.update(ens_records).where(ens_records.c.id == record.id).values(_values(record)))
    except IntegrityError as error:
        raise EnsBusy("Another transaction was sent at the same moment.", hint="Try again.") from error


async def delete(connection: AsyncConnection, record_id: EnsRecordId) -> None:
    await connection.execute(sa.delete(ens_records).where(ens_records.c.id == record_id))


async def delete_of_project(connection: AsyncConnection, project_id: str) -> int:
    gone = await connection.execute(sa.delete(ens_records).where(ens_records.c.project_id == project_id))
    return gone.rowcount


async def by_id(connection: AsyncConnection, record_id: str, *, locked: bool = False) -> EnsRecord | None:
    query = sa.select(ens_records).where(ens_records.c.id == record_id)
    return _one(await connection.execute(query.with_for_update() if locked else query))


async def by_name(connection: AsyncConnection, project_id: str, name: str) -> EnsRecord | None:
    query = sa.select(ens_records).where(ens_records.c.project_id == project_id, ens_records.c.name == name)
    return _one(await connection.execute(query))


async def of_project(
    connection: AsyncConnection, project_id: str, *, ipns_record_id: str | None, after: str | None, limit: int
) -> list[EnsRecord]:
    """Oldest first, those behind the id ``after``; with ``ipns_record_id`` only those that point at that name."""
    query = sa.select(ens_records).where(ens_records.c.project_id == project_id)
    if ipns_record_id is not None:
        query = query.where(ens_records.c.ipns_record_id == ipns_record_id)
    if after is not None:
        query = query.where(ens_records.c.id > after)
    return [_record(row) for row in await connection.execute(query.order_by(ens_records.c.id).limit(limit))]


async def of_ipns(connection: AsyncConnection, record_ids: Iterable[str]) -> list[EnsRecord]:
    """The records that point at these names, oldest first."""
    query = sa.select(ens_records).where(ens_records.c.ipns_record_id.in_(list(record_ids)))
    return [_record(row) for row in await connection.execute(query.order_by(ens_records.c.id))]


async def count(connection: AsyncConnection, project_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(ens_records).where(ens_records.c.project_id == project_id)
    return (await connection.execute(query)).scalar_one()


async def nonces(connection: AsyncConnection, sender: str) -> set[int]:
    """The numbers of the transactions of ours that are not mined yet."""
    rows = await connection.execute(sa.select(ens_records.c.nonce).where(ens_records.c.sender == sender))
    return {row.nonce for row in rows}


async def to_check(
    connection: AsyncConnection,
    status: EnsStatus,
    before: datetime,
    *,
    changed_after: datetime | None = None,
    limit: int,
) -> list[tuple[EnsRecordId, datetime]]:
    """Those of a status that were last looked at before then, and when; the longest ago first. ``changed_after``: only
    those that have had it since then."""
    query = sa.select(ens_records.c.id, ens_records.c.checked_at)
    query = query.where(ens_records.c.status == status, ens_records.c.checked_at < before)
    if changed_after is not None:
        query = query.where(ens_records.c.updated_at > changed_after)
    rows = await connection.execute(query.order_by(ens_records.c.checked_at).limit(limit))
    return [(EnsRecordId(row.id), row.checked_at) for row in rows]


async def touch(connection: AsyncConnection, record_id: EnsRecordId, now: datetime) -> None:
    """Not to be looked at again at once."""
    await connection.execute(sa.update(ens_records).where(ens_records.c.id == record_id).values(checked_at=now))


async def projects_with_records(connection: AsyncConnection, project_ids: Sequence[ProjectId]) -> list[ProjectId]:
    """Those of the projects that have a record."""
    query = sa.select(ens_records.c.project_id).where(ens_records.c.project_id.in_(project_ids)).distinct()
    return [ProjectId(row.project_id) for row in await connection.execute(query)]


def _values(record: EnsRecord) -> dict[str, Any]:
    return {column.name: getattr(record, column.name) for column in ens_records.c}


def _one(rows: Any) -> EnsRecord | None:
    row = rows.first()
    return None if row is None else _record(row)


def _record(row: Any) -> EnsRecord:
    values = dict(row._mapping)
    values |= {
        "id": EnsRecordId(row.id),
        "project_id": ProjectId(row.project_id),
        "site_id": None if row.site_id is None else SiteId(row.site_id),
        "ipns_record_id": None if row.ipns_record_id is None else IpnsRecordId(row.ipns_record_id),
        "status": EnsStatus(row.status),
    }
    return EnsRecord(**values)


assert [column.name for column in ens_records.c] == [field.name for field in fields(EnsRecord)]
