"""HTTP to the platform: one pooled client, JSON and GraphQL in and out, retries with a deadline, server-sent events."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from alternatefutures.errors import ApiError, NetworkError, SdkError, UsageError

if TYPE_CHECKING:
    import urllib3

GIVE_UP_SECONDS = 20.0
"""How long a call keeps trying after the platform was lost (DESIGN §3.2)."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 120.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_EVENT_BYTES_MAX = 1 << 20
_FOREIGN = "Is this the address of an Alternate Futures platform?"

Body = bytes | Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: ``body`` is whole; ``headers`` has lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value; a body that is not JSON comes from something that is not the platform: `ApiError`."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise _foreign("something that is not JSON", self.status) from error


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


class Transport:
    """Calls to one platform at ``url`` with one ``token`` (empty: anonymous). Safe to share between threads.

    :raises UsageError: the address, token or project cannot be ones, for example by a line break inside.
    """

    def __init__(self, url: str, token: str, project_id: str = "", *, give_up_seconds: float = GIVE_UP_SECONDS) -> None:
        self.url = _address(url)
        self.token = _header_value("The access token", token)
        self.project_id = _header_value("The project", project_id)
        self.give_up_seconds = give_up_seconds
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

        deadline = time.monotonic() + self.give_up_seconds
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
            wait = max(wait or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
            if wait > left:
                raise failure if isinstance(failure, ApiError) else self._lost(failure)
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def graphql(self, query: str, variables: dict[str, Any] | None = None, *, idempotent: bool = True) -> Any:
        """The ``data`` of a GraphQL operation; its first error is raised as `ApiError`."""
        payload = json.dumps({"query": query, "variables": variables or {}}).encode()
        reply = self.request("POST", "/graphql", body=payload, idempotent=idempotent)
        document = reply.json()
        if isinstance(document, dict) and document.get("errors"):
            raise ApiError(_first_error(document))
        if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
            raise _foreign("something that is not GraphQL", reply.status)
        return document["data"]

    def download(self, path: str) -> Iterator[bytes]:
        """The body of a GET in pieces; for content, which may be large."""
        import urllib3

        try:
            with self._streamed(path, {}) as response:
                yield from response.stream(1 << 18)
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
                with self._streamed(path, headers) as response:
                    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                        raise _foreign("something that is not a stream of events", response.status)
                    lost_at = None
                    for event in _parse_events(response.stream(4096, decode_content=True)):
                        last = event.id or last
                        yield event
            except ApiError as error:
                if error.status not in _RETRY_STATUSES:
                    raise
                failure: SdkError = error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                failure = self._lost(error)
            else:
                failure = self._lost(ConnectionError("the stream of events ended"))
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > self.give_up_seconds:
                raise failure
            time.sleep(_FIRST_PAUSE_SECONDS * 2)

    @contextmanager
    def _streamed(self, path: str, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """A GET whose body is read in pieces; its connection is used again only when all of it was read."""
        response = self._open("GET", path, None, headers, preload=False)
        try:
            if response.status >= 400:
                _checked(Reply(response.status, _lower(response.headers), response.data))
            yield response
        except BaseException:
            response.close()
            raise
        finally:
            response.release_conn()

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
    """Our own reading of ``application/problem+json`` and of GraphQL's errors; other bodies (a proxy's page) become a
    plain refusal."""
    try:
        document = reply.json()
    except ApiError:
        document = None
    if isinstance(document, dict) and document.get("errors"):
        return _first_error(document)
    if not isinstance(document, dict) or "title" not in document:
        kind = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 413: "too_large", 429: "rate_limited"}
        return {
            "message": f"The address answered with HTTP {reply.status}.",
            "kind": kind.get(reply.status, "upstream" if reply.status >= 500 else "invalid_input"),
            "hint": _FOREIGN,
        }
    return document | {"message": document.get("detail"), "kind": document["title"]}


def _first_error(document: dict[str, Any]) -> dict[str, Any]:
    errors = document["errors"]
    first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
    extensions = first.get("extensions")
    return {"message": first.get("message"), **(extensions if isinstance(extensions, dict) else {})}


def _foreign(what: str, status: int) -> ApiError:
    return ApiError(
        {"message": f"The address answered with {what}.", "kind": "upstream", "hint": _FOREIGN}, status=status
    )


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is not an address of a platform.", hint="Use one like http://localhost:8787.")
    return url.rstrip("/")


def _header_value(what: str, text: str) -> str:
    """``text`` without the line break that files end with."""
    text = text.strip()
    if not (text.isascii() and text.isprintable()):
        raise UsageError(f"{what} holds a character that none of them has.", hint="Copy it again, without line breaks.")
    return text


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(error: Exception) -> str:
    """The innermost reason of urllib3's nested errors, without object addresses."""
    text = str(error)
    return text.rsplit(": ", 1)[-1] if ": " in text else text


def _parse_events(pieces: Iterator[bytes]) -> Iterator[ServerEvent]:
    """Events from a ``text/event-stream`` body (HTML Living Standard, "Interpreting an event stream")."""
    pending = b""
    identifier, kind, lines, size = "", "message", list[str](), 0
    for piece in pieces:
        pending += piece
        if len(pending) + size > _EVENT_BYTES_MAX:
            raise NetworkError("The platform sent an event that is too large.")
        *complete, pending = pending.split(b"\n")
        for raw in complete:
            size += len(raw)
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if not line:
                if lines:
                    yield ServerEvent(identifier, kind, _decoded("\n".join(lines)))
                kind, lines, size = "message", [], 0
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
