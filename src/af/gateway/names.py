"""What names of content point to, as the gateway asks: IPNS keys and DNSLink (`af.names`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from af.gateway.represent import IMMUTABLE, REVALIDATE
from af.protocols.ipfs.cid import CID


@dataclass(frozen=True, slots=True)
class Place:
    """A root, and the path below it that is meant. ``ttl_seconds``: how long to remember that, `None` for ever."""

    root: CID
    ttl_seconds: float | None
    segments: tuple[bytes, ...] = ()

    @property
    def cache_control(self) -> bytes:
        if self.ttl_seconds is None:
            return IMMUTABLE
        return b"public, max-age=%d" % self.ttl_seconds if self.ttl_seconds >= 1 else REVALIDATE


class Names(Protocol):
    async def resolve(self, name: str) -> Place:
        """:raises NameUnresolved:"""
        ...

    async def record(self, key: CID) -> bytes:
        """The newest valid record of a key. :raises NameUnresolved:"""
        ...
