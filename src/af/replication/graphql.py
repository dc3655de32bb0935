"""The GraphQL edge of copies elsewhere; no rules of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af.core.resolving import ctx_of, page_of, page_size
from af.protocols.ipfs import cid as cids
from af.replication import arweave_graphql, service
from af.replication.arweave_graphql import cid_of, selected
from af.replication.models import Copy, CopyState, Finding, Policy

type_defs = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8") + arweave_graphql.type_defs

PAGE_DEFAULT = 100
PAGE_MAX = 500
Info = GraphQLResolveInfo
Given = dict[str, Any]

query = QueryType()
mutation = MutationType()
replica_type = ObjectType("Replica")
policy_type = ObjectType("ReplicationPolicy")
check_type = ObjectType("ContentCheck")
state_type = EnumType("ReplicaState", {state.name: state for state in CopyState})
finding_type = EnumType("ContentFinding", {finding.name: finding for finding in Finding})


@query.field("storageProviders")
async def resolve_providers(_: None, info: Info) -> Given:
    found = await service.list_providers(ctx_of(info))
    return {"data": [{"name": name, "usable": not missing, "missing": missing} for name, missing in found]}


@query.field("replicationPolicies")
async def resolve_policies(_: None, info: Info) -> Given:
    ctx, project_id = await selected(info)
    return {"data": await service.list_policies(ctx, project_id)}


@query.field("replicas")
async def resolve_replicas(
    _: None, info: Info, where: Given | None = None, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first, default=PAGE_DEFAULT, most=PAGE_MAX)
    ctx, project_id = await selected(info)
    text = (where or {}).get("cid")
    root = None if text is None else cid_of(text)
    found = await service.list_copies(ctx, project_id, root=root, first=size + 1, after=after)
    return page_of(found, size)


@query.field("verifyContent")
async def resolve_verify(_: None, info: Info, where: Given) -> Given:
    ctx, project_id = await selected(info)
    return {"data": await service.verify(ctx, project_id, cid_of(where["cid"]))}


@query.field("filecoinDeals")
async def resolve_deals(_: None, info: Info, where: Given) -> Given:
    ctx, project_id = await selected(info)
    return {"data": [{"dealId": deal} for deal in await service.filecoin_deals(ctx, project_id, cid_of(where["cid"]))]}


@mutation.field("setReplicationPolicy")
async def resolve_set(_: None, info: Info, data: Given) -> Policy:
    ctx, project_id = await selected(info)
    return await service.set_policy(ctx, project_id, data["providers"], site_id=data.get("siteId"))


@mutation.field("deleteReplicationPolicy")
async def resolve_delete(_: None, info: Info, where: Given | None = None) -> bool:
    ctx, project_id = await selected(info)
    await service.delete_policy(ctx, project_id, site_id=(where or {}).get("siteId"))
    return True


@mutation.field("checkReplicas")
async def resolve_check(_: None, info: Info, where: Given) -> int:
    ctx, project_id = await selected(info)
    return await service.look_again(ctx, project_id, cid_of(where["cid"]))


@replica_type.field("cid")
def resolve_cid(copy: Copy, _: Info) -> str:
    return cids.to_text(copy.root)


@replica_type.field("cost")
def resolve_cost(copy: Copy, _: Info) -> str | None:
    return None if copy.cost is None else str(copy.cost.amount)


@replica_type.field("costUnit")
def resolve_cost_unit(copy: Copy, _: Info) -> str | None:
    return None if copy.cost is None else copy.cost.unit


@replica_type.field("ref")
def resolve_ref(copy: Copy, _: Info) -> str:
    return copy.receipt.ref if copy.receipt is not None else ""


@replica_type.field("url")
def resolve_url(copy: Copy, _: Info) -> str:
    return copy.receipt.url if copy.receipt is not None else ""


@replica_type.field("detail")
def resolve_detail(copy: Copy, _: Info) -> str:
    return copy.receipt.detail if copy.receipt is not None else ""


for _type, _aliases in {
    replica_type: {
        "bytes": "car_bytes",
        "blocksProved": "blocks_proved",
        "provedAt": "proved_at",
        "unwantedAt": "unwanted_at",
        "nextLookAt": "due_at",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
    },
    policy_type: {"siteId": "site_id", "createdAt": "created_at", "updatedAt": "updated_at"},
    check_type: {"blocksAsked": "asked", "blocksRight": "right"},
}.items():
    for _name, _attribute in _aliases.items():
        _type.set_alias(_name, _attribute)


bindables = [
    query,
    mutation,
    replica_type,
    policy_type,
    check_type,
    state_type,
    finding_type,
    *arweave_graphql.bindables,
]
