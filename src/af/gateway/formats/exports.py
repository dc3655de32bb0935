"""A path's content in the form that was asked for."""

from __future__ import annotations

from af.core.clock import Clock
from af.gateway.conditions import none_match
from af.gateway.errors import ContentNotFound, InsideBlock
from af.gateway.formats import MEDIA_TYPES, Wanted, car, dag
from af.gateway.formats.tar import tar
from af.gateway.replies import Header, Reply
from af.gateway.represent import CORS, Origin, Representer, common_headers, not_modified
from af.gateway.requests import Path, Request, disposition
from af.gateway.tree import Resolved, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns

_RECORD_SECONDS_MAX = 604_800


class Exports:
    def __init__(self, tree: Tree, represent: Representer, clock: Clock) -> None:
        self._tree = tree
        self._represent = represent
        self._clock = clock

    async def export(self, request: Request, origin: Origin, path: Path, asked: Wanted) -> Reply | None:
        """The reply in the form asked for; `None` when that form is the content itself (JSON in a JSON file).

        :raises ContentNotFound, NotAcceptable, InvalidAddress, InsideBlock:
        """
        resolved = await self._resolve(origin, path)
        if resolved.rest and asked.name in ("raw", "car", "tar"):
            raise InsideBlock("The path ends inside of a block, which has no CID of its own.")
        match asked.name:
            case "raw":
                return await self._raw(request, origin, path, resolved)
            case "car":
                return await self._car(request, origin, path, resolved, car.options(request, asked))
            case "tar":
                return await self._tar(request, origin, path, resolved)
        return await dag.reply(self._tree, self._represent, request, origin, path, resolved, asked)

    async def native(self, request: Request, origin: Origin, path: Path) -> Reply | None:
        """Content that is no file or directory, as it is; `None` if we cannot read it at all."""
        return await dag.reply(
            self._tree, self._represent, request, origin, path, await self._resolve(origin, path), None
        )

    async def _resolve(self, origin: Origin, path: Path) -> Resolved:
        resolved = await self._tree.resolve(origin.root, path.segments, public=True)
        if resolved is None:
            raise ContentNotFound("There is nothing at this path.")
        return resolved

    async def _raw(self, request: Request, origin: Origin, path: Path, resolved: Resolved) -> Reply:
        """The block at the end of the path."""
        data = await self._tree.block(resolved.cid, public=True)
        text = cids.to_text(resolved.cid)
        headers = _headers(request, origin, path, resolved, f'"{text}.raw"'.encode(), MEDIA_TYPES["raw"], f"{text}.bin")
        return self._represent.in_memory(request, origin, data, [*headers, (b"accept-ranges", b"bytes")])

    async def _car(
        self, request: Request, origin: Origin, path: Path, resolved: Resolved, chosen: car.Options
    ) -> Reply:
        await self._tree.block(resolved.cid, public=True)  # what is not here at all is a 404, not a broken stream
        name = f"{cids.to_text(resolved.cid)}.car"
        headers = _headers(request, origin, path, resolved, chosen.etag(resolved), chosen.content_type, name)
        headers.append((b"accept-ranges", b"none"))
        if none_match(request.headers.get(b"if-none-match", b""), chosen.etag(resolved)):
            return not_modified(headers)
        return Reply(200, headers, stream=lambda: car.archive(self._tree, resolved, chosen), length=None)

    async def _tar(self, request: Request, origin: Origin, path: Path, resolved: Resolved) -> Reply:
        found = await self._tree.find(resolved.base, resolved.below, public=True)
        if found is None:
            raise ContentNotFound("There is nothing at this path.")
        text = cids.to_text(resolved.cid)
        etag = f'W/"{text}.x-tar"'.encode()
        headers = _headers(request, origin, path, resolved, etag, MEDIA_TYPES["tar"], f"{text}.tar")
        headers.append((b"accept-ranges", b"none"))
        if none_match(request.headers.get(b"if-none-match", b""), etag):
            return not_modified(headers)
        return Reply(200, headers, stream=await tar(self._tree, found, public=True), length=None)

    def record(self, request: Request, key: ipns.Name, data: bytes) -> Reply:
        """An IPNS record (https://specs.ipfs.tech/http-gateways/trustless-gateway/#ipns-record-responses)."""
        record = ipns.read(key, data)
        left = (record.valid_until - self._clock.now()).total_seconds()
        seconds = max(0, min(record.ttl_seconds, left, _RECORD_SECONDS_MAX))
        name = ipns.to_text(key)
        headers: list[Header] = [
            (b"content-type", MEDIA_TYPES["ipns-record"]),
            (b"content-disposition", disposition("attachment", _file_name(request, f"{name}.ipns-record"))),
            (b"etag", f'"{name}.{record.sequence}"'.encode()),
            (b"cache-control", b"public, max-age=%d" % seconds),
            (b"x-content-type-options", b"nosniff"),
            (b"x-ipfs-path", f"/ipns/{name}".encode()),
            (b"vary", b"accept"),
            *CORS,
        ]
        if none_match(request.headers.get(b"if-none-match", b""), headers[2][1]):
            return not_modified(headers)
        return Reply(200, headers, data)


def _headers(
    request: Request,
    origin: Origin,
    path: Path,
    resolved: Resolved,
    etag: bytes,
    content_type: bytes,
    file_name: str,
) -> list[Header]:
    return [
        (b"content-type", content_type),
        (b"content-disposition", disposition("attachment", _file_name(request, file_name))),
        (b"etag", etag),
        (b"cache-control", origin.cache_control),
        (b"vary", b"accept"),
        *common_headers(origin, path, resolved.cids),
    ]


def _file_name(request: Request, default: str) -> str:
    return (request.parameter("filename") or default)[:255]
