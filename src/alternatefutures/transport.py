"""HTTP to the platform: one pooled client, JSON and GraphQL in and out, retries with a deadline, server-sent events."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from alternatefutures.errors import ApiError, NetworkError, UsageError

if TYPE_CHECKING:
    import urllib3

GIVE_UP_SECONDS = 20.0
"""How long a call keeps trying after the platform was lost (DESIGN §3.2)."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 120.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_EVENT_LINE_BYTES_MAX = 1 << 20

Body = bytes | Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: ``body`` is whole; ``headers`` has lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


class Transport:
    """Calls to one platform at ``url`` with one ``token`` (empty: anonymous). Safe to share between threads."""

    def __init__(self, url: str, token: str, project_id: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is not an address of a platform.", hint="Use one like http://localhost:8787.")
        self.url = url.rstrip("/")
        self.token = token
        self.project_id = project_id
        self._pool: urllib3.PoolManager | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        idempotent: bool = True,
    ) -> Reply:
        """One call, retried while the platform is away or busy; raises `ApiError` for a refusal.

        A call that is not ``idempotent`` is repeated only when it certainly was not received.
        """
        import urllib3

        deadline = time.monotonic() + GIVE_UP_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            wait: float | None = None
            try:
                reply = self._once(method, path, body, content_type, headers or {})
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                failure: Exception = error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not idempotent:
                    raise self._lost(error) from error
                failure = error
            else:
                if reply.status not in _RETRY_STATUSES or not (idempotent or reply.status in (429, 503)):
                    return _checked(reply)
                failure = ApiError(_problem(reply), status=reply.status)
                wait = _retry_after(reply)
            left = deadline - time.monotonic()
            wait = wait if wait is not None else pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries
            if wait > left:
                raise failure if isinstance(failure, ApiError) else self._lost(failure)
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def graphql(self, query: str, variables: dict[str, Any] | None = None, *, idempotent: bool = True) -> Any:
        """The ``data`` of a GraphQL operation; its first error is raised as `ApiError`."""
        payload = json.dumps({"query": query, "variables": variables or {}}).encode()
        document = self.request("POST", "/graphql", body=payload, idempotent=idempotent).json()
        if document.get("errors"):
            first = document["errors"][0]
            raise ApiError({"message": first.get("message"), **(first.get("extensions") or {})})
        return document["data"]

    def download(self, path: str) -> Iterator[bytes]:
        """The body of a GET in pieces; for content, which may be large."""
        import urllib3

        try:
            response = self._open("GET", path, None, {}, preload=False)
            if response.status >= 400:
                _checked(Reply(response.status, _lower(response.headers), response.data))
            yield from response.stream(1 << 18)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._lost(error) from error

    def events(self, path: str, *, after: str = "") -> Iterator[ServerEvent]:
        """Server-sent events, reconnecting with ``Last-Event-ID`` until the platform is away for too long."""
        import urllib3

        last = after
        lost_at: float | None = None
        while True:
            try:
                headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
                response = self._open("GET", path, None, headers, preload=False)
                if response.status >= 400:
                    _checked(Reply(response.status, _lower(response.headers), response.data))
                lost_at = None
                for event in _parse_events(response.stream(4096, decode_content=True)):
                    last = event.id or last
                    yield event
            except (urllib3.exceptions.HTTPError, OSError) as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > GIVE_UP_SECONDS:
                    raise self._lost(error) from error
            time.sleep(_FIRST_PAUSE_SECONDS * 2)

    def _once(self, method: str, path: str, body: Body | None, content_type: str, headers: dict[str, str]) -> Reply:
        content = body() if callable(body) else body
        if body is not None:
            headers = headers | {"Content-Type": content_type}
        response = self._open(method, path, content, headers, preload=True)
        return Reply(response.status, _lower(response.headers), response.data)

    def _open(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str], *, preload: bool
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        if self._pool is None:
            self._pool = urllib3.PoolManager(maxsize=8, retries=False)
        sent = {"Accept": "application/json", "User-Agent": "af-python"} | headers
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.project_id:
            sent["X-Project-Id"] = self.project_id
        return self._pool.request(
            method,
            self.url + path,
            body=body,
            headers=sent,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            preload_content=preload,
            redirect=False,
        )

    def _lost(self, error: Exception) -> NetworkError:
        return NetworkError(
            f"The platform at {self.url} does not answer.",
            cause=_plain(error),
            hint="Start it with `af up`, or set AF_API_URL to the address of a running platform.",
        )


def segment(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")


def _checked(reply: Reply) -> Reply:
    if reply.status < 400:
        return reply
    raise ApiError(_problem(reply), status=reply.status)


def _problem(reply: Reply) -> dict[str, Any]:
    """Our own reading of ``application/problem+json``; other bodies (a proxy's page) become a plain refusal."""
    try:
        document = reply.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or "title" not in document:
        kind = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 413: "too_large", 429: "rate_limited"}
        return {
            "message": f"The address answered with HTTP {reply.status}.",
            "kind": kind.get(reply.status, "upstream" if reply.status >= 500 else "invalid_input"),
            "hint": "Is this the address of an Alternate Futures platform?",
        }
    return document | {"message": document.get("detail"), "kind": document["title"]}


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdigit() else None


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(error: Exception) -> str:
    """The innermost reason of urllib3's nested errors, without object addresses."""
    text = str(error)
    return text.rsplit(": ", 1)[-1] if ": " in text else text


def _parse_events(pieces: Iterator[bytes]) -> Iterator[ServerEvent]:
    """Events from a ``text/event-stream`` body (HTML Living Standard, "Interpreting an event stream")."""
    pending = b""
    identifier, kind, lines = "", "message", list[str]()
    for piece in pieces:
        pending += piece
        if len(pending) > _EVENT_LINE_BYTES_MAX:
            raise NetworkError("The platform sent an event that is too large.")
        *complete, pending = pending.split(b"\n")
        for raw in complete:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if not line:
                if lines:
                    yield ServerEvent(identifier, kind, _decoded("\n".join(lines)))
                kind, lines = "message", []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                identifier = value
            elif name == "event":
                kind = value
            elif name == "data":
                lines.append(value)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
