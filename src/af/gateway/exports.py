"""Blocks as they are: ``application/vnd.ipld.raw`` and ``application/vnd.ipld.car``, for clients that verify
(https://specs.ipfs.tech/http-gateways/trustless-gateway/). The simple form: one block, or a path's blocks and
everything below its end, each once, depth first."""

from __future__ import annotations

from collections.abc import AsyncIterator

from af.gateway.errors import NotAcceptable
from af.gateway.replies import Header, Reply
from af.gateway.represent import CORS, IMMUTABLE
from af.gateway.requests import Path, Request
from af.gateway.tree import Directory, Found, Tree
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import LimitExceeded
from af.protocols.ipfs.export import links_of

RAW_TYPE = b"application/vnd.ipld.raw"
CAR_TYPE = b"application/vnd.ipld.car"
BLOCKS_MAX = 4_000_000
_ACCEPT_BYTES_MAX = 1_024
_SCOPES = ("all", "entity", "block")


def wanted_format(request: Request) -> str | None:
    """``raw``, ``car``, or `None` for the content itself. The query wins over Accept.

    :raises NotAcceptable: another format is asked for.
    """
    named = request.parameter("format")
    if named is None:
        for item in request.headers.get(b"accept", b"")[:_ACCEPT_BYTES_MAX].split(b","):
            kind = item.partition(b";")[0].strip().lower()
            if kind.startswith(b"application/vnd.ip"):
                named = kind.rpartition(b".")[2].decode("latin-1")
                break
    if named is None or named in ("raw", "car"):
        return named
    raise NotAcceptable(f"The format {named[:32]!r} is not offered here.", hint="Use format=raw or format=car.")


async def raw(tree: Tree, request: Request, path: Path, root: CID, found: Found) -> Reply:
    """The block at the end of the path."""
    cid = found.node.cid
    text = cids.to_text(cids.as_v1(cid))
    headers = _headers(path, root, f'"{text}.raw"', RAW_TYPE, f"{text}.bin")
    return Reply(200, headers, await tree.block(cid, public=True))


def archive(tree: Tree, request: Request, path: Path, root: CID, found: Found) -> Reply:
    """A CARv1 stream of the path and what is below. A block that is missing breaks it off."""
    scope = request.parameter("dag-scope") or "all"
    if scope not in _SCOPES:
        raise NotAcceptable("dag-scope must be all, entity or block.")
    text = cids.to_text(cids.as_v1(found.node.cid))
    kind = CAR_TYPE + b"; version=1; order=dfs; dups=n"
    headers = _headers(path, root, f'W/"{text}.car.{scope}.{len(found.cids)}"', kind, f"{text}.car")

    async def stream() -> AsyncIterator[bytes]:
        yield car.header([found.cids[0]])
        sent: set[CID] = set()
        for cid in found.cids[:-1]:
            async for part in _block(tree, cid, sent):
                yield part
        stack = [found.node.cid]
        while stack:
            cid = stack.pop()
            if cid in sent:
                continue
            if len(sent) >= BLOCKS_MAX:
                raise LimitExceeded(f"more than {BLOCKS_MAX} blocks")
            data = await tree.block(cid, public=True)
            sent.add(cid)
            if not cids.is_identity(cid):
                yield car.frame(cid, data)
            if scope == "all" or (scope == "entity" and not isinstance(found.node, Directory)):
                stack += reversed(links_of(cid, data))

    return Reply(200, headers, stream=stream, length=None)


async def _block(tree: Tree, cid: CID, sent: set[CID]) -> AsyncIterator[bytes]:
    if cid not in sent:
        sent.add(cid)
        if not cids.is_identity(cid):
            yield car.frame(cid, await tree.block(cid, public=True))


def _headers(path: Path, root: CID, etag: str, content_type: bytes, file_name: str) -> list[Header]:
    shown = path.quoted if path.segments else ""
    return [
        (b"content-type", content_type),
        (b"content-disposition", f'attachment; filename="{file_name}"'.encode()),
        (b"etag", etag.encode()),
        (b"cache-control", IMMUTABLE),
        (b"x-content-type-options", b"nosniff"),
        (b"x-ipfs-path", f"/ipfs/{cids.to_text(cids.as_v1(root))}{shown}".encode()),
        (b"vary", b"accept"),
        *CORS,
    ]
