"""The REST edge of content, below ``/v1/projects/{project}/content``. The original upload protocol is in `fleek`, the
Pinning Service API in `pinning_api`.

POST missing        {"cids": [...]} -> {"missing": [...]}
POST car            a CAR -> {"roots", "blocks", "newBlocks", "bytes"}
POST import         a CAR to keep -> the same and "complete"; ?name= &public=
GET  <cid>.car      everything below a CID
GET  <cid>/file/... the bytes of one file
GET  <cid>/folder/... what is there: {"cid", "kind", "size", "entries", "after"}; ?first= &after=
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from af.core import web
from af.core.errors import InvalidInput
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.storage import fleek, pinning_api, service
from af.storage.bodies import body
from af.storage.models import CarReceipt, Entry
from af.storage.service import folders
from af.storage.service.access import parse_cid
from af.storage.service.folders import PAGE_MAX

QUESTION_CIDS_MAX = 20_000
_FLAGS = {"": True, "true": True, "1": True, "false": False, "0": False}


class _Question(msgspec.Struct):
    cids: Annotated[list[str], msgspec.Meta(max_length=QUESTION_CIDS_MAX)]


async def missing(request: Request) -> Response:
    """Which of up to 20,000 blocks the project must still upload, in the order asked."""
    question = await web.json_body(request, _Question)
    wanted = [parse_cid(text, field="cids") for text in question.cids]
    absent = await service.missing(web.context(request), request.path_params["project"], wanted)
    return web.json_response({"missing": [cids.to_text(cid) for cid in absent]})


async def receive_car(request: Request) -> Response:
    """Blocks for a later deployment or pin. Sending a block again does no harm."""
    ctx = web.context(request)
    parts = body(request, ctx.settings.car_bytes_max)
    receipt = await service.receive_car(ctx, request.path_params["project"], parts)
    return web.json_response(_receipt(receipt))


async def import_car(request: Request) -> Response:
    """A CAR of any size, pinned if it is complete."""
    ctx = web.context(request)
    public = request.query_params.get("public", "").lower()
    if public not in _FLAGS:
        raise InvalidInput("public is true or false.", field="public")
    imported = await service.import_car(
        ctx,
        request.path_params["project"],
        body(request, ctx.settings.archive_bytes_max),
        name=request.query_params.get("name", ""),
        public=_FLAGS[public],
    )
    document = _receipt(imported.receipt)
    document["complete"] = imported.complete
    document["missing"] = [cids.to_text(cid) for cid in imported.missing]
    return web.json_response(document)


async def export_car(request: Request) -> Response:
    """The DAG as a CARv1. A stream that breaks in the middle ends the connection: the CAR is then visibly cut."""
    root = parse_cid(request.path_params["cid"])
    parts = await service.export_car(web.context(request), request.path_params["project"], root)
    text = cids.to_text(root)
    headers = {
        "Content-Disposition": f'attachment; filename="{text}.car"',
        "Etag": f'"{text}.car"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(parts, media_type=f"{car.CONTENT_TYPE}; version=1; order=dfs; dups=n", headers=headers)


async def read_file(request: Request) -> Response:
    """One file, always as a download: what users store must not run on this origin."""
    root = parse_cid(request.path_params["cid"])
    path = request.path_params["path"]
    file = await service.open_file(web.context(request), request.path_params["project"], root, path)
    name = quote(path.rpartition("/")[2] or cids.to_text(root), safe="")
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Etag": f'"{cids.to_text(file.cid)}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(file.content, media_type="application/octet-stream", headers=headers)


async def list_folder(request: Request) -> Response:
    """What a path is, and a page of a folder's entries; ``after`` asks for the next page, null when there is none."""
    root = parse_cid(request.path_params["cid"])
    first = request.query_params.get("first", str(PAGE_MAX))
    if not first.isascii() or not first.isdecimal() or len(first) > 4 or not 1 <= int(first) <= PAGE_MAX:
        raise InvalidInput(f"first is a number from 1 to {PAGE_MAX}.", field="first")
    found = await folders.list_folder(
        web.context(request),
        request.path_params["project"],
        root,
        request.path_params["path"],
        first=int(first),
        after=request.query_params.get("after", ""),
    )
    entries = [{"name": _name(entry)} | _what(entry) for entry in found.entries]
    after = entries[-1]["name"] if found.more else None
    return web.json_response(_what(found.entry) | {"entries": entries, "after": after})


def _what(entry: Entry) -> dict[str, object]:
    return {"cid": cids.to_text(entry.cid), "kind": entry.kind, "size": entry.size_bytes}


def _name(entry: Entry) -> str:
    """Names that are not UTF-8, which we take in from foreign CARs only, with U+FFFD where JSON has no word for it."""
    return entry.name.decode("utf-8", "replace")


def _receipt(receipt: CarReceipt) -> dict[str, object]:
    return {
        "roots": [cids.to_text(root) for root in receipt.roots],
        "blocks": receipt.blocks,
        "newBlocks": receipt.new_blocks,
        "bytes": receipt.bytes,
    }


_CONTENT = "/v1/projects/{project}/content"

routes = [
    Route(f"{_CONTENT}/missing", missing, methods=["POST"]),
    Route(f"{_CONTENT}/car", receive_car, methods=["POST"]),
    Route(f"{_CONTENT}/import", import_car, methods=["POST"]),
    Route(f"{_CONTENT}/{{cid}}.car", export_car, methods=["GET"]),
    Route(f"{_CONTENT}/{{cid}}/file/{{path:path}}", read_file, methods=["GET"]),
    Route(f"{_CONTENT}/{{cid}}/folder/{{path:path}}", list_folder, methods=["GET"]),
    *fleek.routes,
    *pinning_api.routes,
]

renderings = {pinning_api.PREFIX: pinning_api.failure}
"""How errors look where another standard says so (see `web.RequestContext`)."""
