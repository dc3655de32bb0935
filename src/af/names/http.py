"""The REST edge of names: records as bytes (``application/vnd.ipfs.ipns-record``).

PUT /v1/projects/{project}/ipns/<name>   a record that was signed elsewhere -> what is kept now
GET /v1/projects/{project}/ipns/<name>   the newest record of a name of the project
GET /routing/v1/ipns/<name>              the newest valid record of any name that is kept here, for everybody: the part
                                         of Delegated Routing V1 (https://specs.ipfs.tech/routing/http-routing-v1/) by
                                         which a node elsewhere finds names here, without a DHT
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.core import web
from af.names import service
from af.names.errors import NameInvalid, NameNotFound
from af.protocols.ipfs import ipns
from af.protocols.ipfs.errors import InvalidName


async def put(request: Request) -> Response:
    """Anybody may have signed it; it is kept if it verifies and is newer than what is here."""
    data = await web.body(request, ipns.MAX_RECORD_BYTES)
    params = request.path_params
    kept = await service.put_record(web.context(request), params["project"], params["name"], data)
    document = {
        "id": kept.id,
        "name": kept.name,
        "value": kept.value,
        "sequence": kept.sequence,
        "validUntil": kept.valid_until,
        "ttl": kept.ttl_seconds,
    }
    return web.json_response(document)


async def get(request: Request) -> Response:
    """The record as it was signed."""
    params = request.path_params
    found = await service.find(web.context(request), params["project"], params["name"])
    if found.record is None:
        raise NameNotFound(f"Nothing is published under {found.name}.")
    headers = {"Content-Disposition": f'attachment; filename="{found.name}.ipns-record"', **web.NO_STORE}
    return Response(found.record, media_type=ipns.CONTENT_TYPE, headers=headers)


async def route(request: Request) -> Response:
    """Names are public, and so are their records. One spelling is enough: that of the specification, a CIDv1."""
    ctx = web.context(request)
    text = request.path_params["name"]
    try:
        name = ipns.parse_name(text)
    except InvalidName as error:
        raise NameInvalid(f"{text[:80]!r} is not an IPNS name.", field="name") from error
    data = await service.record(ctx, name)
    if data is None:
        raise NameNotFound(f"Nothing is published under {ipns.to_text(name)}.")
    record = ipns.read(name, data)
    seconds = min(record.ttl_seconds, (record.valid_until - ctx.now).total_seconds())
    headers = {"Cache-Control": f"public, max-age={max(0, int(seconds))}", "Access-Control-Allow-Origin": "*"}
    return Response(data, media_type=ipns.CONTENT_TYPE, headers=headers)


_RECORD = "/v1/projects/{project}/ipns/{name}"

routes = [
    Route(_RECORD, put, methods=["PUT"]),
    Route(_RECORD, get, methods=["GET"]),
    Route("/routing/v1/ipns/{name}", route, methods=["GET"]),
]
