"""ENS records in GraphQL."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, cast

from ariadne import MutationType, ObjectType, QueryType

from af.core import ids
from af.core.batch import Batch
from af.core.context import Context
from af.names import service
from af.names.errors_ens import EnsRecordNotFound
from af.names.graphql.shared import PAGE_MAX, Given, Info, ctx_of, page_of, page_size, selected
from af.names.models import IpnsName
from af.names.models_ens import EnsRecord, EnsResolution, UnsignedTransaction

query = QueryType()
mutation = MutationType()
record_type = ObjectType("EnsRecord")
transaction_type = ObjectType("EnsTransaction")
resolution_type = ObjectType("EnsResolution")
ipns_type = ObjectType("IPNSRecord")


# --- queries ---------------------------------------------------------------------------------------------------------


@query.field("ensRecord")
async def resolve_ens_record(_: None, info: Info, where: Given) -> EnsRecord:
    return await service.find_ens(ctx_of(info), where["id"])


@query.field("ensRecordByName")
async def resolve_ens_record_by_name(_: None, info: Info, where: Given) -> EnsRecord | None:
    try:
        return await service.find_ens(ctx_of(info), where["name"])
    except EnsRecordNotFound:
        return None


@query.field("ensRecords")
async def resolve_ens_records(_: None, info: Info, first: int | None = None, after: str | None = None) -> Given:
    return await _page(info, first, after)


@query.field("ensRecordsByIpnsId")
async def resolve_ens_records_of(_: None, info: Info, where: Given) -> Given:
    named: str | None = where.get("ipnsRecordId")
    if named is None:
        return await _page(info, None, None)
    name = await service.find(ctx_of(info), None, named)
    found = await service.list_ens(ctx_of(info), name.project_id, ipns_record_id=name.id, first=PAGE_MAX + 1)
    return page_of(found, PAGE_MAX)


async def _page(info: Info, first: int | None, after: str | None) -> Given:
    size = page_size(first)
    ids.check_cursor(ids.ENS_RECORD, after)
    ctx, project_id = await selected(info)
    return page_of(await service.list_ens(ctx, project_id, first=size + 1, after=after), size)


@query.field("ensTransaction")
async def resolve_ens_transaction(_: None, info: Info, **given: Any) -> UnsignedTransaction:
    return await service.prepare_ens(ctx_of(info), given["where"]["id"], sender=given.get("from"))


@query.field("resolveEnsName")
async def resolve_ens_name(_: None, info: Info, where: Given) -> EnsResolution:
    return await service.resolve_ens(ctx_of(info), where["name"])


# --- mutations -------------------------------------------------------------------------------------------------------


@mutation.field("createEnsRecord")
async def resolve_create(_: None, info: Info, data: Given, where: Given | None = None) -> EnsRecord:
    at = where or {}
    return await service.create_ens(
        ctx_of(info), data["name"], ipns=at.get("ipnsRecordId"), site_id=at.get("siteId"), content=data.get("content")
    )


@mutation.field("verifyEnsRecord")
async def resolve_verify(_: None, info: Info, where: Given, data: Given | None = None) -> EnsRecord:
    return await service.verify_ens(ctx_of(info), where["id"], transaction=(data or {}).get("transaction"))


@mutation.field("sendEnsTransaction")
async def resolve_send(_: None, info: Info, where: Given) -> EnsRecord:
    return await service.send_ens(ctx_of(info), where["id"])


@mutation.field("deleteEnsRecord")
async def resolve_delete(_: None, info: Info, where: Given) -> EnsRecord:
    return await service.delete_ens(ctx_of(info), where["id"])


# --- fields ----------------------------------------------------------------------------------------------------------


@record_type.field("ipnsRecord")
def resolve_ipns_record(record: EnsRecord, info: Info) -> Awaitable[IpnsName | None] | None:
    return None if record.ipns_record_id is None else _loaders(info.context).ipns.load(record.ipns_record_id)


@ipns_type.field("ensRecords")
def resolve_ens_of_name(name: IpnsName, info: Info) -> Awaitable[list[EnsRecord] | None]:
    return _loaders(info.context).ens.load(name.id)


def _or_null(attribute: str) -> Any:
    def resolve(value: Any, _: Info) -> str | None:
        return getattr(value, attribute) or None

    return resolve


for _name in ("reason", "seen", "owner", "transaction"):
    record_type.set_field(_name, _or_null(_name))
for _name in ("owner", "resolver", "content"):
    resolution_type.set_field(_name, _or_null(_name))
for _type, _aliases in {
    record_type: {
        "checkedAt": "checked_at",
        "verifiedAt": "verified_at",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
    },
    transaction_type: {"chainId": "chain_id", "from": "sender"},
    resolution_type: {"chainId": "chain_id"},
}.items():
    for _name, _attribute in _aliases.items():
        _type.set_alias(_name, _attribute)


# --- batches ---------------------------------------------------------------------------------------------------------


class _Loaders:
    """Of one request."""

    def __init__(self, ctx: Context) -> None:
        self.ens: Batch[str, list[EnsRecord]] = Batch(lambda keys: service.ens_of_ipns(ctx, keys))
        self.ipns: Batch[str, IpnsName] = Batch(lambda keys: service.ipns_of_ens(ctx, keys))


def _loaders(context: Mapping[str, Any]) -> _Loaders:
    return cast(_Loaders, context["loaders"].get("ens", lambda: _Loaders(context["ctx"])))


bindables = [query, mutation, record_type, transaction_type, resolution_type, ipns_type]
