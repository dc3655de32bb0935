"""The GraphQL edge of sites on Arweave; no rules of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ariadne import MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.resolving import ctx_of
from af.protocols.arweave.encoding import to_ar
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.replication import service
from af.replication.models import Cost, Receipt

type_defs = (Path(__file__).parent / "arweave.graphql").read_text(encoding="utf-8")

NAME_MAX = 255
COST_DIGITS_MAX = 24
Info = GraphQLResolveInfo
Given = dict[str, Any]

query = QueryType()
mutation = MutationType()
cost_type = ObjectType("ArweaveCost")


@query.field("arweaveCost")
async def resolve_cost(_: None, info: Info, where: Given, data: Given | None = None) -> Cost:
    ctx, project_id = await selected(info)
    return await service.estimate_site(ctx, project_id, cid_of(where["cid"]), name=_name(data))


@query.field("arweaveStanding")
async def resolve_standing(_: None, info: Info, where: Given) -> Receipt:
    ctx, project_id = await selected(info)
    return await service.site_standing(ctx, project_id, where["ref"])


@mutation.field("storeOnArweave")
async def resolve_store(_: None, info: Info, where: Given, data: Given | None = None) -> Given:
    ctx, project_id = await selected(info)
    root = cid_of(where["cid"])
    stored = await service.store_site(ctx, project_id, root, name=_name(data), cost_max=_cost_max(data))
    return {
        "cid": cids.to_text(root),
        "url": stored.url,
        "manifestId": stored.manifest_id,
        "files": [{"path": path, "id": id} for path, id in stored.paths.items()],
        "standing": stored.copy,
    }


@cost_type.field("amount")
def resolve_amount(cost: Cost, _: Info) -> str:
    return str(cost.amount)


@cost_type.field("ar")
def resolve_ar(cost: Cost, _: Info) -> str:
    return to_ar(cost.amount)


def _name(data: Given | None) -> str:
    name: str = (data or {}).get("name") or ""
    if len(name) > NAME_MAX or "/" in name:
        raise InvalidInput(f"A name has at most {NAME_MAX} characters and no '/'.", field="name")
    return name


def _cost_max(data: Given | None) -> int | None:
    text = (data or {}).get("costMax")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > COST_DIGITS_MAX:
        raise InvalidInput("costMax is a whole number, as the estimate has it.", field="costMax")
    return int(text)


def cid_of(text: str) -> CID:
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise InvalidInput(f"{text[:80]!r} is not a CID.", field="cid", detail=str(error)) from error


async def selected(info: Info) -> tuple[Context, str]:
    """The context, and the project that the request is about."""
    ctx = ctx_of(info)
    return ctx, (await projects.selected(ctx)).id


bindables = [query, mutation, cost_type]
