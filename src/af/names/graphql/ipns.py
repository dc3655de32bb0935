"""IPNS names in GraphQL."""

from __future__ import annotations

import base64
import binascii

from ariadne import MutationType, ObjectType, QueryType

from af import projects
from af.core import ids
from af.core.context import Context
from af.core.errors import InvalidInput
from af.names import rules, service
from af.names.graphql.shared import Given, Info, ctx_of, page_of, page_size, selected
from af.names.models import IpnsName
from af.protocols.ipfs import ipns, peerkeys

query = QueryType()
mutation = MutationType()
record_type = ObjectType("IPNSRecord")


# --- queries ---------------------------------------------------------------------------------------------------------


@query.field("ipnsRecord")
async def resolve_ipns_record(_: None, info: Info, name: str | None = None, where: Given | None = None) -> IpnsName:
    given = [text for text in (name, (where or {}).get("name")) if text]
    if len(given) != 1:
        raise InvalidInput("Give exactly one of name and where.name.", field="name")
    ctx, project_id = await _where(info, given[0])
    return await service.find(ctx, project_id, given[0])


@query.field("ipnsRecords")
async def resolve_ipns_records(_: None, info: Info, first: int | None = None, after: str | None = None) -> Given:
    size = page_size(first)
    ids.check_cursor(ids.IPNS_RECORD, after)
    ctx, project_id = await selected(info)
    return page_of(await service.list_names(ctx, project_id, first=size + 1, after=after), size)


@query.field("resolveIpnsName")
async def resolve_resolve(_: None, info: Info, where: Given) -> str:
    ctx = ctx_of(info)
    await projects.require_signed_in(ctx)
    return (await service.resolve(ctx, where["name"])).path


# --- mutations -------------------------------------------------------------------------------------------------------


@mutation.field("createIpnsRecord")
async def resolve_create(_: None, info: Info, data: Given | None = None) -> IpnsName:
    ctx, project_id = await selected(info)
    return await service.create(ctx, project_id, label=(data or {}).get("label"))


@mutation.field("publishIpnsRecord")
async def resolve_publish(_: None, info: Info, where: Given, data: Given) -> IpnsName:
    ctx, project_id = await _where(info, where["id"])
    return await service.publish(
        ctx,
        project_id,
        where["id"],
        data["hash"],
        lifetime_seconds=_whole(data, "lifetime", rules.LIFETIME_SECONDS),
        ttl_seconds=rules.TTL_SECONDS if data.get("ttl") is None else data["ttl"],
        sequence=None if data.get("sequence") is None else _whole(data, "sequence", 0),
    )


@mutation.field("publishSignedIpnsName")
async def resolve_publish_signed(_: None, info: Info, data: Given) -> str:
    ctx, project_id = await selected(info)
    return (await service.put_record(ctx, project_id, data["key"], _decoded(data, "input", ipns.MAX_RECORD_BYTES))).name


@mutation.field("rotateIpnsRecord")
async def resolve_rotate(_: None, info: Info, where: Given) -> IpnsName:
    ctx, project_id = await _where(info, where["id"])
    return await service.rotate(ctx, project_id, where["id"])


@mutation.field("deleteIpnsRecord")
async def resolve_delete(_: None, info: Info, where: Given) -> IpnsName:
    ctx, project_id = await _where(info, where["id"])
    return await service.delete(ctx, project_id, where["id"])


@mutation.field("importIpnsKey")
async def resolve_import(_: None, info: Info, data: Given) -> IpnsName:
    ctx, project_id = await selected(info)
    key = _decoded(data, "key", peerkeys.MAX_KEY_BYTES)
    return await service.import_key(ctx, project_id, key, label=data.get("label"))


@mutation.field("exportIpnsKey")
async def resolve_export(_: None, info: Info, where: Given, data: Given | None = None) -> Given:
    ctx, project_id = await _where(info, where["id"])
    key_format = (data or {}).get("format") or peerkeys.KeyFormat.LIBP2P.value
    found = await service.find(ctx, project_id, where["id"])
    key = await service.export_key(ctx, project_id, where["id"], key_format)
    return {"name": found.name, "format": key_format, "key": base64.b64encode(key).decode()}


# --- fields ----------------------------------------------------------------------------------------------------------


@record_type.field("hash")
def resolve_hash(name: IpnsName, _: Info) -> str:
    cid = name.value.removeprefix("/ipfs/")
    return name.value if "/" in cid else cid


@record_type.field("keyType")
def resolve_key_type(name: IpnsName, _: Info) -> str | None:
    return name.key_type or None


@record_type.field("sequence")
def resolve_sequence(name: IpnsName, _: Info) -> int | None:
    return None if name.record is None else name.sequence


for _name, _attribute in {
    "validUntil": "valid_until",
    "lifetime": "lifetime_seconds",
    "ttl": "ttl_seconds",
    "renewsAt": "due_at",
    "replacedBy": "replaced_by",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}.items():
    record_type.set_alias(_name, _attribute)


# --- what is given ---------------------------------------------------------------------------------------------------


async def _where(info: Info, named: str) -> tuple[Context, str | None]:
    """The context, and the project that ``named`` is a name or label of; an id says that by itself."""
    if ids.is_id(ids.IPNS_RECORD, named):
        return ctx_of(info), None
    return await selected(info)


def _decoded(data: Given, field: str, bytes_max: int) -> bytes:
    text: str = data[field]
    if len(text) > 2 * bytes_max:
        raise InvalidInput(f"{field} has more than {bytes_max:,} bytes.", field=field)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{field} is not base64.", field=field) from error


def _whole(data: Given, field: str, default: int) -> int:
    value = data.get(field)
    if value is None:
        return default
    if not -(2**53) < value < 2**53 or value != int(value):
        raise InvalidInput(f"{field} is a whole number below 2^53.", field=field)
    return int(value)


bindables = [query, mutation, record_type]
