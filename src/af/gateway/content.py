"""From a request to the reply: which tree, which path in it, which file.

Order on a tree with its own origin: forced redirect rules, the file (or a directory's index.html), other rules, a
listing where there may be one, the nearest 404.html, our own 404 page
(https://specs.ipfs.tech/http-gateways/web-redirects-file/).
"""

from __future__ import annotations

from af.core.settings import Settings
from af.gateway import exports, listing
from af.gateway.addresses import Address, Kind
from af.gateway.cache import ByteLru
from af.gateway.conditions import none_match
from af.gateway.errors import (
    ContentNotFound,
    ContentUnavailable,
    InvalidAddress,
    MethodNotAllowed,
    NotAcceptable,
    SiteSuspended,
    SiteUnknown,
)
from af.gateway.hosts import HostTable, Site
from af.gateway.pages import HEADERS as PAGE_HEADERS
from af.gateway.replies import Header, Reply, Responses
from af.gateway.represent import (
    CORS,
    IMMUTABLE,
    REVALIDATE,
    Origin,
    Representer,
    apply_rules,
    common_headers,
    not_modified,
)
from af.gateway.requests import Path, Request, parse_path
from af.gateway.tree import File, Found, Tree
from af.protocols import redirects, sitefiles
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import BlockMissing, InvalidBlock, InvalidCid, UnsupportedCodec

DNS_LABEL_MAX = 63
LISTING_CACHE = b"public, max-age=604800, stale-while-revalidate=2678400"
_RULES_CACHE_BYTES = 4 << 20


class Content:
    """Answers GET, HEAD and OPTIONS for sites and IPFS content. One per process."""

    def __init__(self, tree: Tree, hosts: HostTable, responses: Responses, settings: Settings) -> None:
        self._tree = tree
        self._hosts = hosts
        self._represent = Representer(tree, responses)
        self._settings = settings
        self._rules: ByteLru[CID, redirects.Matcher] = ByteLru(_RULES_CACHE_BYTES)

    def close(self) -> None:
        self._represent.close()

    async def site(self, address: Address) -> Site | None:
        """The site that an address names, if it is bound."""
        if address.kind is Kind.SITE:
            return await self._hosts.find("site", address.name)
        if address.kind is Kind.OTHER:
            return await self._hosts.find("custom", address.name)
        return None

    async def answer(self, request: Request, site: Site | None) -> Reply:
        """The reply to one request; ``site`` is what `site` said about its address.

        :raises Error: an error kind with the text for the visitor.
        """
        kind = request.address.kind
        if kind is Kind.INVALID:
            raise InvalidAddress("The Host header is malformed.")
        if request.method == "OPTIONS":
            extra = () if site is not None else CORS
            return Reply(204, [(b"allow", b"GET, HEAD, OPTIONS"), *extra])
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("Content is read-only.", hint="Use GET or HEAD.")
        path = parse_path(request.path)
        if site is not None:
            return await self._from_site(request, site, path)
        if kind is Kind.CID:
            return await self._from_cid_host(request, path)
        if kind in (Kind.MAIN, Kind.PATHS) and path.segments[:1] == (b"ipfs",):
            return await self._from_path(request, path)
        if kind in (Kind.MAIN, Kind.PATHS):
            raise ContentNotFound("Nothing is here.", hint="Content lives at /ipfs/<cid>.")
        raise SiteUnknown(
            "There is no site at this address.", hint="Check the spelling, or deploy it: `af deploy DIR`."
        )

    # --- which tree ------------------------------------------------------------------------------------------------

    async def _from_site(self, request: Request, site: Site, path: Path) -> Reply:
        if site.suspended:
            raise SiteSuspended("This site is switched off for now.")
        origin = Origin(
            root=site.root,
            prefix="",
            public=False,
            isolated=True,
            cache_control=IMMUTABLE if site.pinned else REVALIDATE,
            lists_directories=False,
            redirects=site.redirects,
            headers=site.headers,
        )
        try:
            return await self._isolated(request, origin, path)
        except (BlockMissing, InvalidBlock, UnsupportedCodec) as error:
            raise ContentUnavailable(
                "A part of this site is missing at the moment.",
                hint="If it is yours: `af storage scrub` says what is missing, and deploying again brings it back.",
                detail=f"{site.entry.site_id} {site.entry.root}: {error}",
            ) from error

    async def _from_cid_host(self, request: Request, path: Path) -> Reply:
        root = _parse_cid(request.address.name)
        canonical = cids.to_text(cids.as_v1(root))
        if canonical != request.address.name:
            return self._to_cid_host(request, canonical, path)
        origin = Origin(root, "", True, True, IMMUTABLE, True)
        try:
            if (export := await self._export(request, origin, path)) is not None:
                return export
            return await self._isolated(request, await self._with_rules(origin), path)
        except (BlockMissing, InvalidBlock, UnsupportedCodec) as error:
            raise _unreadable(error) from error

    async def _from_path(self, request: Request, path: Path) -> Reply:
        """``/ipfs/<cid>/…``: on the main address it moves to an origin of its own, elsewhere it is served in place."""
        if len(path.segments) < 2:
            raise InvalidAddress("A CID is missing.", hint="Content lives at /ipfs/<cid>.")
        text = path.segments[1].decode("utf-8")
        root = _parse_cid(text)
        rest = path.below(2)
        if request.address.kind is Kind.MAIN:
            return self._to_cid_host(request, cids.to_text(cids.as_v1(root)), rest)
        if request.headers.get(b"service-worker", b"").strip().lower() == b"script":
            raise InvalidAddress(
                "A service worker of a path gateway would control the content of others.",
                hint="Use the CID's own origin: <cid>.ipfs.<domain>.",
            )
        origin = Origin(root, f"/ipfs/{text}", True, False, IMMUTABLE, True)
        try:
            if (export := await self._export(request, origin, rest)) is not None:
                return export
            found = await self._tree.find(root, rest.segments, public=True)
            reply = await self._serve(request, origin, found, rest) if found is not None else None
        except (BlockMissing, InvalidBlock, UnsupportedCodec) as error:
            raise _unreadable(error) from error
        if reply is None:
            raise ContentNotFound("There is no file at this path.")
        return reply

    def _to_cid_host(self, request: Request, canonical: str, path: Path) -> Reply:
        if len(canonical) > DNS_LABEL_MAX:
            raise InvalidAddress(
                "This CID is too long for a host name, so it cannot have an origin of its own.",
                hint=f"Use a path gateway: gateway.{self._settings.domain}/ipfs/<cid>.",
            )
        host = f"{canonical}.ipfs.{request.address.domain}{request.address.port}"
        location = f"{self._settings.scheme}://{host}{path.quoted}{_query_suffix(request)}"
        return _moved(301, location, IMMUTABLE, CORS)

    async def _export(self, request: Request, origin: Origin, path: Path) -> Reply | None:
        wanted = exports.wanted_format(request)
        if wanted is None:
            return None
        found = await self._tree.find(origin.root, path.segments, public=True)
        if found is None:
            raise ContentNotFound("There is nothing at this path.")
        if wanted == "raw":
            reply = await exports.raw(self._tree, request, path, origin.root, found)
        else:
            reply = exports.archive(self._tree, request, path, origin.root, found)
        etag = next(value for name, value in reply.headers if name == b"etag")
        if none_match(request.headers.get(b"if-none-match", b""), etag):
            return not_modified(reply.headers)
        return reply

    async def _with_rules(self, origin: Origin) -> Origin:
        """The tree with the ``_redirects`` of its root, parsed once."""
        matcher = self._rules.get(origin.root)
        if matcher is None:
            found = await self._tree.find(origin.root, (b"_redirects",), public=origin.public)
            content = b""
            if found is not None and isinstance(found.node, File) and found.node.size <= sitefiles.FILE_BYTES_MAX:
                content = found.node.inline if len(found.node.inline) == found.node.size else b""
            matcher = redirects.Matcher(redirects.parse(content).rules)
            self._rules.put(origin.root, matcher, 1_000 + 8 * len(content))
        if not matcher.rules:
            return origin
        return Origin(origin.root, "", True, True, origin.cache_control, origin.lists_directories, matcher)

    # --- which file ------------------------------------------------------------------------------------------------

    async def _isolated(self, request: Request, origin: Origin, path: Path) -> Reply:
        matcher = origin.redirects
        if matcher is not None and matcher.has_forced:
            match = matcher.match(path.text, request.query_text, exists=True)
            if match is not None and (reply := await self._apply(request, origin, path, match)) is not None:
                return reply
        found = await self._tree.find(origin.root, path.segments, public=origin.public)
        if found is not None and (reply := await self._serve(request, origin, found, path)) is not None:
            return reply
        if matcher is not None:
            match = matcher.match(path.text, request.query_text, exists=False)
            if match is not None and (reply := await self._apply(request, origin, path, match)) is not None:
                return reply
        if found is not None and not path.segments and not isinstance(found.node, File):
            return await self._list(request, origin, found, path)  # a site without any page: show what it has
        return await self._not_found(request, origin, path)

    async def _serve(self, request: Request, origin: Origin, found: Found, path: Path) -> Reply | None:
        """A file, a directory's index.html, or a listing; `None` where none of them may be shown."""
        if isinstance(found.node, File):
            if path.ends_with_slash and path.segments:
                return None
            return await self._represent.file(request, origin, found, path, 200)
        index = await self._index(origin, found)
        if index is None and not origin.lists_directories:
            return None
        if not path.ends_with_slash:
            location = f"{origin.prefix}{path.quoted if path.segments else ''}/{_query_suffix(request)}"
            return _moved(301, location, origin.cache_control, common_headers(origin, path, None))
        if index is not None:
            return await self._represent.file(request, origin, index, path, 200)
        return await self._list(request, origin, found, path)

    async def _index(self, origin: Origin, found: Found) -> Found | None:
        index = await self._tree.find(origin.root, (*found.segments, b"index.html"), public=origin.public)
        return index if index is not None and isinstance(index.node, File) else None

    async def _apply(self, request: Request, origin: Origin, path: Path, match: redirects.Match) -> Reply | None:
        """What a rule says; `None` when the file that it rewrites to does not exist."""
        if match.is_redirect:
            headers = apply_rules(origin, path, common_headers(origin, path, None))
            return _moved(match.status, match.to, origin.cache_control, headers)
        segments = tuple(part.encode("utf-8") for part in match.to.split("/") if part)
        found = await self._tree.find(origin.root, segments, public=origin.public)
        if found is not None and not isinstance(found.node, File):
            found = await self._index(origin, found)
        if found is None:
            return None
        return await self._represent.file(request, origin, found, path, match.status)

    async def _not_found(self, request: Request, origin: Origin, path: Path) -> Reply:
        """The nearest 404.html up the tree, or our own page."""
        for depth in range(len(path.segments), -1, -1):
            segments = (*path.segments[:depth], b"404.html")
            found = await self._tree.find(origin.root, segments, public=origin.public)
            if found is not None and isinstance(found.node, File):
                return await self._represent.file(request, origin, found, path, 404)
        raise ContentNotFound("There is no page at this address.")

    async def _list(self, request: Request, origin: Origin, found: Found, path: Path) -> Reply:
        assert not isinstance(found.node, File)
        number = listing.page_number(request.parameter("page"))
        cid = cids.to_text(cids.as_v1(found.node.cid)).encode()
        headers: list[Header] = [
            (b"etag", b'"DirIndex-%b_CID-%b-%d"' % (listing.VERSION, cid, number)),
            (b"cache-control", LISTING_CACHE if origin.cache_control == IMMUTABLE else REVALIDATE),
            *common_headers(origin, path, found),
            *(pair for pair in PAGE_HEADERS if pair[0] != b"x-content-type-options"),
        ]
        if none_match(request.headers.get(b"if-none-match", b""), headers[0][1]):
            return not_modified(headers)
        rows = await listing.rows(self._tree, found.node, number, public=origin.public)
        return Reply(200, headers, listing.render(origin.root, path.segments, origin.prefix, found.node.cid, rows))


def _parse_cid(text: str) -> CID:
    try:
        cid = cids.parse(text)
    except InvalidCid as error:
        raise InvalidAddress("This is not a CID.", detail=str(error)) from error
    if cids.codec(cid) == cids.LIBP2P_KEY:
        raise InvalidAddress("This is an IPNS key, not a CID of content.", hint="Use /ipns/<name>.")
    return cid


def _unreadable(error: BlockMissing | InvalidBlock | UnsupportedCodec) -> ContentNotFound | NotAcceptable:
    if isinstance(error, BlockMissing):
        return ContentNotFound("This content is not here, or not public.", detail=str(error))
    return NotAcceptable(
        "This content is not a file or directory.", hint="Ask for the block itself: ?format=raw.", detail=str(error)
    )


def _query_suffix(request: Request) -> str:
    """The query as sent, fit for a Location: the parser lets bytes through that a header must not hold."""
    return (
        "?" + "".join(c if "!" <= c <= "~" else f"%{ord(c):02X}" for c in request.query_text) if request.query else ""
    )


def _moved(status: int, location: str, cache_control: bytes, extra: list[Header] | tuple[Header, ...]) -> Reply:
    text = f"Moved to {location}\n".encode("ascii", "replace")
    headers: list[Header] = [
        (b"location", location.encode("ascii")),
        (b"cache-control", cache_control),
        (b"content-type", b"text/plain; charset=utf-8"),
    ]
    return Reply(status, headers + [pair for pair in extra if pair[0] not in (b"cache-control", b"location")], text)
