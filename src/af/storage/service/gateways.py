"""Private gateways: made, named, deleted, and opened to those who may read the project."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from af import projects
from af.core import ids
from af.core.context import ActorKind, Context
from af.core.errors import NotFound, Unauthenticated
from af.core.ids import PrivateGatewayId, ProjectId, ZoneId
from af.storage.errors_gateways import (
    InvalidGatewayName,
    PrivateGatewayNotFound,
    TooManyGateways,
    ZoneInUse,
    ZoneNotFound,
    ZonesOfSitesAbsent,
)
from af.storage.models_gateways import PrivateGateway, Zone
from af.storage.service.access import READ, WRITE
from af.storage.store import gateways as store

GATEWAYS_MAX = 20
"""Of one project, of zones and gateways each."""
NAME_MAX = 100
_NAME_IN_SLUG_MAX = 40


async def open_private_gateway(ctx: Context, slug: str) -> PrivateGateway:
    """The gateway at a host, for a caller who may read its project. What is absent and what is hidden look alike.

    :raises Unauthenticated: the caller shows nothing. :raises PrivateGatewayNotFound: none that they may see
    """
    if ctx.actor.kind is ActorKind.ANONYMOUS:
        raise Unauthenticated(
            "This gateway is private.",
            hint="Send a token of its project: Authorization: Bearer TOKEN, or ?token=TOKEN.",
        )
    async with ctx.reading() as connection:
        found = await store.gateway_by_slug(connection, slug)
    if found is None:
        raise _absent()
    try:
        await projects.authorize(ctx, READ, project_id=found.project_id)
    except NotFound as error:
        raise _absent() from error
    return found


async def list_private_gateways(ctx: Context, project_id: str) -> list[PrivateGateway]:
    """All, oldest first."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.gateways_of(connection, project.id, GATEWAYS_MAX)


async def find_private_gateway(ctx: Context, project_id: str, id_or_slug: str) -> PrivateGateway:
    """:raises PrivateGatewayNotFound:"""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        if ids.is_id(ids.PRIVATE_GATEWAY, id_or_slug):
            found = await store.gateway(connection, project.id, id_or_slug)
        else:
            found = await store.gateway_by_slug(connection, id_or_slug)
    if found is None or found.project_id != project.id:
        raise _absent()
    return found


async def create_private_gateway(ctx: Context, project_id: str, name: str, *, zone_id: str | None) -> PrivateGateway:
    """In a zone without one; without ``zone_id`` a zone is made for it.

    :raises InvalidGatewayName, ZoneNotFound, ZoneInUse, TooManyGateways:
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    name = _checked(name)
    gateway_id = PrivateGatewayId(ids.new(ids.PRIVATE_GATEWAY, ctx.now))
    async with ctx.transaction() as tx:
        if len(await store.gateways_of(tx, project.id, GATEWAYS_MAX)) >= GATEWAYS_MAX:
            raise TooManyGateways(f"A project has at most {GATEWAYS_MAX} private gateways.")
        zone = await (_new_zone(ctx, project.id) if zone_id is None else _zone(ctx, project.id, zone_id))
        made = PrivateGateway(
            id=gateway_id,
            project_id=project.id,
            zone_id=zone.id,
            name=name,
            slug=f"{_slug(name)}-{ids.label(gateway_id)}",
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        if not await store.insert(tx, made):
            raise ZoneInUse("This zone has a private gateway already.", hint="Make another zone.")
        await projects.audit(ctx, "private_gateway.create", project.id, made.id, None, {"name": name})
    return made


async def rename_private_gateway(ctx: Context, project_id: str, gateway_id: str, name: str) -> PrivateGateway:
    """Its host stays. :raises PrivateGatewayNotFound, InvalidGatewayName:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    name = _checked(name)
    async with ctx.transaction() as tx:
        found = await store.gateway(tx, project.id, gateway_id)
        if found is None:
            raise _absent()
        changed = replace(found, name=name, updated_at=ctx.now)
        await store.save(tx, changed)
        shown = {"name": found.name}, {"name": name}
        await projects.audit(ctx, "private_gateway.update", project.id, found.id, *shown)
    return changed


async def delete_private_gateway(ctx: Context, project_id: str, gateway_id: str) -> PrivateGateway:
    """Its host answers nobody any more; its zone stays. :raises PrivateGatewayNotFound:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    async with ctx.transaction() as tx:
        found = await store.gateway(tx, project.id, gateway_id)
        if found is None:
            raise _absent()
        await store.delete(tx, found.id)
        await projects.audit(ctx, "private_gateway.delete", project.id, found.id, {"name": found.name}, None)
    return found


# --- zones -----------------------------------------------------------------------------------------------------------


async def create_zone(ctx: Context, project_id: str) -> Zone:
    """For a private gateway to come. :raises TooManyGateways:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    async with ctx.transaction():
        return await _new_zone(ctx, project.id)


async def refuse_zone_for_site(ctx: Context, project_id: str) -> None:
    """:raises ZonesOfSitesAbsent: to those who might make one"""
    await projects.authorize(ctx, WRITE, project_id=project_id)
    raise ZonesOfSitesAbsent("Sites need no zone here.", hint="A site's address is its `url`; it is served already.")


async def list_zones(ctx: Context, project_id: str) -> list[Zone]:
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.zones_of(connection, project.id, GATEWAYS_MAX)


async def find_zone(ctx: Context, project_id: str, zone_id: str) -> Zone:
    """:raises ZoneNotFound:"""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        found = await store.zone(connection, project.id, zone_id)
    if found is None:
        raise ZoneNotFound("There is no such zone.")
    return found


async def delete_zone(ctx: Context, project_id: str, zone_id: str) -> Zone:
    """:raises ZoneNotFound, ZoneInUse:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    async with ctx.transaction() as tx:
        zone = await _zone(ctx, project.id, zone_id)
        if await store.gateway_in(tx, zone.id) is not None:
            raise ZoneInUse("This zone has a private gateway.", hint="Delete the private gateway first.")
        await store.delete_zone(tx, zone.id)
    return zone


async def _zone(ctx: Context, project_id: ProjectId, zone_id: str) -> Zone:
    """In the caller's transaction."""
    async with ctx.transaction() as tx:
        found = await store.zone(tx, project_id, zone_id)
    if found is None:
        raise ZoneNotFound("There is no such zone.")
    return found


async def _new_zone(ctx: Context, project_id: ProjectId) -> Zone:
    """In the caller's transaction."""
    async with ctx.transaction() as tx:
        if len(await store.zones_of(tx, project_id, GATEWAYS_MAX)) >= GATEWAYS_MAX:
            raise TooManyGateways(f"A project has at most {GATEWAYS_MAX} zones.", hint="Delete one that is not used.")
        made = Zone(
            id=ZoneId(ids.new(ids.ZONE, ctx.now)), project_id=project_id, created_at=ctx.now, updated_at=ctx.now
        )
        await store.insert_zone(tx, made)
    return made


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable() or not _slug(name):
        raise InvalidGatewayName(
            f"A name has 1 to {NAME_MAX} visible characters, and a letter or digit among them.", field="name"
        )
    return name


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_NAME_IN_SLUG_MAX].rstrip("-")


def _absent() -> PrivateGatewayNotFound:
    return PrivateGatewayNotFound("There is no such private gateway.", hint="`af gateways list` shows yours.")
