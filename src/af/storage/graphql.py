"""The GraphQL edge of content: pins, figures, upkeep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ariadne import MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af import projects
from af.core.context import Context
from af.core.resolving import ctx_of, page_of, page_size
from af.protocols.ipfs import cid as cids
from af.storage import gateways_graphql, service
from af.storage.models import BlockStats, Collection, Pin, ProjectStats, ScrubReport

type_defs = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8") + gateways_graphql.type_defs

PAGE_DEFAULT = 100
PAGE_MAX = 500
_BY_NAME_MAX = 100
Info = GraphQLResolveInfo
Given = dict[str, Any]

query = QueryType()
mutation = MutationType()
pin_type = ObjectType("Pin")
stats_type = ObjectType("StorageStats")
block_stats_type = ObjectType("BlockStoreStats")
collection_type = ObjectType("GarbageCollection")
scrub_type = ObjectType("BlockScrub")


# --- queries ---------------------------------------------------------------------------------------------------------


@query.field("pins")
async def resolve_pins(_: None, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None) -> Given:
    first = page_size(first, default=PAGE_DEFAULT, most=PAGE_MAX)
    ctx, project_id = await _selected(info)
    return page_of(await service.list_pins(ctx, project_id, first=first + 1, after=after), first)


@query.field("pin")
async def resolve_pin(_: None, info: Info, where: Given) -> Pin | None:
    ctx, project_id = await _selected(info)
    return await service.find_pin(ctx, project_id, where["cid"])


@query.field("pinsByFilename")
async def resolve_pins_by_filename(_: None, info: Info, where: Given) -> Given:
    ctx, project_id = await _selected(info)
    extension = where.get("extension")
    name = f"{where['filename']}.{extension}" if extension else where["filename"]
    return page_of(await service.list_pins(ctx, project_id, first=_BY_NAME_MAX, name=name), _BY_NAME_MAX)


@query.field("storageStats")
async def resolve_storage_stats(_: None, info: Info) -> ProjectStats:
    ctx, project_id = await _selected(info)
    return await service.project_stats(ctx, project_id)


@query.field("blockStoreStats")
async def resolve_block_stats(_: None, info: Info) -> BlockStats:
    return await service.block_stats(ctx_of(info))


# --- mutations -------------------------------------------------------------------------------------------------------


@mutation.field("createPin")
async def resolve_create_pin(_: None, info: Info, data: Given) -> Pin:
    ctx, project_id = await _selected(info)
    public = data.get("public")
    return await service.create_pin(
        ctx, project_id, data["cid"], name=data.get("name") or "", public=public is None or public
    )


@mutation.field("deletePin")
async def resolve_delete_pin(_: None, info: Info, where: Given) -> Pin:
    ctx, project_id = await _selected(info)
    return await service.delete_pin(ctx, project_id, where["cid"])


@mutation.field("collectGarbage")
async def resolve_collect(_: None, info: Info, **given: bool) -> Collection:
    return await service.collect(ctx_of(info), dry_run=given.get("dryRun", False))


@mutation.field("scrubBlocks")
async def resolve_scrub(_: None, info: Info) -> ScrubReport:
    return await service.scrub(ctx_of(info))


# --- fields ----------------------------------------------------------------------------------------------------------


@pin_type.field("cid")
def resolve_cid(pin: Pin, _: Info) -> str:
    return cids.to_text(pin.cid)


@pin_type.field("extension")
def resolve_extension(pin: Pin, _: Info) -> str | None:
    return pin.extension or None


@stats_type.field("currentBytes")
def resolve_current_bytes(stats: ProjectStats, _: Info) -> str:
    return str(stats.bytes)


@stats_type.field("currentBytesFormatted")
def resolve_formatted(stats: ProjectStats, _: Info) -> str:
    size = float(stats.bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TiB"


@collection_type.field("blockedRoots")
def resolve_blocked(collection: Collection, _: Info) -> list[str]:
    return [cids.to_text(root) for root in collection.blocked]


@scrub_type.field("corrupt")
def resolve_corrupt(report: ScrubReport, _: Info) -> list[str]:
    return [cids.to_text(cid) for cid in report.corrupt]


@pin_type.field("arweavePin")
def resolve_arweave(_pin: Pin, _: Info) -> None:
    return None


for _type, _aliases in {
    pin_type: {"createdAt": "created_at", "updatedAt": "updated_at"},
    stats_type: {"pinCount": "pins"},
    block_stats_type: {"publicBlocks": "public_blocks", "corruptBlocks": "corrupt_blocks", "deadBytes": "dead_bytes"},
    collection_type: {
        "dryRun": "dry_run",
        "blocks": "swept.blocks",
        "bytes": "swept.bytes",
        "freedBytes": "swept.freed_bytes",
    },
}.items():
    for _name, _attribute in _aliases.items():
        _type.set_alias(_name, _attribute)


# --- what resolvers share --------------------------------------------------------------------------------------------


async def _selected(info: Info) -> tuple[Context, str]:
    """The context, and the project that the request is about."""
    ctx = ctx_of(info)
    return ctx, (await projects.selected(ctx)).id


bindables = [
    query,
    mutation,
    pin_type,
    stats_type,
    block_stats_type,
    collection_type,
    scrub_type,
    *gateways_graphql.bindables,
]
