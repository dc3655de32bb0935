"""HTTP to the platform: pooled connections, JSON and GraphQL, retries while it is away, server-sent events."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

from alternatefutures import eventstream
from alternatefutures.credentials import Credential, Fixed, checked_header
from alternatefutures.errors import NOT_OURS, ApiError, NetworkError, UnexpectedReply, UsageError
from alternatefutures.eventstream import ServerEvent

if TYPE_CHECKING:
    import urllib3

GIVE_UP_SECONDS = 20.0
"""How long a call keeps trying after the platform was lost (DESIGN §3.2)."""
READ_SECONDS = 20.0
"""How long an answer may take when nothing but a look-up is asked for."""
LONG_SECONDS = 120.0
"""How long an answer may take when the platform must check or store something first."""
HOURS_SECONDS = 4 * 3600.0
"""For what reads everything that is stored."""
PIECE_BYTES = 1 << 18
"""Bodies are sent in pieces of at most this size, so that a slow line makes progress within `_SEND_SECONDS`."""
_CONNECT_SECONDS = 5.0
_SEND_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_UNHEARD_STATUSES = frozenset({429, 503})

Body = bytes | Callable[[], Iterator[bytes | memoryview]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: ``body`` is whole; ``headers`` has lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """:raises UnexpectedReply: the body is not JSON, so this is not the platform."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedReply("something that is not JSON", status=self.status) from error


class Transport:
    """Calls to one platform at ``url``, with a ``token`` (empty: anonymous) or a `Credential` that tells the token of
    the moment. Safe to share between threads.

    ``refresh`` returns the newest token that is known; it is asked when the platform no longer takes the present one.
    """

    def __init__(
        self,
        url: str,
        token: str | Credential,
        project_id: str = "",
        *,
        refresh: Callable[[], str] | None = None,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self.url = _checked_url(url)
        self.credential: Credential = Fixed(token, refresh) if isinstance(token, str) else token
        self.project_id = checked_header(project_id, "The project id")
        self._give_up_seconds = give_up_seconds
        self._pool: urllib3.PoolManager | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Close the connections; calls that wait to try again give up."""
        self._closed.set()
        if self._pool is not None:
            self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        content_type: str = "application/json",
        length_bytes: int | None = None,
        idempotent: bool = True,
        read_seconds: float = LONG_SECONDS,
    ) -> Reply:
        """One call, retried while the platform is away or busy; raises `ApiError` for a refusal.

        A body that is a function is called for each attempt; ``length_bytes`` is its size, when known. A call that is
        not ``idempotent`` is repeated only when it certainly was not received.

        :raises NetworkError: the platform was away for too long.
        """
        headers = {"Content-Type": content_type} if body is not None else {}
        if length_bytes is not None:
            headers["Content-Length"] = str(length_bytes)

        def attempt() -> Reply:
            content = body() if callable(body) else body
            response = self._open(method, path, content, headers, preload=True, read_seconds=read_seconds)
            return Reply(response.status, _lower(response.headers), response.data)

        reply: Reply = self._persist(attempt, idempotent=idempotent)
        return reply

    def graphql(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        idempotent: bool = True,
        read_seconds: float | None = None,
    ) -> Any:
        """The ``data`` of a GraphQL operation; its first error is raised as `ApiError`."""
        payload = json.dumps({"query": query, "variables": variables or {}}).encode()
        seconds = read_seconds or (READ_SECONDS if query.startswith("query") else LONG_SECONDS)

        def call() -> Any:
            reply = self.request("POST", "/graphql", body=payload, idempotent=idempotent, read_seconds=seconds)
            document = reply.json()
            if isinstance(document, dict) and document.get("errors"):
                raise ApiError(_graphql_problem(document["errors"]))
            if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
                raise UnexpectedReply("something that is not GraphQL", status=reply.status)
            return document["data"]

        return self._as_known(call)

    def download(self, path: str) -> Iterator[bytes]:
        """The body of a GET in pieces; for content, which may be large. Begins over only while nothing has come."""
        import urllib3

        response = self._persist(lambda: self._stream(path, {}))
        try:
            yield from response.stream(PIECE_BYTES)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NetworkError(
                "The platform went away in the middle of the answer.", cause=_plain(error), hint="Run it again."
            ) from error
        finally:
            response.close()

    def events(self, path: str, *, after: str = "") -> Iterator[ServerEvent]:
        """Server-sent events, reconnecting with ``Last-Event-ID`` until the platform is away for too long."""
        import urllib3

        last = after
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            response = self._persist(lambda headers=headers: self._stream(path, headers))  # type: ignore[misc]
            try:
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise UnexpectedReply("something that is not a stream of events", status=response.status)
                for event in eventstream.parse(response.stream(4096, decode_content=True)):
                    last = event.id or last
                    yield event
            except (urllib3.exceptions.HTTPError, OSError):
                pass  # cut: connect again
            finally:
                response.close()
            self._pause(_FIRST_PAUSE_SECONDS * 2)

    def _persist(self, attempt: Callable[[], Any], *, idempotent: bool = True) -> Any:
        """``attempt`` until it is answered; the clock of giving up runs from the moment the platform was lost."""
        import urllib3

        lost_at: float | None = None
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            wait: float | None = None
            try:
                reply = self._as_known(lambda: _answered(attempt(), idempotent))
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                failure: Exception = error
            except urllib3.exceptions.ReadTimeoutError as error:
                raise self._lost(error) from error  # it had its time; asking again would double it
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not idempotent:
                    raise self._lost(error) from error
                failure = error
            except _Busy as busy:
                failure, wait = busy.refusal, busy.wait_seconds
            else:
                return reply
            now = time.monotonic()
            if lost_at is None or now - began > self._give_up_seconds:
                lost_at = now  # it was there just now
            wait = max(wait or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
            if now + wait - lost_at > self._give_up_seconds or self._pause(wait):
                raise failure if isinstance(failure, ApiError) else self._lost(failure)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _as_known(self, call: Callable[[], Any]) -> Any:
        """``call``, once more when the token was refused and a newer one is known."""
        used = self.credential.current()
        try:
            return call()
        except ApiError as error:
            if error.kind != "unauthenticated" or not used or self.credential.renewed(used) == used:
                raise
            return call()

    def _pause(self, seconds: float) -> bool:
        """Wait; true when the transport was closed meanwhile."""
        return self._closed.wait(seconds)

    def _stream(self, path: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return self._open("GET", path, None, headers, preload=False, read_seconds=LONG_SECONDS)

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes | memoryview] | None,
        headers: dict[str, str],
        *,
        preload: bool,
        read_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        with self._lock:
            if self._pool is None:
                self._pool = urllib3.PoolManager(maxsize=8, retries=False)
        sent = {"Accept": "application/json", "User-Agent": "af-python"} | headers
        if token := self.credential.current():
            sent["Authorization"] = f"Bearer {token}"
        if self.project_id:
            sent["X-Project-Id"] = self.project_id
        # urllib3 applies the connect timeout to each send, too.
        connect = _CONNECT_SECONDS if body is None or isinstance(body, bytes) else _SEND_SECONDS
        return self._pool.request(
            method,
            self.url + path,
            body=cast("bytes | Iterator[bytes] | None", body),  # sockets take any buffer
            headers=sent,
            timeout=urllib3.Timeout(connect=connect, read=read_seconds),
            preload_content=preload,
            redirect=False,
        )

    def _lost(self, error: Exception) -> NetworkError:
        return NetworkError(
            f"The platform at {self.url} does not answer.",
            cause=_plain(error),
            hint="Start it with `af up`, or set AF_API_URL to the address of a running platform.",
        )


class _Busy(Exception):
    """The platform asks to be asked later."""

    def __init__(self, refusal: ApiError, wait_seconds: float | None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.wait_seconds = wait_seconds


def segment(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")


def _answered(reply: Any, idempotent: bool) -> Any:
    """A `Reply` or an open response, when it is one of success; otherwise raises what it means."""
    if reply.status < 300:
        return reply
    if not isinstance(reply, Reply):
        reply = Reply(reply.status, _lower(reply.headers), reply.data)
    if reply.status < 400:
        where = reply.headers.get("location", "elsewhere")
        raise UnexpectedReply(f"a redirect to {where}", hint="Use that address instead.", status=reply.status)
    refusal = ApiError(_problem(reply), status=reply.status)
    if reply.status in (_RETRY_STATUSES if idempotent else _UNHEARD_STATUSES):
        raise _Busy(refusal, _retry_after(reply))
    raise refusal


def _problem(reply: Reply) -> dict[str, Any]:
    """Our own reading of ``application/problem+json``; other bodies (a proxy's page) become a plain refusal."""
    try:
        document = reply.json()
    except UnexpectedReply:
        document = None
    if isinstance(document, dict) and document.get("errors"):
        return _graphql_problem(document["errors"])
    kind = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 413: "too_large", 429: "rate_limited"}
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        return _pinning_problem(document["error"], kind, reply.status)
    if not isinstance(document, dict) or "title" not in document:
        return {
            "message": f"The address answered with HTTP {reply.status}.",
            "kind": kind.get(reply.status, "upstream" if reply.status >= 500 else "invalid_input"),
            "hint": NOT_OURS,
        }
    return document | {"message": document.get("detail"), "kind": document["title"]}


def _pinning_problem(error: dict[str, Any], kinds: dict[int, str], status: int) -> dict[str, Any]:
    """A refusal as the Pinning Service API writes it: 409 stands for a quota there."""
    reason = str(error.get("reason") or "")
    kind = kinds.get(status, "upstream" if status >= 500 else "invalid_input")
    if status == 409:
        kind = "quota_exceeded" if reason == "INSUFFICIENT_FUNDS" else "conflict"
    return error | {"message": error.get("details") or reason, "kind": kind}


def _graphql_problem(errors: Any) -> dict[str, Any]:
    """The first of GraphQL's ``errors``, whatever stands there."""
    first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
    extensions = first.get("extensions")
    return {"message": first.get("message")} | (extensions if isinstance(extensions, dict) else {})


def _retry_after(reply: Reply) -> float | None:
    """Seconds; the form with a date is left to our own pauses."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(error: Exception) -> str:
    """The innermost reason of urllib3's nested errors, without object addresses."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    text = str(inner)
    return text.rsplit(": ", 1)[-1] if ": " in text else text


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url!r} is not an address of a platform.", hint="Use one like http://localhost:8787.")
    return url.rstrip("/")
