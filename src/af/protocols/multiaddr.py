"""Multiaddrs in text (https://github.com/multiformats/multiaddr), as far as they name HTTP servers.

``/dns4/example.org/tcp/443/https``, ``/ip4/203.0.113.1/tcp/8080/http``, ``/ip6/…/tcp/443/tls/sni/example.org/http``,
each with ``/http-path/<percent-encoded>`` and ``/p2p/<peer>`` behind it if need be.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, unquote

MAX_TEXT = 2000
_NAMES = frozenset({"dns", "dns4", "dns6"})


class InvalidMultiaddr(ValueError):
    """Not a multiaddr of the kind that is read here."""


def http_url(text: str) -> str:
    """The ``http(s)://host[:port][/path]`` that a multiaddr names.

    :raises InvalidMultiaddr: it names no HTTP server (``/p2p/…`` alone, ``/udp/…``), or is malformed
    """
    if not text.startswith("/") or len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidMultiaddr("not a multiaddr")
    parts = text.strip("/").split("/")
    if len(parts) < 5 or parts[2] != "tcp":
        raise InvalidMultiaddr("not the address of an HTTP server")
    host, port = _host(parts[0], parts[1]), _port(parts[3])
    scheme, rest = _scheme(parts[4:])
    path = _path(rest)
    standard = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}{'' if port == standard else f':{port}'}{path}"


def _host(protocol: str, value: str) -> str:
    try:
        if protocol == "ip4":
            return str(IPv4Address(value))
        if protocol == "ip6" and "%" not in value:
            return f"[{IPv6Address(value)}]"
    except ValueError as error:
        raise InvalidMultiaddr(f"not an address: {error}") from error
    if protocol in _NAMES and value and all(c.isascii() and (c.isalnum() or c in "-._") for c in value):
        return value.lower()
    raise InvalidMultiaddr("neither an IP address nor a DNS name")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:6]) < 65536 or len(text) > 5:
        raise InvalidMultiaddr("not a port")
    return int(text)


def _scheme(parts: list[str]) -> tuple[str, list[str]]:
    """The scheme, and what follows it."""
    match parts:
        case ["https", *rest] | ["tls", "http", *rest] | ["tls", "sni", _, "http", *rest]:
            return "https", rest
        case ["http", *rest]:
            return "http", rest
    raise InvalidMultiaddr("not an HTTP server")


def _path(parts: list[str]) -> str:
    path = ""
    while parts:
        match parts:
            case ["http-path", encoded, *rest] if not path:
                path = "/" + quote(unquote(encoded).strip("/"))
                parts = rest
            case ["p2p" | "ipfs", _, *rest]:
                parts = rest
            case _:
                raise InvalidMultiaddr("something that is not understood follows")
    return path.rstrip("/")
