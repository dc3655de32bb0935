"""HTTP/1.1 on the socket: uvicorn's httptools protocol with a hot lane in front.

A GET or HEAD whose response is in the gateway's cache is answered inside the parser's callback with one write: no
task, no ASGI scope. Everything else goes to uvicorn's own code, unchanged. This class also closes what uvicorn leaves
open: unbounded heads, missing or repeated Host (RFC 9112 §3.2), heads and readers that never finish, and half-closed
clients.

It subclasses an interface that is not stable, so uvicorn is pinned exactly and
`tests/conformance/test_http_protocol.py` drives it over raw sockets.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from af.gateway.app import Gateway
from af.gateway.replies import Entry

HEAD_BYTES_MAX = 64 << 10
URL_BYTES_MAX = 16 << 10
_JOINED_BODY_BYTES_MAX = 64 << 10
"""Up to here copying the body behind its head is cheaper than a second buffer for the kernel."""

_FORMS = re.compile(rb"application/(?:vnd\.|json|cbor|x-tar)", re.IGNORECASE)
"""Media types in Accept that may ask for content in another form (`af.gateway.formats`)."""

NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"

CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_HOST, _ENCODING, _NONE_MATCH, _ACCEPT, _TRANSFER, _COLD, _EXPECT, _FORWARDED = range(1, 9)
_WATCHED: dict[bytes, int] = {
    b"host": _HOST,
    b"accept-encoding": _ENCODING,
    b"if-none-match": _NONE_MATCH,
    b"accept": _ACCEPT,
    b"expect": _EXPECT,
    b"transfer-encoding": _TRANSFER,
    b"x-forwarded-host": _FORWARDED,
    # anything that may change the answer beyond the cache's key
    **dict.fromkeys(
        (b"range", b"if-range", b"if-match", b"content-length", b"upgrade", b"service-worker"),
        _COLD,
    ),
    b"x-request-id": _COLD,
}


class _Refused(Exception):
    """Raised in a parser callback to stop reading."""


class HotProtocol(HttpToolsProtocol):
    """One connection. `bound` makes the class for a `Gateway`; unbound it only has the stricter checks."""

    gateway: ClassVar[Gateway | None] = None
    head_seconds_max: ClassVar[float] = 20.0
    """Time for a request head to arrive."""
    stalled_seconds_max: ClassVar[float] = 60.0
    """Time that a reader may take nothing of what waits for it, and a sender send nothing of its body."""
    watch_seconds: ClassVar[float] = 5.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self.headers = []
        self._head_open = False
        self._head_bytes = 0
        self._hosts = 0
        self._host = b""
        self._encoding = b""
        self._none_match = b""
        self._is_plain = True
        self._asks_form = False
        self._was_hot = False
        self._tunnelled = self._connecting = False
        self._refusal = 0
        self._half_closed = False
        self._heard_at = 0.0
        self._waiting_bytes = 0
        self._waiting_since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._date_of: list[tuple[bytes, bytes]] | None = None
        self._date = b""

    # --- connection ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heard_at = self.loop.time()
        self._watch = self.loop.call_later(self.watch_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client may stop sending and still wait for its answer (`nc`); TLS has no such state. A client that stops in
        the middle of a body has gone: nobody would wait for the rest."""
        if self.scheme == "https" or self._is_idle() or self.cycle.more_body:
            return False
        self._half_closed = True
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        last.keep_alive = False
        return True

    def _is_idle(self) -> bool:
        """Whether uvicorn has nothing to answer here."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _look(self) -> None:
        """Every few seconds: end connections that only hold memory."""
        now = self.loop.time()
        self._watch = self.loop.call_later(self.watch_seconds, self._look)
        waiting = self.transport.get_write_buffer_size()
        if waiting:
            if waiting != self._waiting_bytes:
                self._waiting_bytes, self._waiting_since = waiting, now
            elif now - self._waiting_since > self.stalled_seconds_max:
                self.transport.abort()
            return
        self._waiting_bytes = 0
        if self.transport.is_closing():
            return
        if self._head_open:
            if now - self._heard_at > self.head_seconds_max:
                self._refuse(408)
        elif not self._is_idle() and self.cycle.more_body:
            if not self.flow.read_paused and now - self._heard_at > self.stalled_seconds_max:
                self.transport.abort()
        elif self._is_idle() and now - self._heard_at > self.timeout_keep_alive:
            self.transport.close()

    # --- reading ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._refusal:
            return
        if not self._head_open:
            self._heard_at = self.loop.time()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._connecting:
                self._connecting = False
                self.parser = httptools.HttpRequestParser(self)
                self.data_received(data[upgrade.args[0] :])
                return
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return
            self._end_after_upgrade()
        except httptools.HttpParserError:
            self._refuse(400)
            return
        if self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > 2 * HEAD_BYTES_MAX:  # one endless header reaches no callback
                self._refuse(431)

    def _connect(self) -> None:
        """A tunnel to content of ours is this very connection: what follows is read as its requests. (Clients that know
        us as their proxy only.) There is no tunnel to anywhere else."""
        self._was_hot = True
        if not self._is_idle() or self.pipeline or self._tunnelled:
            self._stop(400)
        if self.gateway is None or not self.gateway.tunnels_to(self.url, self.transport.get_extra_info("sockname")[:2]):
            self._stop(403)
        self._tunnelled = self._connecting = True
        self.transport.write(CONNECTED)

    def _end_after_upgrade(self) -> None:
        """An upgrade that we do not offer is answered as a plain request, but the parser reads no further."""
        if not self._is_idle():
            self.cycle.keep_alive = False

    def _refuse(self, status: int) -> None:
        """Answers a broken request and closes; when an answer is still being written, closes after that one."""
        if self._refusal:
            return
        self._refusal = status
        if not self._is_idle():
            last = self.pipeline[0][0] if self.pipeline else self.cycle
            last.keep_alive = False
            if last.response_started:
                self.transport.abort()
            self.flow.pause_reading()
            return
        reason = STATUS_LINE[status][13:-2] + b".\n"
        lines = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[status], lines, len(reason), reason)
        )
        self.transport.close()

    def _stop(self, status: int) -> None:
        self._refuse(status)
        raise _Refused

    # --- parser callbacks ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head_open = True
        self._head_bytes = 0
        self._hosts = 0
        self._encoding = self._none_match = b""
        self._is_plain = True
        self._asks_form = False
        self._was_hot = False

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > URL_BYTES_MAX:
            self._stop(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_open:
            return  # trailers: nobody reads them, and they must not turn up as headers
        name = name.lower()
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_BYTES_MAX:
            self._stop(431)
        self.headers.append((name, value))
        watched = _WATCHED.get(name)
        if watched is None:
            return
        if watched == _HOST:
            self._host = value
            self._hosts += 1
        elif watched == _ENCODING:
            self._encoding = value if not self._encoding else self._encoding + b"," + value
        elif watched == _NONE_MATCH:
            self._is_plain = self._is_plain and not self._none_match
            self._none_match = value
        elif watched == _ACCEPT:
            self._asks_form = self._asks_form or _FORMS.search(value) is not None
        elif watched == _FORWARDED:
            self._is_plain = self._is_plain and value == self._host
        else:
            self._is_plain = False
            if watched == _TRANSFER and value.lower() != b"chunked":
                self._stop(400)  # we know no other, so we could not tell where the body ends
            if watched == _EXPECT and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        self._head_open = False
        if self.parser.get_method() == b"CONNECT":
            self._connect()
            return
        if (
            self._is_plain
            and self._hosts == 1
            and self.gateway is not None
            and not self.flow.write_paused
            and not self.pipeline
            and self._is_idle()
            and self._answer_hot(self.gateway)
        ):
            self._was_hot = True
            return
        if self.transport.is_closing():
            self._was_hot = True  # after `Connection: close` nothing is answered any more
            return
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            self._stop(400)
        self._to_uvicorn()

    def on_body(self, body: bytes) -> None:
        if not self._was_hot:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._was_hot:
            super().on_message_complete()

    def _to_uvicorn(self) -> None:
        """Hands the collected head to uvicorn as if its own callbacks had collected it."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        if not url.startswith(b"/") and url != b"*":
            headers = self._with_host_of_target(url, headers)
        self.headers.extend(headers)
        super().on_headers_complete()
        if self.pipeline and self._half_closed:
            self.pipeline[0][0].keep_alive = False

    def _with_host_of_target(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A target in absolute form names the host; the Host header is then ignored (RFC 9112 §3.2.2)."""
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            self._stop(400)
            raise
        if not parsed.host or not parsed.path or parsed.userinfo:
            self._stop(400)
        host = parsed.host + (b":%d" % parsed.port if parsed.port else b"")
        return [(b"host", host), *(pair for pair in headers if pair[0] != b"host")]

    # --- hot lane --------------------------------------------------------------------------------------------------

    def _answer_hot(self, gateway: Gateway) -> bool:
        """Answers from the cache if that is possible at once; `False` leaves everything untouched."""
        method = self.parser.get_method()
        if (method != b"GET" and method != b"HEAD") or self.transport.is_closing() or not self.url.startswith(b"/"):
            return False
        found = gateway.cached(self._host, self.url, self._encoding)
        if found is None:
            return False
        entry, site = found
        if self._asks_form and site is None:
            return False  # public content comes in other forms, too
        none_match = self._none_match
        if none_match:
            if none_match == entry.etag or none_match == entry.weak_etag:
                return self._write(gateway, entry, b"", 304, site)
            if b"," in none_match or b"*" in none_match:
                return False
        if method == b"HEAD":
            return self._write(gateway, entry, b"", 200, site)
        body = entry.body.data
        if body is None:
            leaf = entry.body.leaf
            if leaf is None or (body := gateway.peek(leaf)) is None or len(body) != entry.body.size:
                return False
            gateway.responses.peeked(entry.body, body)
        return self._write(gateway, entry, body, 200, site)

    def _write(self, gateway: Gateway, entry: Entry, body: bytes, status: int, site: Any) -> bool:
        keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
        default_headers = self.server_state.default_headers
        if default_headers is not self._date_of:
            self._date_of = default_headers
            self._date = b"".join(b"%b: %b\r\n" % pair for pair in default_headers)
        connection = b"" if keep_alive else b"connection: close\r\n"
        request_id = b"x-request-id: %b\r\n\r\n" % gateway.request_id().encode()
        if status == 304:
            head = (NOT_MODIFIED, self._date, entry.shared, b"", connection, request_id)
        else:
            head = (entry.status_line, self._date, entry.shared, entry.entity, connection, request_id)
        if len(body) <= _JOINED_BODY_BYTES_MAX:
            self.transport.write(b"".join((*head, body)))
        else:
            self.transport.writelines((b"".join(head), body))
        gateway.count("hot", 3 if status == 304 else entry.status_class, len(body))
        if site is not None:
            site.usage.add(len(body))
        self.server_state.total_requests += 1
        if not keep_alive:
            self.transport.close()
        return True


def bound(gateway: Gateway) -> type[HotProtocol]:
    """The protocol class for ``uvicorn.Config(http=…)`` whose hot lane answers from ``gateway``'s caches."""
    return type("BoundHotProtocol", (HotProtocol,), {"gateway": gateway})
