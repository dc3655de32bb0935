"""Answers, and the cache of small ones that the protocol sends by itself (`af.gateway.protocol`)."""

from __future__ import annotations

import http
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field

from af.gateway.cache import ByteLru
from af.protocols.ipfs.cid import CID

Header = tuple[bytes, bytes]
SMALL_BODY_BYTES_MAX = 256 << 10
KEPT_BODY_BYTES_MAX = 2 << 20
_ENTRY_BYTES = 700  # objects of one cached response besides its header bytes

ENTITY_HEADERS = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"content-disposition", b"accept-ranges"}
)
"""What describes the body, so is left out of a 304 (RFC 9110 §15.4.5)."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Permission to cache a reply. ``body_key`` names the body, which several replies may share; ``leaf`` is the raw
    block whose bytes are exactly the body, if there is one. ``seconds`` limits its life; `None`: as long as there is
    room."""

    body_key: Hashable
    leaf: CID | None
    seconds: float | None


@dataclass(slots=True)
class Reply:
    """``body`` whole, or ``stream`` giving exactly ``length`` bytes. ``headers`` are lower case, without
    Content-Length. A stream without ``length`` is sent in chunks."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    stream: Callable[[], AsyncIterator[bytes]] | None = None
    length: int | None = None
    keep: Keep | None = None

    @property
    def content_length(self) -> int | None:
        return len(self.body) if self.stream is None else self.length


class Body:
    """A cached body. ``data`` is `None` after eviction; then ``leaf``, if any, is where to look."""

    __slots__ = ("data", "leaf", "size")

    def __init__(self, data: bytes, leaf: CID | None) -> None:
        self.data: bytes | None = data
        self.leaf = leaf
        self.size = len(data)

    def forget(self) -> None:
        self.data = None


class Entry:
    """A prebuilt response: bytes to be joined around the Date. ``shared`` also goes into a 304, ``entity`` does not."""

    __slots__ = ("body", "entity", "etag", "expires_at", "shared", "status_class", "status_line", "weak_etag")

    def __init__(self, reply: Reply, body: Body, expires_at: float) -> None:
        lines = [(name, b"%b: %b\r\n" % (name, value)) for name, value in reply.headers]
        self.shared = b"".join(line for name, line in lines if name not in ENTITY_HEADERS)
        self.entity = b"".join(line for name, line in lines if name in ENTITY_HEADERS)
        self.entity += b"content-length: %d\r\n" % body.size
        self.etag = next((value for name, value in reply.headers if name == b"etag"), b"")
        self.weak_etag = b"W/" + self.etag
        self.status_line = status_line(reply.status)
        self.status_class = reply.status // 100
        self.body = body
        self.expires_at = expires_at


class Responses:
    """Entries (heads) and bodies, each bounded by bytes; big bodies cannot push out the small ones."""

    def __init__(self, cache_bytes: int) -> None:
        self._entries: ByteLru[Hashable, Entry] = ByteLru(cache_bytes // 8)
        self._small: ByteLru[Hashable, Body] = ByteLru(cache_bytes * 5 // 8, on_drop=Body.forget)
        self._big: ByteLru[Hashable, Body] = ByteLru(cache_bytes // 8, on_drop=Body.forget)
        self._peeked = 0
        self.get = self._entries.get

    def body(self, key: Hashable) -> bytes | None:
        """The bytes kept under a body key."""
        found = self._small.get(key) or self._big.get(key)
        return None if found is None else found.data

    def keep_body(self, key: Hashable, data: bytes, leaf: CID | None) -> Body | None:
        """Keeps ``data``; `None` when it is too large to be kept and cannot be found again either."""
        kept = self._small if len(data) <= SMALL_BODY_BYTES_MAX else self._big
        found = kept.get(key)
        if found is not None and found.size == len(data):
            return found
        body = Body(data, leaf)
        if len(data) > KEPT_BODY_BYTES_MAX or not kept.admits(len(data)):
            if leaf is None or len(data) > SMALL_BODY_BYTES_MAX:
                return None
            body.forget()
            return body
        kept.put(key, body, len(data) + 200)
        return body

    def peeked(self, body: Body, data: bytes) -> None:
        """A forgotten body was read again from the block store: one in eight is taken back, so that what is asked for
        often returns soon and a large site that is read once at random does not turn the whole cache over."""
        self._peeked += 1
        size_bytes = len(data) + 200
        if self._peeked & 7 == 0 and self._small.admits(size_bytes):
            self._small.put((body.leaf, ""), body, size_bytes)
            body.data = data

    def keep(self, key: Hashable, reply: Reply, now: float) -> None:
        """Caches a reply that allows it; ``now`` is `monotonic`."""
        if reply.keep is None:
            return
        body = self.keep_body(reply.keep.body_key, reply.body, reply.keep.leaf)
        if body is None:
            return
        seconds = reply.keep.seconds
        entry = Entry(reply, body, float("inf") if seconds is None else now + seconds)
        self._entries.put(key, entry, len(entry.shared) + len(entry.entity) + _ENTRY_BYTES)


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, http.HTTPStatus(status).phrase.encode())
