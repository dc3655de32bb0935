"""What REST edges share: a context per request, bounded bodies, and errors as ``application/problem+json``.

A domain's ``http.py`` exports ``routes``; its endpoints take a Starlette `Request`, call `context`, one service
function, and return a response. `RequestContext` wraps the application once and does the rest.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from af.core import metrics
from af.core.clock import monotonic
from af.core.context import Actor, ActorKind, Context, Platform
from af.core.errors import Error, Internal, InvalidInput, TooLarge, Unauthenticated
from af.core.ids import ProjectId
from af.core.rates import Rates

Authenticate = Callable[[Context, HTTPConnection], Awaitable[Actor]]
Rendering = Callable[[Error, str], Response]
"""The response to an error; the text is the request id."""
T = TypeVar("T")

JSON_BYTES_MAX = 4 << 20
NO_STORE = {"Cache-Control": "no-store"}
"""For answers about a person: no cache keeps them."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def context(request: HTTPConnection) -> Context:
    """The context that `RequestContext` made for this request."""
    ctx: Context = request.scope["af.context"]
    return ctx


def request_id_of(headers: Headers) -> str:
    """The caller's ``X-Request-Id`` if it is a plain one, else a fresh id."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response; dataclasses, datetimes and bytes-free builtins are encoded by msgspec."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def body(request: Request, limit_bytes: int) -> bytes:
    """The whole body, or `TooLarge` before more than the limit is held."""
    parts: list[bytes] = []
    size = 0
    async for part in stream(request, limit_bytes):
        size += len(part)
        parts.append(part)
    return b"".join(parts)


async def stream(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body in parts as they arrive, or `TooLarge` once it exceeds the limit."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise TooLarge(f"The body is larger than {limit_bytes} bytes.")
        if part:
            yield part


async def json_body(request: Request, shape: type[T], limit_bytes: int = JSON_BYTES_MAX) -> T:
    """The JSON body as ``shape`` (a dataclass or msgspec type); wrong shapes name the field."""
    try:
        return msgspec.json.decode(await body(request, limit_bytes), type=shape)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The body does not fit: {error}.") from error
    except RecursionError as error:  # msgspec counts the levels, so nothing overflows
        raise InvalidInput("The body is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("The body is not JSON.", detail=str(error)) from error


async def form_fields(request: Request, limit_bytes: int, *, fields_max: int = 50) -> dict[str, list[str]]:
    """A small ``application/x-www-form-urlencoded`` body: the values of each field, in order."""
    try:
        text = (await body(request, limit_bytes)).decode("ascii")
        return parse_qs(text, keep_blank_values=True, max_num_fields=fields_max, errors="strict")
    except ValueError as error:
        raise InvalidInput("The form cannot be read.", detail=str(error)) from error


async def form_body(request: Request, limit_bytes: int) -> dict[str, str]:
    """As `form_fields`; the first value of each field."""
    return {name: values[0] for name, values in (await form_fields(request, limit_bytes)).items()}


class MethodRefused(InvalidInput):
    """The address exists but not for this HTTP method; ``allow`` lists those that it takes."""

    code = "method_refused"
    number = 1112
    http_status = 405
    explain = (
        "The address exists, but not for this HTTP method. The Allow header and docs/reference name the right one."
    )

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method[:20]} is not possible here.", hint=f"Use {allow}.")
        self.allow = allow


def problem(error: Error, request_id: str) -> Response:
    """An error as RFC 9457 ``application/problem+json``."""
    document: dict[str, Any] = {
        "type": f"about:blank#{error.reference}",
        "title": error.kind,
        "status": error.http_status,
        "detail": error.message,
        "code": error.code,
        "reference": error.reference,
        "requestId": request_id,
    }
    if error.hint:
        document["hint"] = error.hint
    if error.field:
        document["field"] = error.field
    headers = error.headers()
    if isinstance(error, MethodRefused):
        headers["Allow"] = error.allow
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(document),
        error.http_status,
        headers,
        media_type="application/problem+json",
    )


def as_error(error: Exception, log: structlog.stdlib.BoundLogger) -> Error:
    """The `Error` to show for ``error``; a bug is logged with its traceback and shown without its text."""
    if isinstance(error, Error):
        if error.detail:
            log.info("request refused", code=error.code, detail=error.detail)
        return error
    log.error("internal error", exc_info=error)
    return Internal(
        "Something went wrong on our side.",
        hint="Quote the request id when you report this.",
    )


def _refuse_nul(scope: Scope) -> None:
    """No name of ours holds a NUL, and PostgreSQL fails on one: refuse it before it reaches a query."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise InvalidInput("The address holds a NUL character.")


class RequestContext:
    """ASGI middleware: request id in, out and in the log; who asks, and not too often; errors rendered; one access-log
    line. What is below ``uncounted`` paths (the parts of a page) is not limited; what is below ``secret`` ones is not
    logged. ``renderings`` maps paths to the shape of errors there and below, where another standard prescribes one."""

    def __init__(
        self,
        app: ASGIApp,
        platform: Platform,
        authenticate: Authenticate,
        *,
        uncounted: tuple[str, ...] = (),
        secret: tuple[str, ...] = (),
        renderings: Mapping[str, Rendering] | None = None,
    ) -> None:
        self.renderings = dict(renderings or {})
        self.app = app
        self.rates = Rates()
        self.uncounted = uncounted
        self.secret = secret
        self.platform = platform
        self.authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        address = scope["client"][0] if scope.get("client") else ""
        visitor = Actor(ActorKind.ANONYMOUS, address=address, user_agent=headers.get("user-agent", "")[:300])
        ctx = self.platform.context(visitor, request_id=request_id)
        wished = headers.get("x-project-id")
        if wished:
            ctx = replace(ctx, selected_project_id=ProjectId(wished[:64]))
        started = monotonic()
        status = 0
        shown_rate: dict[str, str] = {}

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                metrics.answered(scope["method"], status, monotonic() - started)
                answered = MutableHeaders(scope=message)
                answered["X-Request-Id"] = request_id
                if "RateLimit-Limit" not in answered:  # a refusal shows the limit that refused
                    answered.update(shown_rate)
            await send(message)

        try:
            _refuse_nul(scope)
            ctx = await self._authenticated(ctx, HTTPConnection(scope))
            scope["af.context"] = ctx
            if not scope["path"].startswith(self.uncounted):
                verdict = self.rates.count(ctx)
                shown_rate.update(verdict.headers())
                verdict.require()
            await self.app(scope, receive, send_marked)
        except Exception as error:  # the edge: every failure becomes a response
            shown = as_error(error, ctx.log)
            if status:
                raise  # the response has begun: the server must cut the connection
            await self._rendering(scope["path"])(shown, request_id)(scope, receive, send_marked)
        finally:
            ctx.log.info(
                "request",
                method=scope["method"],
                path=self._loggable(scope["path"]),
                status=status,
                milliseconds=round((monotonic() - started) * 1000, 2),
                address=address,
            )

    async def _authenticated(self, ctx: Context, connection: HTTPConnection) -> Context:
        """The caller's context. A refused credential counts for the address that it came from."""
        try:
            return ctx.acting_as(await self.authenticate(ctx, connection))
        except Unauthenticated:
            self.rates.count(ctx).require()
            raise

    def _rendering(self, path: str) -> Rendering:
        """How errors look at this path."""
        found = (made for base, made in self.renderings.items() if path == base or path.startswith(f"{base}/"))
        return next(found, problem)

    def _loggable(self, path: str) -> str:
        """The path without what is secret in it."""
        known = next((prefix for prefix in self.secret if path.startswith(prefix)), None)
        return path if known is None else f"{known}…"
