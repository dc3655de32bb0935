"""What a Host header names (DESIGN §3.1): the main address, a path gateway, a site, a CID with its own origin, or else
some other host that may be a custom domain. Pure; the protocol asks on every request, so answers are memoised."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?")
_REMEMBERED = 16_384
HOST_BYTES_MAX = 300


class Kind(Enum):
    MAIN = "main"
    """`localhost` or AF_DOMAIN: ``/ipfs/…`` redirects to an origin of its own."""
    PATHS = "paths"
    """An IP literal or ``gateway.<domain>``: ``/ipfs/…`` is served in place."""
    SITE = "site"
    CID = "cid"
    OTHER = "other"
    """Not one of ours by name: perhaps a custom domain."""
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Address:
    """``name`` is the site's name, the CID's text, or the whole host; ``domain`` is what ``<cid>.ipfs.`` goes before;
    ``port`` is ``":8787"`` or empty."""

    kind: Kind
    name: str
    domain: str = ""
    port: str = ""


class Addresses:
    """Reads Host headers for one set of domains. ``of(header) -> Address`` never raises."""

    def __init__(self, *, domain: str, sites_domain: str) -> None:
        self._mains = {"localhost", domain}
        self._sites_suffix = "." + sites_domain
        self.of: Callable[[bytes], Address] = lru_cache(_REMEMBERED)(self._read)

    def _read(self, header: bytes) -> Address:
        match = _HOST.fullmatch(header.lower()) if len(header) <= HOST_BYTES_MAX else None
        if match is None:
            return Address(Kind.INVALID, "")
        host = match[1].decode("ascii").removesuffix(".")
        port = f":{int(match[2])}" if match[2] else ""
        if host in self._mains:
            return Address(Kind.MAIN, host, host, port)
        if _is_ip(host):
            return Address(Kind.PATHS, host, "", port)
        for domain in self._mains:
            if host == "gateway." + domain:
                return Address(Kind.PATHS, host, domain, port)
            label = host.removesuffix(".ipfs." + domain)
            if label != host and label and "." not in label:
                return Address(Kind.CID, label, domain, port)
        label = host.removesuffix(self._sites_suffix)
        if label != host and label and "." not in label:
            return Address(Kind.SITE, label, self._sites_suffix[1:], port)
        return Address(Kind.OTHER, host, "", port)


def _is_ip(host: str) -> bool:
    if not (host[:1].isdigit() or host.startswith("[")):
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
