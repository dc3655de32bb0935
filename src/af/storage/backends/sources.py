"""Where content is fetched from: trustless gateways (https://specs.ipfs.tech/http-gateways/trustless-gateway/) and our
own Kubo node, which looks for it in the whole network. What comes from them is not trusted: callers verify."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from af.core.clock import monotonic
from af.core.errors import Error, Upstream
from af.core.http import Client, is_public
from af.core.settings import Settings
from af.protocols import multiaddr
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.multiaddr import InvalidMultiaddr
from af.storage.backends.configured import open_kubo
from af.storage.backends.kubo_rpc import KuboRpc

_RAW = "application/vnd.ipld.raw"
_CAR = "application/vnd.ipld.car; version=1; order=dfs; dups=n"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_MAX = 3
_BLOCK_SECONDS = 20.0
_CAR_HEAD_SECONDS = 30.0
_CAR_IDLE_SECONDS = 20.0
_INTRODUCE_SECONDS = 5.0
_IDENTITY_SECONDS = 2.0
_IDENTITY_KEPT_SECONDS = 300.0
DELEGATES_MAX = 20


class Refused(Upstream):
    """A source answered, but not with what was asked for; it may have it later."""

    code = "source_refused"
    number = 3047
    explain = "A source of content answered with an error, or with something that is neither a block nor a CAR."


class Source(Protocol):
    """A place that may have content. ``name`` tells people which one it is."""

    @property
    def name(self) -> str: ...

    async def block(self, cid: CID, *, limit_bytes: int) -> bytes:
        """The bytes that the source says are the block.

        :raises af.core.errors.Error: it has none, or does not answer as it should, or not in time
        """
        ...

    def car(self, root: CID, *, limit_bytes: int) -> AsyncGenerator[bytes, None]:
        """All below ``root`` as a CAR, which may end early. :raises af.core.errors.Error: as `block`"""
        ...


class GatewaySource:
    """A trustless gateway at ``base`` (an address without ``/ipfs``)."""

    def __init__(
        self, client: Client, base: str, *, name: str, allow_private: bool, patience_seconds: float = 60.0
    ) -> None:
        self._client = client
        self._patience_seconds = patience_seconds
        self._base = base.rstrip("/")
        self._name = name
        self._allow_private = allow_private

    @property
    def name(self) -> str:
        return self._name

    async def block(self, cid: CID, *, limit_bytes: int) -> bytes:
        reply = await self._client.request(
            "GET",
            f"{self._base}/ipfs/{cids.to_text(cid)}?format=raw",
            headers={"Accept": _RAW},
            limit_bytes=limit_bytes,
            timeout_seconds=min(_BLOCK_SECONDS, self._patience_seconds),
            allow_private=self._allow_private,
        )
        if reply.status != 200:
            raise Refused(f"HTTP {reply.status}")
        return reply.body

    async def car(self, root: CID, *, limit_bytes: int) -> AsyncGenerator[bytes, None]:
        url = f"{self._base}/ipfs/{cids.to_text(root)}?format=car&dag-scope=all"
        for _ in range(_REDIRECTS_MAX + 1):
            stream = self._client.stream(
                "GET",
                url,
                headers={"Accept": _CAR},
                limit_bytes=limit_bytes,
                timeout_seconds=min(_CAR_HEAD_SECONDS, self._patience_seconds),
                idle_seconds=min(_CAR_IDLE_SECONDS, self._patience_seconds),
                allow_private=self._allow_private,
            )
            async with stream as answer:
                location = answer.headers.get("location")
                if answer.status in _REDIRECTS and location is not None:
                    url = urljoin(url, location)  # to the CID's own host, for example
                    continue
                if answer.status != 200:
                    raise Refused(f"HTTP {answer.status}")
                async for piece in answer.pieces:
                    yield piece
                return
        raise Refused(f"more than {_REDIRECTS_MAX} redirects")


class KuboSource:
    """Our Kubo node; what it does not have it looks for among its peers, for a while."""

    def __init__(self, rpc: KuboRpc, *, patience_seconds: float = 60.0) -> None:
        self._rpc = rpc
        self._block_seconds = min(_BLOCK_SECONDS, patience_seconds)
        self._car_seconds = min(_CAR_HEAD_SECONDS, patience_seconds)

    @property
    def name(self) -> str:
        return "the platform's Kubo node"

    async def block(self, cid: CID, *, limit_bytes: int) -> bytes:
        wait = self._block_seconds
        data = await self._rpc.block_get(cid, offline=False, timeout_seconds=wait, limit_bytes=limit_bytes)
        if data is None:
            raise Refused("it does not find the block")
        return data

    async def car(self, root: CID, *, limit_bytes: int) -> AsyncGenerator[bytes, None]:
        async with self._rpc.dag_export(root, limit_bytes=limit_bytes, idle_seconds=self._car_seconds) as pieces:
            async for piece in pieces:
                yield piece


def sources_for(settings: Settings, client: Client, origins: Sequence[str]) -> list[Source]:
    """Where to ask, in order: what the pin's maker named, our Kubo node, the operator's gateways.

    Origins that are not HTTP servers are passed over. Those on private addresses are refused when they are called,
    unless the operator's settings name them.
    """
    patience = settings.retrieval_patience_seconds
    configured = _split(settings.retrieval_gateways)
    private = {*configured, *_split(settings.private_origins)}
    named = list(dict.fromkeys(base for base in map(gateway_of, origins) if base is not None))

    def gateway(base: str, name: str, allow_private: bool) -> Source:
        return GatewaySource(client, base, name=name, allow_private=allow_private, patience_seconds=patience)

    found = [gateway(base, base, _origin(base) in private) for base in named]
    rpc = kubo_to_ask(settings, client)
    if rpc is not None:
        found.append(KuboSource(rpc, patience_seconds=patience))
    for number, base in enumerate(configured, 1):
        if base not in named:  # its address is the operator's business
            found.append(gateway(base, f"the platform's gateway {number}", True))
    return found


def kubo_to_ask(settings: Settings, client: Client) -> KuboRpc | None:
    """Our Kubo node; not the one that is our block store: it holds blocks that are private to other projects."""
    return open_kubo(settings, client) if settings.block_backend != "kubo" else None


async def introduce(settings: Settings, client: Client, origins: Sequence[str]) -> None:
    """Connect our Kubo node to the nodes that a pin's origins name, as far as it succeeds in a few seconds."""
    peers = [origin for origin in origins if _is_public_peer(origin)]
    rpc = kubo_to_ask(settings, client) if peers else None
    if rpc is None:
        return

    async def connect(address: str) -> None:
        with suppress(Error):  # who cannot be reached by this way may be by another
            await rpc.connect(address)

    with suppress(TimeoutError):
        async with asyncio.timeout(_INTRODUCE_SECONDS), asyncio.TaskGroup() as group:
            for peer in peers:
                group.create_task(connect(peer))


def _is_public_peer(origin: str) -> bool:
    """Whether a multiaddr names a node at a public IP address: ``/ip4/…/tcp/4001/p2p/<id>``. Names could lead the node
    into our own network."""
    parts = origin.split("/")
    if len(parts) < 7 or parts[0] or parts[1] not in ("ip4", "ip6") or parts[-2] != "p2p" or "p2p-circuit" in parts:
        return False
    try:
        return is_public(ip_address(parts[2]))
    except ValueError:
        return False


def gateway_of(origin: str) -> str | None:
    """The address of the HTTP server that a pin's origin (a URL or multiaddr) names, if it names one."""
    if origin.startswith("/"):
        try:
            return multiaddr.http_url(origin)
        except InvalidMultiaddr:
            return None
    try:
        parts = urlsplit(origin)
        port = parts.port  # raises for one that cannot be
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or port == 0:
        return None
    path = parts.path.partition("/ipfs/")[0].rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _origin(base: str) -> str:
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}"


def _split(setting: str) -> list[str]:
    return [part for part in setting.split(",") if part]


class Delegates:
    """The addresses at which our Kubo node takes content from other nodes, asked for now and then."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._rpc = open_kubo(settings, client)
        self._known: tuple[str, ...] = ()
        self._until = 0.0

    async def addresses(self) -> tuple[str, ...]:
        """Multiaddrs with ``/p2p/``; none when there is no node or it does not answer."""
        if self._rpc is not None and monotonic() >= self._until:
            self._until = monotonic() + _IDENTITY_KEPT_SECONDS  # also when it fails: lists must not wait for it
            self._known = await self._ask(self._rpc)
        return self._known

    async def _ask(self, rpc: KuboRpc) -> tuple[str, ...]:
        try:
            identity = await rpc.identity(timeout_seconds=_IDENTITY_SECONDS)
        except Error:
            return ()
        found = [text for text in identity.addresses if "/p2p/" in text]
        return tuple(dict.fromkeys(found))[:DELEGATES_MAX]
