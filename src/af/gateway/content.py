"""From a request to the tree that it is about: a site, ``/ipfs/<cid>`` or ``/ipns/<name>``, by path or with a host of
its own (https://specs.ipfs.tech/http-gateways/). What is in the tree is for `website` and `formats`."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from af.core.clock import Clock
from af.gateway.addresses import Address, Kind
from af.gateway.errors import (
    ContentNotFound,
    ContentUnavailable,
    InvalidAddress,
    MethodNotAllowed,
    NotAcceptable,
    NotCached,
    SiteSuspended,
    SiteUnknown,
)
from af.gateway.formats import wanted
from af.gateway.formats.exports import Exports
from af.gateway.hosts import HostTable, Site
from af.gateway.names import Names, Place
from af.gateway.replies import Reply, Responses
from af.gateway.represent import CORS, IMMUTABLE, REVALIDATE, Origin, Representer
from af.gateway.requests import Path, Request, parse_path
from af.gateway.tree import Tree
from af.gateway.website import Website, moved
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import (
    BlockMissing,
    InvalidBlock,
    InvalidCid,
    InvalidName,
    LimitExceeded,
    UnsupportedCodec,
)

DNS_LABEL_MAX = 63
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_SPACES = (b"ipfs", b"ipns")
_Unreadable = BlockMissing | InvalidBlock | LimitExceeded | UnsupportedCodec


class Content:
    """Answers GET, HEAD and OPTIONS for sites and IPFS content. One per process."""

    def __init__(self, tree: Tree, hosts: HostTable, names: Names, responses: Responses, clock: Clock) -> None:
        self._tree = tree
        self._hosts = hosts
        self._names = names
        self._represent = Representer(tree, responses)
        self._website = Website(tree, self._represent)
        self._exports = Exports(tree, self._represent, clock)

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
        if kind is Kind.IPFS:
            return await self._from_cid_host(request, path)
        if kind is Kind.IPNS:
            return await self._from_name_host(request, path)
        if kind is Kind.DNSLINK:
            return await self._from_dnslink_host(request, path)
        if path.segments[:1] and path.segments[0] in _SPACES and kind is not Kind.SITE:
            return await self._from_path(request, path)
        if kind in (Kind.MAIN, Kind.PATHS):
            raise ContentNotFound("Nothing is here.", hint="Content lives at /ipfs/<cid>.")
        raise SiteUnknown(
            "There is no site at this address.", hint="Check the spelling, or deploy it: `af deploy DIR`."
        )

    # --- sites -----------------------------------------------------------------------------------------------------

    async def _from_site(self, request: Request, site: Site, path: Path) -> Reply:
        if site.suspended:
            raise SiteSuspended("This site is switched off for now.")
        origin = Origin(
            root=site.root,
            at=f"/ipfs/{cids.to_text(cids.as_v1(site.root))}",
            public=False,
            isolated=True,
            cache_control=IMMUTABLE if site.pinned else REVALIDATE,
            lists_directories=False,
            host=request.address.host,
            redirects=site.redirects,
            headers=site.headers,
        )
        try:
            return await self._website.isolated(request, origin, path)
        except (BlockMissing, InvalidBlock, LimitExceeded, UnsupportedCodec) as error:
            raise ContentUnavailable(
                "A part of this site is missing at the moment.",
                hint="If it is yours: `af storage scrub` says what is missing, and deploying again brings it back.",
                detail=f"{site.entry.site_id} {site.entry.root}: {error}",
            ) from error

    # --- a host for each content -----------------------------------------------------------------------------------

    async def _from_cid_host(self, request: Request, path: Path) -> Reply:
        root = _parse_cid(request.address.name)
        canonical = cids.to_text(cids.as_v1(root))
        if canonical != request.address.name:
            return self._to_host(request, canonical, path)
        if len(canonical) > DNS_LABEL_MAX:
            raise _too_long()
        place = Place(root, None)
        return await self._public(request, self._origin(request, f"/ipfs/{canonical}", place, isolated=True), path)

    async def _from_name_host(self, request: Request, path: Path) -> Reply:
        """``<key>.ipns.<domain>``, a DNSLink name inlined into one label, or one with its dots."""
        label = request.address.name
        key = _key(label)
        if key is not None and (canonical := ipns.to_text(key)) != label:
            return self._to_host(request, canonical, path)
        name = label if key is not None or "." in label else dnslink_name(label)
        return await self._from_name(request, name, path, isolated=True)

    async def _from_dnslink_host(self, request: Request, path: Path) -> Reply:
        return await self._from_name(request, request.address.name, path, isolated=True)

    async def _from_name(self, request: Request, name: str, path: Path, *, isolated: bool) -> Reply:
        asked = wanted(request)
        if asked is not None and asked.name == "ipns-record":
            if path.segments or (key := _key(name)) is None:
                raise NotAcceptable(
                    "Only an IPNS key by itself has a record.", hint="Use /ipns/<key>?format=ipns-record."
                )
            return self._exports.record(request, key, await self._names.record(key))
        place = await self._place(name)
        return await self._public(request, self._origin(request, f"/ipns/{name}", place, isolated=isolated), path)

    async def _place(self, name: str) -> Place:
        """What a name points to now; where that is a path, the directory at its end."""
        place = await self._names.resolve(name)
        if not place.segments:
            return place
        resolved = await self._tree.resolve(place.root, place.segments, public=True)
        if resolved is None or resolved.rest:
            raise ContentNotFound("The name points to a path that does not exist.")
        return replace(place, root=resolved.cid, segments=())

    # --- paths -----------------------------------------------------------------------------------------------------

    async def _from_path(self, request: Request, path: Path) -> Reply:
        """``/ipfs/<cid>/…`` and ``/ipns/<name>/…``: on a main address they move to an origin of their own, elsewhere
        they are served in place."""
        space = path.segments[0].decode()
        if len(path.segments) < 2:
            return self._from_protocol_handler(request, space)
        text, rest = path.segments[1].decode("utf-8"), path.below(2)
        if request.address.kind is Kind.MAIN:
            canonical = self._canonical(space, text, path)
            return self._to_host(request, canonical, rest, space)
        if request.headers.get(b"service-worker", b"").strip().lower() == b"script":
            raise InvalidAddress(
                "A service worker of a path gateway would control the content of others.",
                hint="Use the content's own origin: <cid>.ipfs.<domain>.",
            )
        if space == "ipfs":
            origin = self._origin(request, f"/ipfs/{text}", Place(_parse_cid(text, path), None), isolated=False)
            return await self._public(request, origin, rest)
        key = _key(text)
        if key is not None and (canonical := ipns.to_text(key)) != text:
            location = f"/ipns/{canonical}{rest.quoted if rest.segments or rest.ends_with_slash else ''}"
            return moved(302, location + request.query_suffix, REVALIDATE, CORS)
        return await self._from_name(request, text, rest, isolated=False)

    def _from_protocol_handler(self, request: Request, space: str) -> Reply:
        """``/ipfs/?uri=ipfs://<cid>/…``, where browsers send links of the scheme that the site has registered for."""
        try:
            uri = urlsplit(request.parameter("uri") or "")
        except ValueError as error:  # brackets, and letters that would turn into separators
            raise InvalidAddress("The uri is malformed.", detail=str(error)) from error
        if not uri.netloc or uri.scheme not in ("ipfs", "ipns"):
            raise InvalidAddress("A CID is missing.", hint=f"Content lives at /{space}/<cid>.")
        path = parse_path(f"/{uri.netloc}{uri.path}".encode("utf-8", "replace"))
        query = f"?{uri.query}" if uri.query and uri.query.isascii() and uri.query.isprintable() else ""
        return moved(301, f"/{uri.scheme}{path.quoted}{query}", REVALIDATE, CORS)

    def _canonical(self, space: str, text: str, path: Path) -> str:
        """The label under which content has a host of its own."""
        if space == "ipfs":
            return cids.to_text(cids.as_v1(_parse_cid(text, path)))
        key = _key(text)
        if key is not None:
            return ipns.to_text(key)
        if _HOST_NAME.fullmatch(text) is None:
            raise InvalidAddress("This is neither an IPNS key nor the name of a host.")
        return dnslink_label(text.lower())

    def _to_host(self, request: Request, label: str, path: Path, space: str | None = None) -> Reply:
        if len(label) > DNS_LABEL_MAX:
            raise _too_long()
        space = space or request.address.kind.value
        location = f"{request.scheme}://{label}.{space}.{request.address.origin}{path.quoted}{request.query_suffix}"
        return moved(301, location, IMMUTABLE if space == "ipfs" else REVALIDATE, CORS)

    # --- public content --------------------------------------------------------------------------------------------

    def _origin(self, request: Request, at: str, place: Place, *, isolated: bool) -> Origin:
        address = request.address
        gateway = f"//{address.origin}" if isolated else ""
        return Origin(
            root=place.root,
            at=at,
            prefix="" if isolated else at,
            public=True,
            isolated=isolated,
            cache_control=place.cache_control,
            lists_directories=True,
            gateway=None if address.kind is Kind.DNSLINK else gateway,
            host=address.host,
        )

    async def _public(self, request: Request, origin: Origin, path: Path) -> Reply:
        """In the form asked for; content that is no file or directory comes as what it is."""
        try:
            if (asked := wanted(request)) is not None:
                reply = await self._exports.export(request, origin, path, asked)
                if reply is not None:
                    return reply
            try:
                return await self._as_website(request, origin, path)
            except UnsupportedCodec:
                reply = await self._exports.native(request, origin, path)
                return reply if reply is not None else await self._behind_data(request, origin, path)
        except (BlockMissing, InvalidBlock, LimitExceeded, UnsupportedCodec) as error:
            raise _unreadable(request, error) from error

    async def _behind_data(self, request: Request, origin: Origin, path: Path) -> Reply:
        """A file or directory to which a block of dag-cbor or dag-json on the way links.

        :raises UnsupportedCodec: it is neither.
        """
        resolved = await self._tree.resolve(origin.root, path.segments, public=True)
        found = await self._tree.find(resolved.base, resolved.below, public=True) if resolved is not None else None
        if resolved is None or found is None:
            raise ContentNotFound("There is no file at this path.")
        on_the_way = resolved.cids[: resolved.cids.index(resolved.base)]
        found = replace(found, cids=(*on_the_way, *found.cids))
        reply = await self._website.serve(request, replace(origin, root=resolved.base), found, path)
        if reply is None:
            raise ContentNotFound("There is no file at this path.")
        return reply

    async def _as_website(self, request: Request, origin: Origin, path: Path) -> Reply:
        if origin.isolated:
            matcher, broken = await self._website.rules(origin.root)
            if matcher.rules or broken:
                origin = replace(origin, redirects=matcher, broken_redirects=broken)
            return await self._website.isolated(request, origin, path)
        found = await self._tree.find(origin.root, path.segments, public=True)
        reply = await self._website.serve(request, origin, found, path) if found is not None else None
        if reply is None:
            raise ContentNotFound("There is no file at this path.")
        return reply


def dnslink_label(name: str) -> str:
    """A DNSLink name as one DNS label, so that one certificate for ``*.ipns.<domain>`` covers it
    (https://specs.ipfs.tech/http-gateways/subdomain-gateway/#host-request-header)."""
    return name.replace("-", "--").replace(".", "-")


def dnslink_name(label: str) -> str:
    """The inverse of `dnslink_label`."""
    return label.replace("--", "\0").replace("-", ".").replace("\0", "-")


def _key(text: str) -> ipns.Name | None:
    """The IPNS key that a text writes, in any of its forms; `None` for DNSLink names. CIDs of keys are made with other
    codecs than the one for keys, too, and mean the same."""
    with suppress(InvalidCid, InvalidName):
        return ipns.parse_name(text)
    with suppress(InvalidCid, InvalidName):
        return ipns.of_multihash(cids.multihash(cids.parse(text)))
    return None


def _parse_cid(text: str, path: Path | None = None) -> CID:
    shown = path.text if path is not None else f"/ipfs/{text}"
    try:
        cid = cids.parse(unquote(text))
    except InvalidCid as error:
        raise InvalidAddress(f'invalid path "{shown[:200]}": this is not a CID.', detail=str(error)) from error
    if cids.codec(cid) == cids.LIBP2P_KEY:
        raise InvalidAddress("This is an IPNS key, not a CID of content.", hint="Use /ipns/<name>.")
    return cid


def _too_long() -> InvalidAddress:
    return InvalidAddress(
        f"CID incompatible with DNS label length limit of {DNS_LABEL_MAX}.",
        hint="Use a path gateway: gateway.<domain>/ipfs/<cid>.",
    )


def _unreadable(request: Request, error: _Unreadable) -> ContentNotFound | NotCached | NotAcceptable:
    if isinstance(error, BlockMissing):
        if b"only-if-cached" in request.headers.get(b"cache-control", b""):
            return NotCached("This content is not here.", detail=str(error))
        return ContentNotFound("This content is not here, or not public.", detail=str(error))
    return NotAcceptable(
        "This content is not a file or directory.", hint="Ask for the block itself: ?format=raw.", detail=str(error)
    )
