"""The IPFS Pinning Service API 1.0.0 (https://ipfs.github.io/pinning-services-api-spec/) at ``/pins``: what Kubo, IPFS
Desktop and other nodes speak to have content kept elsewhere.

The project is the one that the access token was made for, or its owner's only one, as for the other original clients.
Errors have the shape of that API, also those raised before a route is reached (`failure`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af import projects
from af.core import clock, web
from af.core.context import Context
from af.core.errors import Error
from af.protocols.ipfs import cid as cids
from af.storage import service
from af.storage.backends.sources import Delegates
from af.storage.errors import InvalidPinRequest
from af.storage.models import PinFilter, PinRequest, PinState, TextMatch, WantedPin
from af.storage.service.access import parse_cid

PREFIX = "/pins"
_REASONS = {
    "invalid_input": "BAD_REQUEST",
    "unauthenticated": "UNAUTHORIZED",
    "forbidden": "FORBIDDEN",
    "not_found": "NOT_FOUND",
    "quota_exceeded": "INSUFFICIENT_FUNDS",
}
"""By kind of error; others have their own code, as the specification allows."""
_HEADERS = ("Retry-After", "Allow", "WWW-Authenticate")
_LIST_DEFAULT = 10
_LIMIT_DIGITS = 6
T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(max_length=64 << 10)]


class _Pin(msgspec.Struct):
    """`Pin` of the specification."""

    cid: Text
    name: Text | None = None
    origins: Annotated[list[Text], msgspec.Meta(max_length=100)] | None = None
    meta: dict[Text, Text] | None = None


async def list_pins(request: Request) -> Response:
    """Requests that match, the newest first."""
    ctx, project_id = await _selected(request)
    count, found = await service.list_pin_requests(ctx, project_id, _filter(request))
    delegates = await _delegates(ctx)
    return web.json_response({"count": count, "results": [_status(each, delegates) for each in found]})


async def add_pin(request: Request) -> Response:
    ctx, project_id = await _selected(request)
    made = await service.request_pin(ctx, project_id, await _wanted(request))
    return web.json_response(_status(made, await _delegates(ctx)), 202)


async def get_pin(request: Request) -> Response:
    ctx, project_id = await _selected(request)
    found = await service.pin_request(ctx, project_id, request.path_params["requestid"])
    return web.json_response(_status(found, await _delegates(ctx)))


async def replace_pin(request: Request) -> Response:
    ctx, project_id = await _selected(request)
    wanted = await _wanted(request)
    made = await service.replace_pin_request(ctx, project_id, request.path_params["requestid"], wanted)
    return web.json_response(_status(made, await _delegates(ctx)), 202)


async def delete_pin(request: Request) -> Response:
    ctx, project_id = await _selected(request)
    await service.delete_pin_request(ctx, project_id, request.path_params["requestid"])
    return Response(status_code=202)


def failure(error: Error, request_id: str) -> Response:
    """An error as the specification's `Failure`, and beside it what our own errors tell. Status 409 stands for quotas
    there."""
    status = 409 if error.kind == "quota_exceeded" else error.http_status
    reason = "INTERNAL_SERVER_ERROR" if status >= 500 else _REASONS.get(error.kind, error.code.upper())
    told = {"reason": reason, "details": " ".join(filter(None, (error.message, error.hint)))}
    told |= {"code": error.code, "reference": error.reference, "requestId": request_id}
    standard = web.problem(error, request_id).headers
    headers = {name: standard[name] for name in _HEADERS if name in standard}
    return web.json_response({"error": told}, status, headers)


async def _selected(request: Request) -> tuple[Context, str]:
    ctx = web.context(request)
    return ctx, (await projects.selected(ctx)).id


async def _delegates(ctx: Context) -> list[str]:
    return list(await ctx.get(Delegates).addresses())


async def _wanted(request: Request) -> WantedPin:
    pin = await web.json_body(request, _Pin)
    return WantedPin(cid=parse_cid(pin.cid), name=pin.name or "", origins=tuple(pin.origins or ()), meta=pin.meta or {})


def _status(request: PinRequest, delegates: list[str]) -> dict[str, Any]:
    """`PinStatus` of the specification."""
    pin: dict[str, Any] = {"cid": cids.to_text(request.pin.cid)}
    if request.pin.name:
        pin["name"] = request.pin.name
    if request.pin.origins:
        pin["origins"] = request.pin.origins
    if request.pin.meta:
        pin["meta"] = request.pin.meta
    return {
        "requestid": request.id,
        "status": request.state,
        "created": clock.iso(request.created_at),
        "pin": pin,
        "delegates": delegates,
        "info": _info(request),
    }


def _info(request: PinRequest) -> dict[str, str]:
    """Texts only, as the specification wants; names it proposes are used."""
    info = {"updated_at": clock.iso(request.updated_at)}
    if request.reason:
        info["status_details"] = request.reason
    elif request.state is PinState.PINNING:
        info["status_details"] = f"{request.blocks} blocks, {request.bytes} bytes fetched"
    if request.state is PinState.PINNED:
        info["blocks"] = str(request.blocks)
        info["fetched_bytes"] = str(request.bytes)
    return info


# --- filters ---------------------------------------------------------------------------------------------------------


def _filter(request: Request) -> PinFilter:
    """The query. Lists are written with commas, or as repeated fields by clients of earlier drafts.

    Without ``status`` the specification wants "pinned only", and its compliance suite wants a pin found by its name as
    soon as it was asked for: who names a pin sees it unless it has failed.
    """
    given = request.query_params
    default = (PinState.PINNED,) if "name" not in given else (PinState.QUEUED, PinState.PINNING, PinState.PINNED)
    states = tuple(_one_of(PinState, text, "status") for text in _list(request, "status"))
    return PinFilter(
        cids=tuple(parse_cid(text) for text in _list(request, "cid")),
        name=given.get("name"),
        match=_one_of(TextMatch, given.get("match", TextMatch.EXACT), "match"),
        states=states or default,
        before=_moment(given.get("before"), "before"),
        after=_moment(given.get("after"), "after"),
        meta=_meta(given.get("meta")),
        limit=_limit(given.get("limit")),
    )


def _list(request: Request, name: str) -> list[str]:
    parts = [part.strip() for text in request.query_params.getlist(name) for part in text.split(",")]
    return list(dict.fromkeys(filter(None, parts)))


def _one_of(kind: Callable[[str], T], text: str, field: str) -> T:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidPinRequest(f"{field} cannot be {text[:40]!r}.", field=field) from error


def _moment(text: str | None, field: str) -> datetime | None:
    """RFC 3339, with an offset. A plus sign that was not encoded has become a space."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError as error:
        raise InvalidPinRequest(f"{field} is not a time such as 2026-01-31T14:05:00Z.", field=field) from error
    if moment.tzinfo is None:
        raise InvalidPinRequest(f"{field} has no time zone; write 2026-01-31T14:05:00Z.", field=field)
    return moment.astimezone(UTC)


def _meta(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[Text, Text])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidPinRequest('meta must be JSON with texts only, such as {"app_id": "x"}.', field="meta") from error


def _limit(text: str | None) -> int:
    if text is None:
        return _LIST_DEFAULT
    if not (text.isascii() and text.isdecimal()) or len(text) > _LIMIT_DIGITS:
        raise InvalidPinRequest("limit must be a number.", field="limit")
    return int(text)


routes = [
    Route(PREFIX, list_pins, methods=["GET"]),
    Route(PREFIX, add_pin, methods=["POST"]),
    Route(f"{PREFIX}/{{requestid}}", get_pin, methods=["GET"]),
    Route(f"{PREFIX}/{{requestid}}", replace_pin, methods=["POST"]),
    Route(f"{PREFIX}/{{requestid}}", delete_pin, methods=["DELETE"]),
]
