"""The upload protocol of the original platform, at the root of the main address, as `@fleek-platform/sdk` 3.7.2 and
`@alternatefutures/sdk` speak it. No server for it was ever published; this follows the client.

1. ``GET /duplicity/<cid>`` (or by folder and name): 409 means "pinned already", anything else "go on".
2. ``POST /store``, up to three at once: whole CARs of at most 10 MiB (the client's sharding never cuts a block; only
   the last one names the root). The answer is the shard's CID as plain text; any status but 200 is tried again.
3. ``POST /upload``: the root, which is verified and pinned. The client reads the status only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import IO, Annotated

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from af import projects
from af.core import web
from af.core.errors import InvalidInput, TooLarge
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.storage import service
from af.storage.bodies import body

_CAR_CODEC = 0x0202
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_SHARDS_MAX = 100_000
_FORM_OVERHEAD_BYTES = 1 << 20
Name = Annotated[str, msgspec.Meta(max_length=512)]


class _Finish(msgspec.Struct, rename="camel"):
    """What `/upload` is told. ``totalSize`` counts shards, headers included; we count ourselves."""

    root_cid: Name
    basename: Name = ""
    parent_folder_id: Name | None = None
    total_size: int = 0
    shard_cids: Annotated[list[Name], msgspec.Meta(max_length=_SHARDS_MAX)] = []


async def duplicity(request: Request) -> Response:
    """409 if the project has the CID pinned."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    pin = await service.find_pin(ctx, project.id, request.path_params["cid"])
    return _duplicity(is_there=pin is not None)


async def folder_duplicity(request: Request) -> Response:
    """409 if the folder has a pin of that name."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    folder, name = request.path_params["folder"], request.path_params["name"]
    return _duplicity(is_there=await service.find_pin_in_folder(ctx, project.id, folder, name) is not None)


def _duplicity(*, is_there: bool) -> Response:
    return web.json_response({"duplicate": is_there}, 409 if is_there else 200)


async def store(request: Request) -> Response:
    """One shard; the answer is its CID (codec ``car``)."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    digest = hashlib.sha256()

    async def hashed() -> AsyncIterator[bytes]:
        async for part in body(request, ctx.settings.car_bytes_max):
            digest.update(part)
            yield part

    await service.receive_car(ctx, project.id, hashed())
    shard = CID(b"\x01" + varint.encode(_CAR_CODEC) + b"\x12\x20" + digest.digest())
    return PlainTextResponse(cids.to_text(shard))


async def upload(request: Request) -> Response:
    """All shards are there: check that everything below the root is, and pin it. Bundles of functions stay private."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    finish = await web.json_body(request, _Finish)
    before = await service.find_pin(ctx, project.id, finish.root_cid)
    pin = await service.create_pin(
        ctx,
        project.id,
        finish.root_cid,
        name=finish.basename,
        folder=finish.parent_folder_id or "",
        public=request.query_params.get("function") != "true",
    )
    return web.json_response({"pin": {"cid": cids.to_text(pin.cid), "size": pin.size}, "duplicate": before is not None})


async def upload_private(request: Request) -> Response:
    """One file that only the project can read, with its hash (``sha256-<base64>``); 201 with its CID."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    await service.may_upload(ctx, project.id)  # before the form is read to a temporary file
    limit_bytes = ctx.settings.archive_bytes_max
    bounded = Request(request.scope, _bounded(request.receive, limit_bytes + _FORM_OVERHEAD_BYTES))
    async with bounded.form(max_files=1, max_fields=8) as form:
        file, declared = form.get("file"), form.get("hash")
        if not isinstance(file, UploadFile) or not isinstance(declared, str):
            raise InvalidInput("The form has no file or no hash.", field="file")
        name = (file.filename or "").rpartition("/")[2]
        reader = _Hashed(file.file, declared)
        summary = await service.import_file(ctx, project.id, reader.read)
        reader.check()
        pin = await service.create_pin(ctx, project.id, cids.to_text(summary.root), name=name, public=False)
    return web.json_response({"cid": cids.to_text(pin.cid), "size": pin.size}, 201)


async def delete(request: Request) -> Response:
    """Stop keeping a CID."""
    ctx = web.context(request)
    project = await projects.selected(ctx)
    pin = await service.delete_pin(ctx, project.id, request.path_params["cid"])
    return web.json_response({"message": f"{cids.to_text(pin.cid)} is no longer kept."})


class _Hashed:
    """Reads a file and hashes it on the way. :raises InvalidInput: the declared hash is of a kind we cannot compute"""

    def __init__(self, file: IO[bytes], declared: str) -> None:
        algorithm, _, value = declared.partition("-")
        if algorithm not in _HASHES:
            raise InvalidInput(f"The hash must be one of {', '.join(_HASHES)} in base64, as sha256-….", field="hash")
        try:
            self._wanted = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("The hash is not base64.", field="hash") from error
        self._file = file
        self._hash = _HASHES[algorithm]()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def check(self) -> None:
        if not hmac.compare_digest(self._hash.digest(), self._wanted):
            raise InvalidInput("The file does not have the declared hash: it was changed on the way.", field="hash")


def _bounded(receive: Receive, limit_bytes: int) -> Receive:
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit_bytes:
            raise TooLarge(f"The body is larger than {limit_bytes} bytes.")
        return message

    return receive_bounded


routes = [
    Route("/duplicity/{cid}", duplicity, methods=["GET"]),
    Route("/folder/{folder}/duplicity/{name}", folder_duplicity, methods=["GET"]),
    Route("/store", store, methods=["POST"]),
    Route("/upload", upload, methods=["POST"]),
    Route("/upload/private", upload_private, methods=["POST"]),
    Route("/delete/{cid}", delete, methods=["DELETE"]),
]
