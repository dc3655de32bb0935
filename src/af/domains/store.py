"""The host table and its change counter: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, insert_into, metadata
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.domains.models import SITE_ZONE, HostBinding, HostEntry

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("zone", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Text, nullable=False),
    sa.Column("deployment_id", sa.Text, nullable=False),
    sa.Column("root", sa.Text),
    sa.Column("routes", sa.JSON, nullable=False),
    sa.Column("suspended", sa.Boolean, nullable=False),
    sa.Column("change_no", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Timestamp(), nullable=False),
    sa.Index(None, "change_no"),
    sa.Index(None, "site_id"),
)

host_changes = sa.Table(
    "host_changes",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("latest", sa.BigInteger, nullable=False),
)
"""One row: the highest change number given out. Whoever raises it holds its lock until the commit, so numbers rise
in commit order and writers of the host table follow one another, on SQLite and PostgreSQL alike."""

_ENTRY = (
    hosts.c.zone,
    hosts.c.name,
    hosts.c.project_id,
    hosts.c.site_id,
    hosts.c.deployment_id,
    hosts.c.root,
    hosts.c.routes,
    hosts.c.suspended,
    hosts.c.change_no,
)


async def next_changes(connection: AsyncConnection, count: int) -> range:
    """``count`` fresh change numbers; until the commit nobody else gets any."""
    insert = insert_into(connection, host_changes).values(id=1, latest=count)
    raised = insert.on_conflict_do_update(
        index_elements=["id"], set_={"latest": host_changes.c.latest + insert.excluded.latest}
    ).returning(host_changes.c.latest)
    latest = cast(int, (await connection.execute(raised)).scalar_one())
    return range(latest - count + 1, latest + 1)


async def latest_change(connection: AsyncConnection) -> int:
    return cast(int, (await connection.execute(sa.select(host_changes.c.latest))).scalar_one_or_none() or 0)


async def owners(connection: AsyncConnection, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SiteId]:
    """The sites that ``(zone, name)`` pairs lead to; tombstones belong to nobody."""
    query = sa.select(hosts.c.zone, hosts.c.name, hosts.c.site_id).where(
        sa.tuple_(hosts.c.zone, hosts.c.name).in_(list(names)), hosts.c.root.is_not(None)
    )
    return {(row.zone, row.name): SiteId(row.site_id) for row in await connection.execute(query)}


async def put(
    connection: AsyncConnection, bindings: Sequence[HostBinding], changes: Sequence[int], now: datetime
) -> None:
    """Insert or replace rows. A name that stays with its site stays suspended if it was."""
    insert = insert_into(connection, hosts)
    replaced: dict[str, Any] = {
        column.name: insert.excluded[column.name]
        for column in hosts.c
        if column.name not in ("zone", "name", "suspended")
    }
    same_site = hosts.c.site_id == insert.excluded.site_id
    replaced["suspended"] = sa.case((same_site, hosts.c.suspended), else_=sa.false())
    statement = insert.on_conflict_do_update(index_elements=["zone", "name"], set_=replaced)
    rows = [
        {
            "zone": binding.zone,
            "name": binding.name,
            "project_id": binding.project_id,
            "site_id": binding.site_id,
            "deployment_id": binding.deployment_id,
            "root": binding.root,
            "routes": dict(binding.routes),
            "suspended": False,
            "change_no": change,
            "changed_at": now,
        }
        for binding, change in zip(bindings, changes, strict=True)
    ]
    await connection.execute(statement, rows)


async def names_of_site(connection: AsyncConnection, project_id: ProjectId, site_id: SiteId) -> list[tuple[str, str]]:
    """The ``(zone, name)`` pairs that lead to a site of the project."""
    query = sa.select(hosts.c.zone, hosts.c.name).where(
        hosts.c.site_id == site_id, hosts.c.project_id == project_id, hosts.c.root.is_not(None)
    )
    return [(row.zone, row.name) for row in await connection.execute(query)]


async def bury(
    connection: AsyncConnection, names: Sequence[tuple[str, str]], changes: Sequence[int], now: datetime
) -> None:
    """Turn rows into tombstones."""
    if not names:
        return
    statement = (
        sa.update(hosts)
        .where(hosts.c.zone == sa.bindparam("z"), hosts.c.name == sa.bindparam("n"))
        .values(root=None, routes={}, change_no=sa.bindparam("c"), changed_at=now)
    )
    rows = [{"z": zone, "n": name, "c": change} for (zone, name), change in zip(names, changes, strict=True)]
    await connection.execute(statement, rows)


async def copy(
    connection: AsyncConnection,
    zone: str,
    names: Sequence[tuple[str, str]],
    changes: Sequence[int],
    now: datetime,
) -> None:
    """For each ``(old, new)``: a row ``new`` that leads where ``old`` does. Routes stay in the database.

    ``new`` may be a tombstone, which gives way.
    """
    if not names:
        return
    graves = sa.delete(hosts).where(hosts.c.zone == zone, hosts.c.name == sa.bindparam("n"))
    await connection.execute(graves, [{"n": new} for _, new in names])
    columns = [column.name for column in hosts.c]
    values: dict[str, Any] = {column: hosts.c[column] for column in columns}
    values["name"] = sa.bindparam("new", type_=sa.Text)
    values["change_no"] = sa.bindparam("change", type_=sa.BigInteger)
    values["changed_at"] = sa.literal(now, Timestamp())
    source = sa.select(*values.values()).where(hosts.c.zone == zone, hosts.c.name == sa.bindparam("old"))
    rows = [{"old": old, "new": new, "change": change} for (old, new), change in zip(names, changes, strict=True)]
    await connection.execute(sa.insert(hosts).from_select(columns, source), rows)


async def lookup(connection: AsyncConnection, zone: str, name: str) -> HostEntry | None:
    query = sa.select(*_ENTRY).where(hosts.c.zone == zone, hosts.c.name == name, hosts.c.root.is_not(None))
    row = (await connection.execute(query)).one_or_none()
    return _entry(row) if row else None


async def live(connection: AsyncConnection, project_id: ProjectId) -> list[HostEntry]:
    """What the project's sites lead to under their own names; the addresses of single deployments (``--``) do not
    count."""
    query = sa.select(*_ENTRY).where(
        hosts.c.project_id == project_id,
        hosts.c.zone == SITE_ZONE,
        hosts.c.root.is_not(None),
        hosts.c.name.not_like("%--%"),
    )
    return [_entry(row) for row in await connection.execute(query.order_by(hosts.c.name))]


async def changed_since(connection: AsyncConnection, change_no: int, limit: int) -> list[HostEntry]:
    query = sa.select(*_ENTRY).where(hosts.c.change_no > change_no).order_by(hosts.c.change_no).limit(limit)
    return [_entry(row) for row in await connection.execute(query)]


async def reap(connection: AsyncConnection, before: datetime) -> int:
    """Delete tombstones older than ``before``; returns how many."""
    gone = await connection.execute(sa.delete(hosts).where(hosts.c.root.is_(None), hosts.c.changed_at < before))
    return gone.rowcount


def _entry(row: Any) -> HostEntry:
    return HostEntry(
        zone=row.zone,
        name=row.name,
        project_id=ProjectId(row.project_id),
        site_id=SiteId(row.site_id),
        deployment_id=DeploymentId(row.deployment_id),
        root=row.root,
        routes=row.routes,
        suspended=row.suspended,
        change_no=row.change_no,
    )
