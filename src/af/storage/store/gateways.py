"""Private gateways and their zones: every SQL statement that touches them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, insert_into, metadata
from af.core.ids import PrivateGatewayId, ProjectId, ZoneId
from af.storage.models_gateways import PrivateGateway, Zone

zones = sa.Table(
    "zones",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Index(None, "project_id", "id"),
)

private_gateways = sa.Table(
    "private_gateways",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("zone_id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Index(None, "project_id", "id"),
)


async def insert_zone(connection: AsyncConnection, zone: Zone) -> None:
    await connection.execute(zones.insert().values(**asdict(zone)))


async def zone(connection: AsyncConnection, project_id: str, zone_id: str) -> Zone | None:
    query = zones.select().where(zones.c.project_id == project_id, zones.c.id == zone_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _zone(row)


async def zones_of(connection: AsyncConnection, project_id: str, limit: int) -> list[Zone]:
    """Oldest first."""
    query = zones.select().where(zones.c.project_id == project_id).order_by(zones.c.id).limit(limit)
    return [_zone(row) for row in await connection.execute(query)]


async def delete_zone(connection: AsyncConnection, zone_id: str) -> None:
    await connection.execute(zones.delete().where(zones.c.id == zone_id))


async def insert(connection: AsyncConnection, gateway: PrivateGateway) -> bool:
    """Whether its zone was free."""
    insert = insert_into(connection, private_gateways).values(**asdict(gateway))
    done = await connection.execute(
        insert.on_conflict_do_nothing(index_elements=["zone_id"]).returning(private_gateways.c.id)
    )
    return done.scalar_one_or_none() is not None


async def gateway(connection: AsyncConnection, project_id: str, gateway_id: str) -> PrivateGateway | None:
    table = private_gateways
    query = table.select().where(table.c.project_id == project_id, table.c.id == gateway_id)
    return _one((await connection.execute(query)).one_or_none())


async def gateway_by_slug(connection: AsyncConnection, slug: str) -> PrivateGateway | None:
    """Of any project."""
    query = private_gateways.select().where(private_gateways.c.slug == slug)
    return _one((await connection.execute(query)).one_or_none())


async def gateway_in(connection: AsyncConnection, zone_id: str) -> PrivateGateway | None:
    query = private_gateways.select().where(private_gateways.c.zone_id == zone_id)
    return _one((await connection.execute(query)).one_or_none())


async def gateways_of(connection: AsyncConnection, project_id: str, limit: int) -> list[PrivateGateway]:
    """Oldest first."""
    table = private_gateways
    query = table.select().where(table.c.project_id == project_id).order_by(table.c.id).limit(limit)
    return [_gateway(row) for row in await connection.execute(query)]


async def save(connection: AsyncConnection, gateway: PrivateGateway) -> None:
    """A new name."""
    table = private_gateways
    values = {"name": gateway.name, "updated_at": gateway.updated_at}
    await connection.execute(table.update().where(table.c.id == gateway.id).values(**values))


async def delete(connection: AsyncConnection, gateway_id: str) -> None:
    await connection.execute(private_gateways.delete().where(private_gateways.c.id == gateway_id))


def _zone(row: Any) -> Zone:
    return Zone(
        id=ZoneId(row.id),
        project_id=ProjectId(row.project_id),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _one(row: Any) -> PrivateGateway | None:
    return None if row is None else _gateway(row)


def _gateway(row: Any) -> PrivateGateway:
    return PrivateGateway(
        id=PrivateGatewayId(row.id),
        project_id=ProjectId(row.project_id),
        zone_id=ZoneId(row.zone_id),
        name=row.name,
        slug=row.slug,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
