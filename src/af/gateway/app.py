"""The gateway as an ASGI application (the cold lane), and what the protocol's hot lane asks of it.

Both lanes share the host table and the response cache. `Gateway` is the one object of a process that holds them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count

import structlog
from starlette.types import Receive, Scope, Send

from af import domains, names, storage
from af.core import metrics
from af.core.bell import Bell
from af.core.clock import Clock, SystemClock, monotonic
from af.core.context import SYSTEM, Platform
from af.core.errors import Error, Internal
from af.core.setting_kinds import dnslinks
from af.core.settings import Settings
from af.domains import HostEntry
from af.gateway.addresses import Address, Addresses, Kind
from af.gateway.content import Content
from af.gateway.encodings import accepted
from af.gateway.errors import NameUnresolved
from af.gateway.hosts import HostSource, HostTable, Site
from af.gateway.names import Names, Place
from af.gateway.pages import error_reply
from af.gateway.replies import Entry, Header, Reply, Responses
from af.gateway.requests import Request
from af.gateway.tree import Blocks, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid

CHUNK_BYTES = 256 << 10
REPORT_SECONDS = 1.0
_PATHS = ("/ipfs/", "/ipns/")
log = structlog.get_logger("af.gateway")


class DomainRows:
    """The host table's rows, read as the platform itself."""

    def __init__(self, platform: Platform) -> None:
        self._ctx = platform.context(SYSTEM)

    async def lookup(self, zone: str, name: str) -> HostEntry | None:
        return await domains.lookup(self._ctx, zone, name)

    async def changed_since(self, change_no: int, limit: int) -> Sequence[HostEntry]:
        return await domains.changed_since(self._ctx, change_no, limit)

    async def latest_change(self) -> int:
        return await domains.latest_change(self._ctx)


class PlatformNames:
    """The platform's names, read as the platform itself."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def resolve(self, name: str) -> Place:
        try:
            found = await names.resolve(self._platform.context(SYSTEM), name)
            _, _, text, *rest = found.path.split("/")
            root = cids.parse(text)
        except (names.NameNotFound, names.NameInvalid, InvalidCid) as error:
            raise NameUnresolved("This name leads to no content that is known here.", detail=str(error)) from error
        return Place(root, found.ttl_seconds or 0, tuple(segment.encode() for segment in rest if segment))

    async def record(self, key: CID) -> bytes:
        data = await names.record(self._platform.context(SYSTEM), key)
        if data is None:
            raise NameUnresolved("No valid record of this name is known here.")
        return data


def application(platform: Platform) -> Gateway:
    """The gateway of this process. Give it to `protocol.bound` as well, so that the hot lanes answer from its
    caches."""
    blocks: Blocks = platform.ports[storage.BlockStore]
    return Gateway(
        platform.settings,
        platform.bell,
        DomainRows(platform),
        blocks,
        PlatformNames(platform),
        clock=platform.clock,
    )


class Gateway:
    """An ASGI application for the hosts of sites, CIDs and names, and for the paths ``/ipfs/`` and ``/ipns/``."""

    def __init__(
        self,
        settings: Settings,
        bell: Bell,
        source: HostSource,
        blocks: Blocks,
        names: Names,
        *,
        clock: Clock | None = None,
    ) -> None:
        cache = settings.gateway_cache_bytes
        self.addresses = Addresses(
            domain=settings.domain,
            sites_domain=settings.sites_suffix,
            gateway_hosts=filter(None, settings.gateway_hosts.split(",")),
            dnslink_hosts=dnslinks(settings.dnslink_map),
        )
        self._scheme = settings.scheme
        self.hosts = HostTable(source, bell, hosts_max=settings.gateway_hosts_max)
        self.responses = Responses(cache)
        self.tree = Tree(blocks, cache_bytes=cache // 8)  # the rest is the responses'
        self.peek = blocks.peek
        self.counts: dict[tuple[str, int], int] = {}
        self.body_bytes = 0
        self._reported: dict[tuple[str, int], int] = {}
        self._reported_bytes = 0
        self._report_due = False
        self._content = Content(self.tree, self.hosts, names, self.responses, clock or SystemClock())
        self._request_prefix = secrets.token_hex(4)
        self._numbers = count()

    def close(self) -> None:
        self._content.close()

    # --- what others ask -------------------------------------------------------------------------------------------

    async def serves(self, host: str, path: str, forwarded_host: str = "") -> bool:
        """Whether a request belongs here rather than to the API: content with a host of its own, ``/ipfs/…`` and
        ``/ipns/…`` anywhere else, or a custom domain that is bound."""
        address = self._address(host.encode("latin-1", "replace"), forwarded_host.encode("latin-1", "replace"))
        if address.kind in (Kind.SITE, Kind.IPFS, Kind.IPNS, Kind.DNSLINK):
            return True
        if path.startswith(_PATHS) or path in ("/ipfs", "/ipns"):
            return address.kind is not Kind.INVALID
        try:
            return address.kind is Kind.OTHER and await self._content.site(address) is not None
        except Error:
            return False

    def tunnels_to(self, authority: bytes, local: tuple[str, int]) -> bool:
        """Whether CONNECT to this ``host:port`` leads to content of ours; ``local`` is the address that we were called
        at."""
        address = self.addresses.of(authority)
        if address.kind is Kind.PATHS:
            return (address.name.strip("[]"), address.port) == (local[0], f":{local[1]}")
        return address.kind in (Kind.MAIN, Kind.SITE, Kind.IPFS, Kind.IPNS, Kind.DNSLINK)

    def _address(self, host: bytes, forwarded_host: bytes) -> Address:
        """What the request is for. A front may name the host that visitors see (X-Forwarded-Host): believed for hosts
        of AF_GATEWAY_HOSTS, where nothing but public content can be seen."""
        address = self.addresses.of(host)
        if forwarded_host and address.kind in (Kind.OTHER, Kind.PATHS):
            claimed = self.addresses.of(forwarded_host)
            if not claimed.ours:
                return claimed
        return address

    def request_id(self) -> str:
        """A fresh id: random per process, then counted."""
        return f"{self._request_prefix}{next(self._numbers) & 0xFFFFFFFF:08x}"

    def count(self, lane: str, status_class: int, body_bytes: int) -> None:
        """One answer, by ``lane`` (hot or cold) and class of status. Reaches the metrics within `REPORT_SECONDS`."""
        key = (lane, status_class)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.body_bytes += body_bytes
        if not self._report_due:
            self._report_due = True
            asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report)

    def _report(self) -> None:
        self._report_due = False
        for key, total in self.counts.items():
            if new := total - self._reported.get(key, 0):
                metrics.counter("af_gateway_requests_total").labels(f"{key[1]}xx").inc(new)
                self._reported[key] = total
        metrics.counter("af_gateway_bytes_total").inc(self.body_bytes - self._reported_bytes)
        self._reported_bytes = self.body_bytes

    # --- hot lane --------------------------------------------------------------------------------------------------

    def cached(self, host: bytes, target: bytes, accept_encoding: bytes) -> tuple[Entry, Site | None] | None:
        """A cached response for a plain GET, if it is certain to be current. Never waits."""
        address = self.addresses.of(host)
        now = monotonic()
        site: Site | None = None
        if address.kind is Kind.SITE:
            site = self.hosts.fresh("site", address.name, now)
        elif address.kind is Kind.OTHER:
            site = self.hosts.fresh("custom", address.name, now)
        elif address.kind not in (Kind.IPFS, Kind.PATHS):
            return None  # a redirect, or a name that may point elsewhere by now
        if site is None and address.kind in (Kind.SITE, Kind.OTHER):
            return None
        if site is not None and site.suspended:
            return None
        path, _, query = target.partition(b"?")
        key = self._key(address, site, path, query, accepted(accept_encoding))
        entry = self.responses.get(key)
        if entry is None or entry.expires_at < now:
            return None
        return entry, site

    def _key(
        self, address: Address, site: Site | None, path: bytes, query: bytes, encodings: tuple[str, ...]
    ) -> Hashable:
        """What decides a plain GET's response. A site's files depend on the query only if its rules ask for it.

        The two shapes differ in length: what a site serves must never answer for its CID, which may not be public.
        """
        if site is not None:
            return (site.scope, path, query if site.asks_query else b"", encodings)
        return ("ipfs", address.name if address.kind is Kind.IPFS else "", path, query, encodings)

    # --- cold lane -------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        request = self._request(scope)
        request_id = request.headers.get(b"x-request-id", b"")
        if not (0 < len(request_id) <= 64 and request_id.replace(b"-", b"").replace(b"_", b"").isalnum()):
            request_id = self.request_id().encode()
        site: Site | None = None
        try:
            site = await self._content.site(request.address)
            reply = await self._content.answer(request, site)
            if reply.keep is not None and request.method == "GET" and b"range" not in request.headers:
                self._keep(request, site, reply)
        except Error as error:
            if error.http_status >= 500 and error.retryable and not isinstance(error, NameUnresolved):
                log.error("request failed", request_id=request_id.decode(), code=error.code, detail=error.detail)
            reply = error_reply(error, request.headers.get(b"accept"))
        except Exception:  # the edge: every failure becomes a response
            log.exception("internal error", request_id=request_id.decode(), path=request.path.decode("latin-1"))
            shown = Internal(
                "Something went wrong on our side.", hint=f"Quote {request_id.decode()} when you report it."
            )
            reply = error_reply(shown, request.headers.get(b"accept"))
        sent = await send_reply(reply, request.method, request_id, receive, send)
        self.count("cold", reply.status // 100, sent)
        if site is not None:
            site.usage.add(sent)

    def _request(self, scope: Scope) -> Request:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b", " + value if name in headers else value
        address = self._address(headers.get(b"host", b""), headers.get(b"x-forwarded-host", b""))
        claimed = "" if address.ours else headers.get(b"x-forwarded-proto", b"").decode("latin-1").lower()
        return Request(
            method=scope["method"],
            address=address,
            path=scope.get("raw_path") or scope["path"].encode(),
            query=scope["query_string"],
            headers=headers,
            scheme=claimed if claimed in ("http", "https") else self._scheme,
        )

    def _keep(self, request: Request, site: Site | None, reply: Reply) -> None:
        if site is None and request.address.kind not in (Kind.IPFS, Kind.PATHS, Kind.OTHER):
            return
        encodings = accepted(request.headers.get(b"accept-encoding", b""))
        key = self._key(request.address, site, request.path, request.query, encodings)
        self.responses.keep(key, reply, monotonic())


async def send_reply(reply: Reply, method: str, request_id: bytes, receive: Receive, send: Send) -> int:
    """Sends a reply; returns how many body bytes were handed over. Reading stops when the client has gone."""
    headers: list[Header] = [*reply.headers, (b"x-request-id", request_id)]
    length = reply.content_length
    if reply.status not in (204, 304) and length is not None:
        headers.append((b"content-length", b"%d" % length))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if method == "HEAD" or reply.stream is None:
        body = b"" if method == "HEAD" or reply.status in (204, 304) else reply.body
        await send({"type": "http.response.body", "body": body})
        return len(body)
    sent = 0
    async with _until_gone(receive) as gone, aclosing(_chunks(reply.stream())) as chunks:
        async for chunk in chunks:
            if gone.done():
                return sent
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent += len(chunk)
    await send({"type": "http.response.body", "body": b""})
    return sent


async def _chunks(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pieces of at most `CHUNK_BYTES`, so that little waits in the socket's buffer for a slow reader."""
    async for piece in stream:
        for start in range(0, len(piece), CHUNK_BYTES):
            yield piece[start : start + CHUNK_BYTES]


@asynccontextmanager
async def _until_gone(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done once the client has disconnected."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
