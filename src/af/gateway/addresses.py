"""What a Host header names (DESIGN §3.1): the main address, a path gateway, a site, a CID with its own origin, or else
some other host that may be a custom domain. Pure; the protocol asks on every request, so answers are memoised."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?")
_REMEMBERED = 16_384
HOST_BYTES_MAX = 300


class Kind(Enum):
    MAIN = "main"
    """`localhost`, AF_DOMAIN, or one of AF_GATEWAY_HOSTS: ``/ipfs/…`` and ``/ipns/…`` redirect to an origin of their
    own."""
    PATHS = "paths"
    """An IP literal or ``gateway.<domain>``: ``/ipfs/…`` is served in place."""
    SITE = "site"
    IPFS = "ipfs"
    """``<cid>.ipfs.<domain>``"""
    IPNS = "ipns"
    """``<key>.ipns.<domain>``, or a DNSLink name, inlined into one label or as it is."""
    DNSLINK = "dnslink"
    """A host of AF_DNSLINK_MAP: its DNSLink is its site."""
    OTHER = "other"
    """Not one of ours by name: perhaps a custom domain, else a path gateway and nothing more."""
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Address:
    """``name`` is the site's name, the text before ``.ipfs.`` or ``.ipns.``, or the whole host; ``domain`` is what
    follows them; ``port`` is ``":8787"`` or empty. ``ours`` is false for hosts that only AF_GATEWAY_HOSTS or
    AF_DNSLINK_MAP know: nothing of the platform is at them, and their front says how visitors reached it."""

    kind: Kind
    name: str
    domain: str = ""
    port: str = ""
    ours: bool = True

    @property
    def host(self) -> str:
        """The host as it was asked for, with its port."""
        below = f".{self.kind.value}.{self.domain}" if self.kind in (Kind.IPFS, Kind.IPNS) else ""
        return f"{self.name}{f'.{self.domain}' if self.kind is Kind.SITE else below}{self.port}"

    @property
    def origin(self) -> str:
        """``domain`` with its port, as it stands in a link."""
        return self.domain + self.port


class Addresses:
    """Reads Host headers for one set of domains. ``of(header) -> Address`` never raises."""

    def __init__(
        self, *, domain: str, sites_domain: str, gateway_hosts: Iterable[str] = (), dnslink_hosts: Iterable[str] = ()
    ) -> None:
        self._ours = {"localhost", domain}
        self._mains = (*self._ours, *(host for host in gateway_hosts if host not in self._ours))
        self._dnslink_hosts = frozenset(dnslink_hosts)
        self._sites_suffix = "." + sites_domain
        self.of: Callable[[bytes], Address] = lru_cache(_REMEMBERED)(self._read)

    def _read(self, header: bytes) -> Address:
        match = _HOST.fullmatch(header.lower()) if len(header) <= HOST_BYTES_MAX else None
        if match is None:
            return Address(Kind.INVALID, "")
        host = match[1].decode("ascii").removesuffix(".")
        port = f":{int(match[2])}" if match[2] else ""
        if _is_ip(host):
            return Address(Kind.PATHS, host, "", port)
        for domain in self._mains:
            if (found := self._below(host, domain, port)) is not None:
                return found
        if host in self._dnslink_hosts:
            return Address(Kind.DNSLINK, host, "", port, ours=False)
        label = host.removesuffix(self._sites_suffix)
        if label != host and label and "." not in label:
            return Address(Kind.SITE, label, self._sites_suffix[1:], port)
        return Address(Kind.OTHER, host, "", port)

    def _below(self, host: str, domain: str, port: str) -> Address | None:
        """What ``host`` is to ``domain``, if it has to do with content there. DNSLink names may have dots."""
        ours = domain in self._ours
        if host == domain:
            return Address(Kind.MAIN, host, host, port, ours)
        if ours and host == "gateway." + domain:
            return Address(Kind.PATHS, host, domain, port)
        for kind in (Kind.IPFS, Kind.IPNS):
            name = host.removesuffix(f".{kind.value}.{domain}")
            if name != host and name and (kind is Kind.IPNS or "." not in name):
                return Address(kind, name, domain, port, ours)
        return None


def _is_ip(host: str) -> bool:
    if not (host[:1].isdigit() or host.startswith("[")):
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
