"""The REST edge of names, below ``/v1/projects/{project}/ipns``: records as bytes.

PUT <name>   a record that was signed elsewhere (``application/vnd.ipfs.ipns-record``) -> what is kept now
GET <name>   the newest record of a name of the project, as the gateway gives it for ``?format=ipns-record``
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.core import web
from af.names import service
from af.names.errors import NameNotFound
from af.protocols.ipfs import ipns


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


_RECORD = "/v1/projects/{project}/ipns/{name}"

routes = [Route(_RECORD, put, methods=["PUT"]), Route(_RECORD, get, methods=["GET"])]
