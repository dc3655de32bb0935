"""Outgoing HTTP, with a guard against server-side request forgery.

Any address that a user can name goes through `Client`. The name is resolved, every address is checked, and the
connection is made to exactly the checked addresses (no second look-up that could answer otherwise); each redirect is
checked anew. aiohttp is imported on first use, so that processes which never call out do not pay for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from af.core.context import in_transaction
from af.core.errors import InvalidInput, Timeout, TooLarge, Upstream

if TYPE_CHECKING:
    import aiohttp

REDIRECTS_MAX = 5
BODY_BYTES_MAX = 16 << 20
_PIECE_BYTES = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
"""The only headers that follow a redirect to another origin: any other may be a secret."""
_PORTS_REFUSED = frozenset({0, 19, 22, 23, 25, 53, 110, 135, 139, 143, 445, 465, 587, 993, 995, 6379, 11211})
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))  # NAT64: the last 32 bits are an IPv4 address
_REFUSED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared address space (CGNAT)
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "2001::/23",  # Teredo and other special purposes
        "fec0::/10",
    )
)


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""``await resolve(host, port)``: addresses as text; `OSError` when there are none."""


class AddressRefused(InvalidInput):
    """The address may not be called from here."""

    code = "address_refused"
    number = 1110
    explain = (
        "The platform does not call private, loopback, link-local or otherwise special addresses that a user names, "
        "nor ports of other protocols. Use a public http(s) address."
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: header names are lower-case; ``body`` is whole; ``url`` is where redirects led."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body is still on its way. ``pieces`` ends with the body.

    :raises TooLarge, Timeout, Upstream: (from ``pieces``)
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


def is_loopback(host: str) -> bool:
    """Whether a host, by name or number, is this machine: plain text to it is not read by others (RFC 8252 §8.3)."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the open internet, looking through IPv4 embedded in IPv6."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and any(address in network for network in _TRANSLATED):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


class Client:
    """One per process. Keeps no connections: it is for calls to others' addresses, where each is checked anew."""

    def __init__(self, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _resolve

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit_bytes: int = BODY_BYTES_MAX,
        timeout_seconds: float = 30.0,
        allow_private: bool = False,
        follow_redirects: bool = True,
    ) -> Reply:
        """One exchange, redirects followed; any status is a reply. The body comes as sent, not decompressed (asking for
        compression is up to the caller). ``allow_private`` is for addresses from our own settings only. Without
        ``follow_redirects`` a redirect is a reply, too: a body that holds a secret must not travel on.

        :raises AddressRefused: not http(s), credentials in the URL, or a special address or port.
        :raises TooLarge: the body exceeds ``limit_bytes``.
        :raises Timeout, Upstream: no whole answer in time, or no connection.
        """
        assert not in_transaction(), "no network call inside a database transaction (STYLE.md)"
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        try:
            async with asyncio.timeout(timeout_seconds):
                for _ in range(REDIRECTS_MAX + 1):
                    reply = await self._once(method, url, sent, body, limit_bytes, allow_private)
                    location = reply.headers.get("location")
                    if not follow_redirects or reply.status not in _REDIRECTS or location is None:
                        return reply
                    target = urljoin(url, location)
                    if urlsplit(target)[:2] != urlsplit(url)[:2]:
                        sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
                    if reply.status == 303 or (reply.status in (301, 302) and method == "POST"):
                        method, body = "GET", None
                    url = target
        except TimeoutError as error:
            raise Timeout(f"{_shown(url)} did not answer within {timeout_seconds:g} s.") from error
        raise Upstream(f"{_shown(url)} redirects more than {REDIRECTS_MAX} times.")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        limit_bytes: int,
        timeout_seconds: float = 30.0,
        idle_seconds: float = 30.0,
        allow_private: bool = False,
    ) -> AsyncIterator[Stream]:
        """One exchange for bodies that do not fit in memory, in either direction. A redirect is a reply: only the
        caller knows whether a body may travel on. ``timeout_seconds`` is the time until the head of the answer, sending
        the body included; ``idle_seconds`` the longest wait for a piece of the answer. How long the answer may take in
        all is the caller's.

        :raises AddressRefused, Timeout, Upstream: as `request`.
        """
        assert not in_transaction(), "no network call inside a database transaction (STYLE.md)"
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        async with self._session(url, allow_private) as session:
            opening = session.request(method, url, headers=sent, data=body, allow_redirects=False)
            with _as_ours(url):
                try:
                    async with asyncio.timeout(timeout_seconds):
                        response = await opening
                except TimeoutError as error:
                    raise Timeout(f"{_shown(url)} did not answer within {timeout_seconds:g} s.") from error
            async with response:
                lowered = {name.lower(): value for name, value in response.headers.items()}
                yield Stream(response.status, lowered, _pieces(response, url, limit_bytes, idle_seconds))

    async def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit_bytes: int, allow_private: bool
    ) -> Reply:
        async with self._session(url, allow_private) as session:
            with _as_ours(url):
                async with session.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
                    received = bytearray()
                    async for piece in response.content.iter_chunked(_PIECE_BYTES):
                        received += piece
                        if len(received) > limit_bytes:
                            raise TooLarge(f"The answer of {_shown(url)} is larger than {limit_bytes} bytes.")
                    lowered = {name.lower(): value for name, value in response.headers.items()}
                    return Reply(response.status, lowered, bytes(received), url)

    @asynccontextmanager
    async def _session(self, url: str, allow_private: bool) -> AsyncIterator[aiohttp.ClientSession]:
        """A session that can connect to nothing but the checked addresses of ``url``."""
        import aiohttp

        parts = _checked_url(url, allow_private)
        addresses = await self._addresses(parts, allow_private)
        fixed = _Fixed(addresses)
        connector = aiohttp.TCPConnector(
            resolver=fixed,  # type: ignore[arg-type]
            socket_factory=fixed.open_socket,
            use_dns_cache=False,
            force_close=True,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the caller's covers it all
            auto_decompress=False,  # a bomb counts as what came over the wire
            trust_env=False,  # a proxy would look the name up again
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            yield session

    async def _addresses(self, parts: SplitResult, allow_private: bool) -> list[str]:
        host = parts.hostname
        assert host is not None
        if not allow_private and f".{host.rstrip('.')}".endswith(".localhost"):
            raise AddressRefused(f"{host} is this machine.", field="url")
        try:
            addresses: Sequence[str] = [str(ip_address(host))]
        except ValueError:
            if _is_odd_number(host):
                raise AddressRefused("Write an IP address in its usual form.", field="url") from None
            addresses = await self._looked_up(host, parts.port or (443 if parts.scheme == "https" else 80))
        if not allow_private and not all(is_public(ip_address(address)) for address in addresses):
            raise AddressRefused(f"{host} is not a public address.", field="url")
        return list(addresses)

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Upstream(f"The name {host} does not resolve.", detail=str(error)) from error
        if not addresses:
            raise Upstream(f"The name {host} has no address.")
        return addresses


@contextmanager
def _as_ours(url: str) -> Iterator[None]:
    """aiohttp's complaints as `Upstream`."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise  # whose deadline it is, its owner says
        raise Upstream(f"{_shown(url)} could not be reached.", detail=str(error)) from error


async def _pieces(
    response: aiohttp.ClientResponse, url: str, limit_bytes: int, idle_seconds: float
) -> AsyncIterator[bytes]:
    received = 0
    while True:
        with _as_ours(url):
            try:
                async with asyncio.timeout(idle_seconds):
                    piece = await response.content.read(_PIECE_BYTES)
            except TimeoutError as error:
                raise Timeout(f"{_shown(url)} sent nothing for {idle_seconds:g} s.") from error
        if not piece:
            return
        received += len(piece)
        if received > limit_bytes:
            raise TooLarge(f"The answer of {_shown(url)} is larger than {limit_bytes} bytes.")
        yield piece


class _Fixed:
    """A resolver and socket factory (aiohttp's interfaces) that know only the addresses that were checked."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[dict[str, Any]]:
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in self._addresses
        ]

    def open_socket(self, target: tuple[Any, ...]) -> socket.socket:
        """The last line: even if aiohttp reads a URL in another way than we did, nothing else is dialled."""
        family, kind, protocol, _, address = target
        if address[0] not in self._addresses:
            raise AddressRefused(f"{address[0]} was not checked.", field="url")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing to close."""


def _checked_url(url: str, allow_private: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("That is not a valid address.", field="url") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("Only http:// and https:// addresses can be called.", field="url")
    if parts.username or parts.password:
        raise AddressRefused("An address with a user name or password in it is not called.", field="url")
    if "%" in parts.hostname or any(ord(c) <= 32 for c in url):
        raise AddressRefused("That address has characters that it must not have.", field="url")
    if not allow_private and port is not None and port in _PORTS_REFUSED:
        raise AddressRefused(f"Port {port} belongs to another protocol.", field="url")
    return parts


def _is_odd_number(host: str) -> bool:
    """Whether C libraries take a name for an IPv4 address: ``127.1``, ``2130706433``, ``0177.0.0.1``, ``0x7f.1``."""
    try:
        socket.inet_aton(host.rstrip("."))
    except (OSError, UnicodeError):
        return False
    return True


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _shown(url: str) -> str:
    """Scheme and host: paths and queries may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
