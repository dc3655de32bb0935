"""Private gateways: ``<slug>.gateway.<domain>`` gives out a project's content by CID, what is private too, to callers
who may read the project (``Authorization: Bearer``, or ``?token=``).

Runs in the control plane, which knows callers; a gateway on its own has no such hosts. Nothing of it is shared: caches
are per project, answers are marked private, and what is shown runs nothing and tells nobody where it came from, since
the address may hold the token.
"""

from __future__ import annotations

from collections import OrderedDict
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from af import storage
from af.core.clock import SystemClock
from af.core.context import Context, Platform
from af.gateway.addresses import HOST_BYTES_MAX, Address, Kind
from af.gateway.app import DomainRows, PlatformNames, send_reply
from af.gateway.content import Content
from af.gateway.hosts import HostTable
from af.gateway.replies import Header, Reply, Responses
from af.gateway.represent import CORS
from af.gateway.requests import Request
from af.gateway.tree import Tree
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.export import Get

TOKEN_BYTES_MAX = 4_096
PROJECTS_MAX = 32
"""Projects whose caches are kept at a time."""
CACHE_BYTES = 4 << 20
_PRIVATE: tuple[Header, ...] = (
    (b"cache-control", b"private, no-cache"),
    (b"content-security-policy", b"sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_PREFLIGHT: tuple[Header, ...] = (
    (b"allow", b"GET, HEAD, OPTIONS"),
    *((n, v + b", Authorization" if n == b"access-control-allow-headers" else v) for n, v in CORS),
)
_REPLACED = frozenset(name for name, _ in _PRIVATE)


def slug_of(host: str, domain: str) -> str | None:
    """The private gateway that a host (lower case, without port) is, if it is one's."""
    for parent in (domain, "localhost"):
        slug = host.removesuffix(f".gateway.{parent}")
        if slug != host and slug and "." not in slug:
            return slug
    return None


def with_token(scope: Scope) -> Scope:
    """The request with the token of its query in the header and no more in the query, so that no link repeats it."""
    query: bytes = scope["query_string"]
    if b"token=" not in query:
        return scope
    kept, token = [], b""
    for part in query.split(b"&"):
        if part.startswith(b"token="):
            token = part
        else:
            kept.append(part)
    headers = list(scope["headers"])
    pairs = parse_qsl(token[:TOKEN_BYTES_MAX].decode("latin-1"))
    text = pairs[0][1] if pairs else ""
    if text.isascii() and text.isprintable() and text and not any(name == b"authorization" for name, _ in headers):
        headers.append((b"authorization", b"Bearer " + text.encode()))
    return {**scope, "headers": headers, "query_string": b"&".join(kept)}


class _Visible:
    """The blocks that a project can see, as the tree asks for them."""

    def __init__(self, get: Get) -> None:
        self._get = get

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        return None

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        return await self._get(cid)


class PrivateGateways:
    """An ASGI application inside of `af.core.web.RequestContext`, which says who asks."""

    def __init__(self, platform: Platform) -> None:
        self._domain = platform.settings.domain
        self._scheme = platform.settings.scheme
        self._hosts = HostTable(DomainRows(platform), platform.bell, hosts_max=1)  # sites are not served here
        self._names = PlatformNames(platform)
        self._contents: OrderedDict[str, Content] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ctx: Context = scope["af.context"]
        if scope["method"] == "OPTIONS":  # browsers ask without credentials whether they may send them
            await send_reply(Reply(204, list(_PREFLIGHT)), "OPTIONS", ctx.request_id.encode(), receive, send)
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b", " + value if name in headers else value
        host, _, port = headers.get(b"host", b"")[:HOST_BYTES_MAX].decode("latin-1").lower().partition(":")
        slug = slug_of(host.removesuffix("."), self._domain)
        gateway = await storage.open_private_gateway(ctx, slug or "")
        request = Request(
            method=scope["method"],
            address=Address(Kind.PATHS, host, host, f":{port}" if port.isdecimal() else ""),
            path=scope.get("raw_path") or scope["path"].encode(),
            query=scope["query_string"],
            headers=headers,
            scheme=self._scheme,
        )
        reply = await self._content(ctx, gateway.project_id).answer(request, None)
        reply.headers = [*(header for header in reply.headers if header[0] not in _REPLACED), *_PRIVATE]
        await send_reply(reply, request.method, ctx.request_id.encode(), receive, send)

    def _content(self, ctx: Context, project_id: str) -> Content:
        """Of a project that the caller may read. Decoded nodes are kept for that project alone."""
        content = self._contents.get(project_id)
        if content is None:
            tree = Tree(_Visible(storage.reader(ctx, project_id)), cache_bytes=CACHE_BYTES)
            content = Content(tree, self._hosts, self._names, Responses(CACHE_BYTES), SystemClock())
            self._contents[project_id] = content
            if len(self._contents) > PROJECTS_MAX:
                self._contents.popitem(last=False)
        self._contents.move_to_end(project_id)
        return content
