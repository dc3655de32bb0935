"""A tree as a web site: which file answers a path.

Order on a tree with its own origin: forced redirect rules, the file (or a directory's index.html), other rules, a
listing where there may be one, the nearest 404.html, our own 404 page
(https://specs.ipfs.tech/http-gateways/web-redirects-file/).
"""

from __future__ import annotations

from af.gateway import listing
from af.gateway.cache import ByteLru
from af.gateway.conditions import none_match
from af.gateway.errors import ContentNotFound, RedirectsInvalid
from af.gateway.pages import HEADERS as PAGE_HEADERS
from af.gateway.replies import Header, Reply
from af.gateway.represent import (
    IMMUTABLE,
    REVALIDATE,
    Origin,
    Representer,
    apply_rules,
    common_headers,
    not_modified,
)
from af.gateway.requests import Path, Request
from af.gateway.tree import File, Found, Tree
from af.protocols import redirects, sitefiles
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID

LISTING_CACHE = b"public, max-age=604800, stale-while-revalidate=2678400"
_RULES_CACHE_BYTES = 4 << 20
_Rules = tuple[redirects.Matcher, str]


class Website:
    def __init__(self, tree: Tree, represent: Representer) -> None:
        self._tree = tree
        self._represent = represent
        self._rules: ByteLru[CID, _Rules] = ByteLru(_RULES_CACHE_BYTES)

    async def rules(self, root: CID) -> _Rules:
        """The ``_redirects`` of a public root, parsed once, and what is wrong with them. Stricter than those of our own
        sites: the specification has no forced rules."""
        if (kept := self._rules.get(root)) is not None:
            return kept
        found = await self._tree.find(root, (b"_redirects",), public=True)
        content, wrong = b"", ""
        if found is not None and isinstance(found.node, File):
            if found.node.size > sitefiles.FILE_BYTES_MAX:
                wrong = f"redirects file size cannot exceed {sitefiles.FILE_BYTES_MAX} bytes"
            elif len(found.node.inline) == found.node.size:
                content = found.node.inline
        parsed = redirects.parse(content)
        forced = next((rule for rule in parsed.rules if rule.forced), None)
        if parsed.rejected:
            wrong = f"line {parsed.rejected[0].line}: {parsed.rejected[0].reason}"
        elif forced is not None:
            wrong = f'line {forced.line}: forced redirects (or "shadowing") are not supported'
        kept = redirects.Matcher(() if wrong else parsed.rules), wrong
        self._rules.put(root, kept, 1_000 + 8 * len(content))
        return kept

    async def isolated(self, request: Request, origin: Origin, path: Path) -> Reply:
        """The reply of a tree with a host of its own. :raises ContentNotFound, RedirectsInvalid:"""
        matcher = origin.redirects
        if matcher is not None and matcher.has_forced:
            match = matcher.match(path.text, request.query_text, exists=True)
            if match is not None and (reply := await self._apply(request, origin, path, match)) is not None:
                return reply
        found = await self._tree.find(origin.root, path.segments, public=origin.public)
        if found is not None and (reply := await self.serve(request, origin, found, path)) is not None:
            return reply
        if origin.broken_redirects:
            raise RedirectsInvalid(f"could not parse _redirects: {origin.broken_redirects}")
        if matcher is not None:
            match = matcher.match(path.text, request.query_text, exists=False)
            if match is not None and (reply := await self._apply(request, origin, path, match)) is not None:
                return reply
        if found is not None and not path.segments and not isinstance(found.node, File):
            return await self._list(request, origin, found, path)  # a site without any page: show what it has
        return await self._not_found(request, origin, path)

    async def serve(self, request: Request, origin: Origin, found: Found, path: Path) -> Reply | None:
        """A file, a directory's index.html, or a listing; `None` where none of them may be shown."""
        if isinstance(found.node, File):
            if path.ends_with_slash and path.segments:
                return None
            return await self._represent.file(request, origin, found, path, 200)
        index = await self._index(origin, found)
        if index is None and not origin.lists_directories:
            return None
        if not path.ends_with_slash:
            location = f"{origin.prefix}{path.quoted if path.segments else ''}/{request.query_suffix}"
            return moved(301, location, origin.cache_control, common_headers(origin, path, None))
        if index is not None:
            return await self._represent.file(
                request, origin, index, path, 200, folder=found if origin.public else None
            )
        return await self._list(request, origin, found, path)

    async def _index(self, origin: Origin, found: Found) -> Found | None:
        index = await self._tree.find(origin.root, (*found.segments, b"index.html"), public=origin.public)
        return index if index is not None and isinstance(index.node, File) else None

    async def _apply(self, request: Request, origin: Origin, path: Path, match: redirects.Match) -> Reply | None:
        """What a rule says; `None` when the file that it rewrites to does not exist."""
        if match.is_redirect:
            headers = apply_rules(origin, path, common_headers(origin, path, None))
            return moved(match.status, match.to, origin.cache_control, headers)
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
        cid = cids.to_text(found.node.cid).encode()
        headers: list[Header] = [
            (b"etag", b'"DirIndex-%b-%d_CID-%b"' % (listing.VERSION, number, cid)),
            (b"cache-control", LISTING_CACHE if origin.cache_control == IMMUTABLE else REVALIDATE),
            *common_headers(origin, path, found.cids),
            *(pair for pair in PAGE_HEADERS if pair[0] != b"x-content-type-options"),
        ]
        if none_match(request.headers.get(b"if-none-match", b""), headers[0][1]):
            return not_modified(headers)
        rows = await listing.rows(self._tree, found.node, number, public=origin.public)
        return Reply(200, headers, listing.render(origin, path.segments, found.node.cid, rows))


def moved(status: int, location: str, cache_control: bytes, extra: list[Header] | tuple[Header, ...]) -> Reply:
    """A redirect; ``location`` is ASCII."""
    text = f"Moved to {location}\n".encode("ascii", "replace")
    headers: list[Header] = [
        (b"location", location.encode("ascii")),
        (b"cache-control", cache_control),
        (b"content-type", b"text/plain; charset=utf-8"),
    ]
    return Reply(status, headers + [pair for pair in extra if pair[0] not in (b"cache-control", b"location")], text)
