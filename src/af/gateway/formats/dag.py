"""Blocks of dag-json, dag-cbor, JSON and CBOR as they are (https://specs.ipfs.tech/http-gateways/path-gateway/), and as
a page for people.

One codec is never converted into another (IPIP-0524): a block comes in its own form, or there is 406 and the advice to
fetch it raw. ``json`` and ``cbor`` only give the same bytes of their ``dag-`` form a plainer Content-Type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from af.gateway.conditions import none_match
from af.gateway.errors import InsideBlock, NotAcceptable
from af.gateway.formats import MEDIA_TYPES, Wanted, preview
from af.gateway.pages import HEADERS as PAGE_HEADERS
from af.gateway.pages import wants_html
from af.gateway.replies import Header, Reply
from af.gateway.represent import IMMUTABLE, Origin, Representer, common_headers, not_modified
from af.gateway.requests import Path, Request, disposition
from af.gateway.tree import Resolved, Tree
from af.gateway.website import LISTING_CACHE
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagjson
from af.protocols.ipfs.cid import CID

_FILE_NAME_MAX = 255
_NATIVE: Mapping[int, str] = {
    dagjson.JSON: "json",
    dagjson.CBOR: "cbor",
    cids.DAG_JSON: "dag-json",
    cids.DAG_CBOR: "dag-cbor",
}
_FILES = (cids.RAW, cids.DAG_PB)


@dataclass(frozen=True, slots=True)
class Form:
    """How a block is labelled. ``name`` is the form's name in ``format=`` and at the end of the ETag."""

    name: str

    @property
    def content_type(self) -> bytes:
        return MEDIA_TYPES[self.name]

    @property
    def extension(self) -> str:
        return ".json" if self.name.endswith("json") else ".cbor"

    @property
    def placement(self) -> str:
        """Browsers can show JSON, and can only save CBOR."""
        return "inline" if self.extension == ".json" else "attachment"

    def etag(self, cid: CID) -> bytes:
        return f'"{cids.to_text(cid)}.{self.name}"'.encode()


def form_of(cid: CID, wanted: str | None) -> Form | None:
    """The form in which the block ``cid`` answers a request for ``wanted`` (json, cbor, dag-json, dag-cbor, or `None`
    for none in particular). `None`: the content itself is what was asked for, a UnixFS file that may well hold JSON, or
    (nothing was asked for) a codec that is not for here.

    :raises NotAcceptable: the block has another codec, or none that can be shown so.
    """
    codec = cids.codec(cid)
    native = _NATIVE.get(codec)
    if wanted is None:
        return None if native is None else Form(native)
    if wanted in ("json", "cbor"):
        if native in (wanted, f"dag-{wanted}"):
            return Form(wanted)
        if codec in _FILES:
            return None
    elif native == wanted:
        return Form(wanted)
    has = native or {cids.RAW: "raw", cids.DAG_PB: "dag-pb"}.get(codec, f"codec 0x{codec:x}")
    raise NotAcceptable(
        f"The block is {has}, and is not converted into {wanted}.",
        hint="Fetch the block as it is with ?format=raw and convert it yourself.",
    )


async def reply(
    tree: Tree,
    represent: Representer,
    request: Request,
    origin: Origin,
    path: Path,
    resolved: Resolved,
    asked: Wanted | None,
) -> Reply | None:
    """The block that ``path`` ends at; `None` where `form_of` says that it is no matter of ours.

    :raises NotAcceptable: asked for in another codec.
    :raises InsideBlock: the path goes on inside of the block.
    :raises BlockMissing: not here, or not public.
    """
    if resolved.rest:
        raise InsideBlock(
            "The path ends inside of a block, and reading parts of blocks is not offered.",
            hint=f"The whole block is /ipfs/{cids.to_text(resolved.cid)}.",
        )
    form = form_of(resolved.cid, None if asked is None else asked.name)
    if form is None:
        return None
    block = await tree.block(resolved.cid, public=origin.public)
    saved = request.parameter("download") == "true"
    if asked is None and form.name.startswith("dag-") and not saved and wants_html(request.headers.get(b"accept")):
        return _page(request, origin, path, resolved, form, block)
    name = (request.parameter("filename") or f"{cids.to_text(resolved.cid)}{form.extension}")[:_FILE_NAME_MAX]
    headers: list[Header] = [
        (b"content-type", form.content_type),
        (b"content-disposition", disposition("attachment" if saved else form.placement, name)),
        (b"etag", form.etag(resolved.cid)),
        (b"cache-control", origin.cache_control),
        (b"accept-ranges", b"bytes"),
        (b"vary", b"accept"),
        *common_headers(origin, path, resolved.cids),
    ]
    return represent.in_memory(request, origin, block, headers)


def _page(request: Request, origin: Origin, path: Path, resolved: Resolved, form: Form, block: bytes) -> Reply:
    """For people. No redirect to a final slash: the page's links do not depend on where it is."""
    headers: list[Header] = [
        (b"etag", b'"DagIndex-%b_CID-%b"' % (preview.VERSION, cids.to_text(resolved.cid).encode())),
        (b"cache-control", LISTING_CACHE if origin.cache_control == IMMUTABLE else origin.cache_control),
        (b"vary", b"accept"),
        *common_headers(origin, path, resolved.cids),
        *(pair for pair in PAGE_HEADERS if pair[0] != b"x-content-type-options"),
    ]
    if none_match(request.headers.get(b"if-none-match", b""), headers[0][1]):
        return not_modified(headers)
    return Reply(200, headers, preview.render(resolved.cid, form.name, block, origin.gateway))
