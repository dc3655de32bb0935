"""A file as a response: its type, its encoding, its validators, the ranges asked for."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from af.gateway import conditions, encodings, files
from af.gateway.encodings import Compressor
from af.gateway.errors import PreconditionFailed
from af.gateway.replies import ENTITY_HEADERS, KEPT_BODY_BYTES_MAX, Header, Keep, Reply, Responses
from af.gateway.requests import Path, Request, disposition
from af.gateway.tree import PUBLIC_KEEP_SECONDS, File, Found, Tree
from af.protocols import headers as header_rules
from af.protocols import media, redirects
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID

IMMUTABLE = b"public, max-age=29030400, immutable"
REVALIDATE = b"public, max-age=0, must-revalidate"
CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Content-Type, Range, User-Agent, X-Requested-With"),
    (
        b"access-control-expose-headers",
        b"Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output",
    ),
)
_NAME_CHARACTERS_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One tree being served. ``root`` is the directory (or file) at ``prefix`` + ``/`` of this host, and ``at`` in IPFS
    terms. ``public`` reads only what is public. ``isolated`` trees have a host of their own, so ``_redirects`` and
    precompressed siblings apply. ``gateway`` is the path gateway that a listing links to: ``""`` is this host,
    ``//<host>`` another, and `None` means that there is none."""

    root: CID
    at: str
    prefix: str = ""
    public: bool
    isolated: bool
    cache_control: bytes
    lists_directories: bool
    gateway: str | None = None
    host: str = ""
    redirects: redirects.Matcher | None = None
    broken_redirects: str = ""
    headers: header_rules.Matcher | None = None


@dataclass(frozen=True, slots=True)
class _Variant:
    """The bytes chosen for a file: the file itself, a sibling made at build time, or compressed here (``data``)."""

    file: File
    encoding: str = encodings.IDENTITY
    data: bytes | None = None

    def etag(self, folder: Found | None) -> bytes:
        """The CID that the path names: ``folder``'s where a directory is shown by its index.html."""
        named = self.file.cid if folder is None else folder.node.cid
        suffix = f"-{self.encoding}" if self.encoding else ""
        return f'"{cids.to_text(named)}{suffix}"'.encode()


class Representer:
    def __init__(self, tree: Tree, responses: Responses) -> None:
        self._tree = tree
        self._responses = responses
        self._compressor = Compressor()

    def close(self) -> None:
        self._compressor.close()

    async def file(
        self, request: Request, origin: Origin, found: Found, path: Path, status: int, *, folder: Found | None = None
    ) -> Reply:
        """The reply for a file. ``path`` is the path asked for, which ``_headers`` and X-Ipfs-Path go by; ``found``
        may be another (index.html of ``folder``, a rewrite). Ranges and validators count for status 200 only.

        :raises PreconditionFailed: If-Match names another version.
        """
        assert isinstance(found.node, File)
        file = found.node
        start = file.inline or await self._first_bytes(file, origin)
        name = found.segments[-1].decode("utf-8", "replace") if found.segments else ""
        content_type = media.type_of(_chosen_name(request, origin) or name, start)
        varies = file.size >= encodings.COMPRESS_BYTES_MIN and media.is_compressible(content_type)
        wants_range = status == 200 and b"range" in request.headers
        variant = _Variant(file)
        if varies and not wants_range:
            variant = await self._variant(request, origin, found)
        etag = variant.etag(folder)
        base = [
            (b"etag", etag),
            (b"cache-control", origin.cache_control),
            *common_headers(origin, path, folder.cids if folder is not None else found.cids),
            *([(b"vary", b"accept-encoding")] if varies else []),
        ]
        entity = [(b"content-type", content_type.encode()), (b"accept-ranges", b"bytes"), *_named(request, origin)]
        if variant.encoding:
            entity.append((b"content-encoding", variant.encoding.encode()))
        headers = apply_rules(origin, path, base + entity)
        if status != 200:
            return self._whole(request, origin, variant, status, headers)
        if (refusal := self._conditional(request, etag, headers)) is not None:
            return refusal
        if wants_range and conditions.range_applies(request.headers.get(b"if-range"), etag):
            partial = self._ranges(request.headers[b"range"], origin, file, headers)
            if partial is not None:
                return partial
        return self._whole(request, origin, variant, status, headers)

    def in_memory(self, request: Request, origin: Origin, data: bytes, headers: list[Header]) -> Reply:
        """The reply for bytes at hand, whose ``headers`` name their ETag: whole, in part, or nothing new.

        :raises PreconditionFailed: If-Match names another version.
        """
        etag = next(value for name, value in headers if name == b"etag")
        if (refusal := self._conditional(request, etag, headers)) is not None:
            return refusal
        if b"range" in request.headers and conditions.range_applies(request.headers.get(b"if-range"), etag):
            partial = self._ranges(request.headers[b"range"], origin, File(origin.root, len(data), data), headers)
            if partial is not None:
                return partial
        return Reply(200, headers, data)

    # --- which bytes -----------------------------------------------------------------------------------------------

    async def _first_bytes(self, file: File, origin: Origin) -> bytes:
        async for piece in files.read(self._tree, file, 0, min(file.size, media.SNIFF_BYTES), public=origin.public):
            return piece
        return b""

    async def _variant(self, request: Request, origin: Origin, found: Found) -> _Variant:
        """The best encoding that the client takes: a sibling ``name.br``/``name.gz`` if there is one, else our own."""
        file = found.node
        assert isinstance(file, File)
        wanted = encodings.accepted(request.headers.get(b"accept-encoding", b""))
        if origin.isolated and found.segments:
            for encoding in wanted:
                suffix = b".br" if encoding == "br" else b".gz"
                segments = (*found.segments[:-1], found.segments[-1] + suffix)
                sibling = await self._tree.find(origin.root, segments, public=origin.public)
                if sibling is not None and isinstance(sibling.node, File):
                    return _Variant(sibling.node, encoding)
        if not wanted or file.size > encodings.COMPRESS_BYTES_MAX:
            return _Variant(file)
        encoding = wanted[0]
        key = (file.cid, encoding)
        data = self._responses.body(key)
        if data is None:
            pieces = [piece async for piece in files.read(self._tree, file, 0, file.size, public=origin.public)]
            data = await self._compressor.compress(key, b"".join(pieces), encoding)
            if data is None:
                return _Variant(file)
            self._responses.keep_body(key, data, None)
        return _Variant(file, encoding, data)

    # --- whole, part, or nothing -----------------------------------------------------------------------------------

    def _conditional(self, request: Request, etag: bytes, headers: list[Header]) -> Reply | None:
        if_match = request.headers.get(b"if-match")
        if if_match is not None and conditions.match_fails(if_match, etag):
            raise PreconditionFailed("Another version of this content is current.")
        none_match = request.headers.get(b"if-none-match")
        if none_match is not None and conditions.none_match(none_match, etag):
            return not_modified(headers)
        return None

    def _whole(self, request: Request, origin: Origin, variant: _Variant, status: int, headers: list[Header]) -> Reply:
        seconds = PUBLIC_KEEP_SECONDS if origin.public else None
        file = variant.file
        if variant.data is not None:
            return Reply(status, headers, variant.data, keep=Keep((file.cid, variant.encoding), None, seconds))
        if len(file.inline) == file.size:
            leaf = file.cid if file.raw else None
            return Reply(status, headers, file.inline, keep=Keep((file.cid, ""), leaf, seconds))
        if file.size <= KEPT_BODY_BYTES_MAX and (kept := self._responses.body((file.cid, ""))) is not None:
            return Reply(status, headers, kept, keep=Keep((file.cid, ""), None, seconds))
        stream = self._stream(origin, file, conditions.Span(0, file.size))
        if file.size <= KEPT_BODY_BYTES_MAX and request.method == "GET":
            stream = self._keeping(stream, file)
        return Reply(status, headers, stream=stream, length=file.size)

    def _stream(self, origin: Origin, file: File, span: conditions.Span) -> Callable[[], AsyncIterator[bytes]]:
        return lambda: files.read(self._tree, file, span.start, span.stop, public=origin.public)

    def _keeping(self, stream: Callable[[], AsyncIterator[bytes]], file: File) -> Callable[[], AsyncIterator[bytes]]:
        """The same stream; a small file of several blocks that was read to its end is kept, so the next answer is
        hot."""

        async def read() -> AsyncIterator[bytes]:
            pieces = []
            async for piece in stream():
                pieces.append(piece)
                if len(pieces) > 1:
                    yield pieces[-2]
            self._responses.keep_body((file.cid, ""), b"".join(pieces), None)
            yield pieces[-1]

        return read

    def _ranges(self, header: bytes, origin: Origin, file: File, headers: list[Header]) -> Reply | None:
        """206 or 416; `None` when the Range header is to be ignored."""
        try:
            spans = conditions.ranges(header, file.size)
        except conditions.Unsatisfiable:
            kept = [pair for pair in headers if pair[0] not in (b"content-type", b"etag", b"cache-control")]
            kept += [(b"content-range", b"bytes */%d" % file.size), (b"content-type", b"text/plain; charset=utf-8")]
            return Reply(416, kept, b"None of the ranges asked for is inside of this file.\n")
        if not spans:
            return None
        if len(spans) == 1:
            span = spans[0]
            headers = [*headers, (b"content-range", span.content_range(file.size))]
            if file.size == len(file.inline):
                return Reply(206, headers, file.inline[span.start : span.stop])
            return Reply(206, headers, stream=self._stream(origin, file, span), length=span.stop - span.start)
        return self._multipart(spans, origin, file, headers)

    def _multipart(
        self, spans: tuple[conditions.Span, ...], origin: Origin, file: File, headers: list[Header]
    ) -> Reply:
        """``multipart/byteranges`` (RFC 9110 §14.6)."""
        boundary = secrets.token_hex(12).encode()
        content_type = next((value for name, value in headers if name == b"content-type"), b"application/octet-stream")
        part = b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
        heads = [part % (boundary, content_type, span.content_range(file.size)) for span in spans]
        end = b"\r\n--%b--\r\n" % boundary
        length = sum(map(len, heads)) + sum(span.stop - span.start for span in spans) + len(end)

        async def stream() -> AsyncIterator[bytes]:
            for head, span in zip(heads, spans, strict=True):
                yield head
                async for piece in self._stream(origin, file, span)():
                    yield piece
            yield end

        kept = [pair for pair in headers if pair[0] != b"content-type"]
        kept.append((b"content-type", b"multipart/byteranges; boundary=" + boundary))
        return Reply(206, kept, stream=stream, length=length)


def not_modified(headers: list[Header]) -> Reply:
    return Reply(304, [pair for pair in headers if pair[0] not in ENTITY_HEADERS])


def common_headers(origin: Origin, path: Path, roots: Sequence[CID] | None) -> list[Header]:
    """What every answer about a tree carries: where it is in IPFS terms, and who may read it. ``roots`` are the CIDs of
    the path's segments, where they are known."""
    shown = path.quoted if path.segments else "/" * path.ends_with_slash
    headers: list[Header] = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-ipfs-path", f"{origin.at}{shown}".encode()),
    ]
    if roots is not None:
        headers.append((b"x-ipfs-roots", ",".join(map(cids.to_text, roots)).encode()))
    if origin.public:
        headers += CORS
    return headers


def _chosen_name(request: Request, origin: Origin) -> str:
    """The file name that the visitor wants, of public content only: a site's files have their own."""
    return (request.parameter("filename") or "")[:_NAME_CHARACTERS_MAX] if origin.public and request.query else ""


def _named(request: Request, origin: Origin) -> list[Header]:
    """``?filename=`` and ``?download=true`` (https://specs.ipfs.tech/http-gateways/path-gateway/)."""
    if not (origin.public and request.query):
        return []
    name, saved = _chosen_name(request, origin), request.parameter("download") == "true"
    if not name:
        return [(b"content-disposition", b"attachment")] if saved else []
    return [(b"content-disposition", disposition("attachment" if saved else "inline", name))]


def apply_rules(origin: Origin, path: Path, headers: list[Header]) -> list[Header]:
    """``headers`` as the site's ``_headers`` file wants them."""
    if origin.headers is None:
        return headers
    changes = origin.headers.changes_for(path.text)
    if changes is header_rules.UNCHANGED:
        return headers
    given = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in changes.headers]
    replaced = {name for name, _ in given} | {name.encode("ascii") for name in changes.removed}
    protected = (b"etag", b"accept-ranges", b"content-encoding")
    return [pair for pair in headers if pair[0] not in replaced or pair[0] in protected] + given
