"""The REST edge of sessions: refreshing, signing out, the list of sessions, the keys that verify tokens."""

from __future__ import annotations

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.addresses import COOKIE, is_own_host, require_own_page
from af.auth.cookies import forget
from af.auth.devices import device_of, where_is
from af.auth.models import Session
from af.core.clock import iso
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.web import NO_STORE, body, context, json_body, json_response

BODY_BYTES_MAX = 4096
_FORM = "application/x-www-form-urlencoded"


class RefreshBody(msgspec.Struct, rename="camel"):
    refresh_token: str


class LogoutBody(msgspec.Struct, rename="camel"):
    refresh_token: str | None = None


async def refresh(request: Request) -> Response:
    """``POST /auth/refresh`` ``{"refreshToken"}``: the next ``{"accessToken", "refreshToken", "expiresIn"}``.

    :raises InvalidRefreshToken: it does not work (any more); the same answer whatever the reason.
    """
    given = await json_body(request, RefreshBody, BODY_BYTES_MAX)
    tokens = await auth.refresh.refresh(context(request), given.refresh_token)
    answer = {
        "success": True,
        "accessToken": tokens.access,
        "refreshToken": tokens.refresh,
        "expiresIn": tokens.expires_in_seconds,
    }
    return json_response(answer, headers=NO_STORE)


async def sign_out(request: Request) -> Response:
    """``POST /auth/logout`` ``{"refreshToken"?}``: ends the session of the request and that of the refresh token.

    ``{"success": true, "message"}``, also when there was none; a form of our own page goes to the start page.
    """
    ctx = context(request)
    cookie = request.cookies.get(COOKIE)
    is_form = request.headers.get("content-type", "").startswith(_FORM)
    response: Response = json_response({"success": True, "message": "Signed out."}, headers=NO_STORE)
    if is_form:
        response = RedirectResponse("/", 303, NO_STORE)
    if cookie and is_own_host(ctx.settings, request.headers.get("host", "")):
        require_own_page(ctx.settings, request)
        await auth.end_session(ctx, cookie)
        forget(response, COOKIE)
    given = None if is_form else await _logout_body(request)
    await auth.sessions.end_own(ctx)
    if given:
        await auth.refresh.end_by_refresh(ctx, given)
    return response


async def _logout_body(request: Request) -> str | None:
    """The refresh token of the body, which may be empty."""
    sent = await body(request, BODY_BYTES_MAX)
    if not sent:
        return None
    try:
        return msgspec.json.decode(sent, type=LogoutBody).refresh_token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput('The body is not {"refreshToken": text}.', detail=str(error)) from error


async def list_sessions(request: Request) -> Response:
    """``GET /account/sessions``: ``{"sessions": […]}``, newest first, with ``current``."""
    ctx = context(request)
    found = await auth.sessions.list_sessions(ctx)
    return json_response({"sessions": [shown_session(ctx, session) for session in found]}, headers=NO_STORE)


async def revoke_session(request: Request) -> Response:
    """``DELETE /account/sessions/{id}``. :raises SessionNotFound: the caller has no such session."""
    await auth.sessions.revoke_session(context(request), request.path_params["id"])
    return json_response({"success": True}, headers=NO_STORE)


async def revoke_sessions(request: Request) -> Response:
    """``DELETE /account/sessions``: all but this one; ``?all=true`` this one, too. ``{"revoked": number}``."""
    own_too = request.query_params.get("all") == "true"
    revoked = await auth.sessions.revoke_all_sessions(context(request), own_too=own_too)
    return json_response({"success": True, "revoked": revoked}, headers=NO_STORE)


async def signing_keys(request: Request) -> Response:
    """``GET /.well-known/jwks.json`` (RFC 7517 §5): the public keys that verify our access tokens."""
    found = await auth.keys.jwks(context(request))
    headers = {"Cache-Control": f"public, max-age={auth.keys.JWKS_SECONDS}", "Access-Control-Allow-Origin": "*"}
    return json_response(found, headers=headers)


def shown_session(ctx: Context, session: Session) -> dict[str, object]:
    """A session for its owner. ``device`` is a guess from the user agent."""
    return {
        "id": session.id,
        "current": session.id == ctx.actor.session_id,
        "kind": session.kind.value,
        "method": session.method,
        "device": device_of(session.user_agent) or None,
        "address": session.address,
        "place": where_is(session.address),
        "createdAt": _moment(session.created_at),
        "lastSeenAt": _moment(session.last_seen_at),
        "expiresAt": _moment(session.expires_at),
    }


def _moment(value: datetime | None) -> str | None:
    return None if value is None else iso(value)


routes = [
    Route("/.well-known/jwks.json", signing_keys, methods=["GET"]),
    Route("/auth/refresh", refresh, methods=["POST"]),
    Route("/auth/logout", sign_out, methods=["POST"]),
    Route("/account/sessions", list_sessions, methods=["GET"]),
    Route("/account/sessions", revoke_sessions, methods=["DELETE"]),
    Route("/account/sessions/{id}", revoke_session, methods=["DELETE"]),
]
