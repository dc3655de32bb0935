"""The GraphQL edge of private gateways and zones, in the shapes of the original SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ariadne import MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.resolving import ctx_of
from af.projects import Project
from af.storage.models_gateways import PrivateGateway, Zone
from af.storage.service import gateways as service

type_defs = (Path(__file__).parent / "gateways.graphql").read_text(encoding="utf-8")

Info = GraphQLResolveInfo
Given = dict[str, Any]

query = QueryType()
mutation = MutationType()
gateway_type = ObjectType("PrivateGateway")
zone_type = ObjectType("Zone")


@query.field("privateGateway")
@query.field("privateGatewayBySlug")
async def resolve_gateway(_: None, info: Info, **given: Any) -> PrivateGateway:
    ctx, project_id = await _selected(info)
    return await service.find_private_gateway(ctx, project_id, _one(given))


@query.field("privateGateways")
async def resolve_gateways(_: None, info: Info) -> Given:
    ctx, project_id = await _selected(info)
    return {"data": await service.list_private_gateways(ctx, project_id)}


@query.field("zone")
async def resolve_zone(_: None, info: Info, **given: Any) -> Zone:
    ctx, project_id = await _selected(info)
    return await service.find_zone(ctx, project_id, _one(given))


@query.field("zones")
async def resolve_zones(_: None, info: Info) -> Given:
    ctx, project_id = await _selected(info)
    return {"data": await service.list_zones(ctx, project_id)}


@mutation.field("createPrivateGateway")
async def resolve_create(_: None, info: Info, data: Given, where: Given | None = None) -> PrivateGateway:
    ctx, project_id = await _selected(info)
    zone_id = (where or {}).get("zoneId")
    return await service.create_private_gateway(ctx, project_id, data["name"], zone_id=zone_id)


@mutation.field("updatePrivateGateway")
async def resolve_update(_: None, info: Info, where: Given, data: Given) -> PrivateGateway:
    ctx, project_id = await _selected(info)
    return await service.rename_private_gateway(ctx, project_id, where["id"], data["name"])


@mutation.field("deletePrivateGateway")
async def resolve_delete(_: None, info: Info, where: Given) -> PrivateGateway:
    ctx, project_id = await _selected(info)
    return await service.delete_private_gateway(ctx, project_id, where["id"])


@mutation.field("createZoneForPrivateGateway")
async def resolve_create_zone(_: None, info: Info) -> Zone:
    ctx, project_id = await _selected(info)
    return await service.create_zone(ctx, project_id)


@mutation.field("createZoneForSite")
async def resolve_create_zone_for_site(_: None, info: Info, where: Given) -> None:
    ctx, project_id = await _selected(info)
    await service.refuse_zone_for_site(ctx, project_id)


@mutation.field("deleteZone")
async def resolve_delete_zone(_: None, info: Info, where: Given) -> Zone:
    ctx, project_id = await _selected(info)
    return await service.delete_zone(ctx, project_id, where["id"])


@gateway_type.field("url")
def resolve_url(gateway: PrivateGateway, info: Info) -> str:
    platform = ctx_of(info).platform
    return platform.url(f"{gateway.slug}.gateway.{platform.settings.domain}")


@gateway_type.field("primaryDomain")
def resolve_primary_domain(_gateway: PrivateGateway, _: Info) -> None:
    return None


@gateway_type.field("project")
async def resolve_project(gateway: PrivateGateway, info: Info) -> Project:
    return await projects.authorize(ctx_of(info), "storage:read", project_id=gateway.project_id)


@gateway_type.field("zone")
async def resolve_zone_of(gateway: PrivateGateway, info: Info) -> Zone:
    return await service.find_zone(ctx_of(info), gateway.project_id, gateway.zone_id)


@zone_type.field("status")
def resolve_status(_zone: Zone, _: Info) -> str:
    return "ACTIVE"


@zone_type.field("type")
def resolve_type(_zone: Zone, _: Info) -> str:
    return "PRIVATE_GATEWAY"


for _type in (gateway_type, zone_type):
    _type.set_alias("createdAt", "created_at")
    _type.set_alias("updatedAt", "updated_at")


async def _selected(info: Info) -> tuple[Context, str]:
    """The context, and the project that the request is about."""
    ctx = ctx_of(info)
    return ctx, (await projects.selected(ctx)).id


def _one(given: Given) -> str:
    """The id or slug, which callers of two generations name in two ways. :raises InvalidInput: not exactly one"""
    named = [value for key, value in given.items() if key != "where" and value is not None]
    named += (given.get("where") or {}).values()
    if len(named) != 1:
        raise InvalidInput("Name it once: by `id` (or `slug`), or in `where`.", field="where")
    return str(named[0])


bindables = [query, mutation, gateway_type, zone_type]
