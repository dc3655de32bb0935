"""What names need from outside: DNSLinks, and memory of records between the readings of the database."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from af.core.bell import Bell
from af.core.clock import monotonic
from af.protocols.ipfs import ipns

RECORDS_MAX = 2_000  # of at most 10 KiB
KEEP_SECONDS = 2.0
"""How long another machine's publication may go unnoticed; this machine's rings the bell."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a domain's DNSLink leads, as its owner wrote it. ``ttl_seconds``: of the DNS record; `None` for our own."""

    target: str
    ttl_seconds: float | None


class DnsLinks(Protocol):
    """Looks up DNSLinks (https://dnslink.dev)."""

    async def lookup(self, domain: str) -> Link | None:
        """`None`: the domain has none. :raises DnsFailed, DnsOff:"""
        ...


class RecordCache:
    """The newest record of each name asked for lately; also that there is none. All of it is forgotten when the bell
    of names rings."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._heard = bell.read("names")
        self._known: OrderedDict[ipns.Name, tuple[float, ipns.Record | None]] = OrderedDict()

    def get(self, name: ipns.Name) -> tuple[ipns.Record | None] | None:
        """The answer in a tuple; `None` if it must be asked for."""
        if (heard := self._bell.read("names")) != self._heard:
            self._heard = heard
            self._known.clear()
        kept = self._known.get(name)
        if kept is None or monotonic() >= kept[0]:
            return None
        self._known.move_to_end(name)
        return (kept[1],)

    def mark(self) -> bytes:
        """To be taken before reading what is then `put`."""
        return self._bell.read("names")

    def put(self, name: ipns.Name, record: ipns.Record | None, mark: bytes) -> None:
        """Keep what was read since ``mark``, unless somebody has published meanwhile."""
        if mark != self._heard or mark != self._bell.read("names"):
            return
        self._known[name] = (monotonic() + KEEP_SECONDS, record)
        self._known.move_to_end(name)
        if len(self._known) > RECORDS_MAX:
            self._known.popitem(last=False)
