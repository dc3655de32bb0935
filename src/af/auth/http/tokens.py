"""The REST edge of access tokens, with the paths and shapes of the original; times are milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.errors import InvalidCredentials, InvalidExpiry
from af.auth.models import AccessToken
from af.core.errors import InvalidInput
from af.core.web import NO_STORE, context, json_body, json_response

BODY_BYTES_MAX = 4096
_MILLIS_MAX = 253_402_300_799_000  # the year 9999


class TokenBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Unknown fields are refused: who thinks to have limited a token must not get an unlimited one."""

    name: str
    expires_at: int | None = None
    scopes: list[str] | None = None


class ValidateBody(msgspec.Struct):
    token: str


async def create_token(request: Request) -> Response:
    """``POST /tokens`` ``{"name", "expiresAt"?, "scopes"?}``: 201 ``{"success", "token": {…, "token"}}``, the text this
    once. A token for one project is made by GraphQL (``createPersonalAccessToken``).

    :raises DuplicateTokenName: the caller has one of that name. Else as `af.auth.create_token`.
    """
    given = await json_body(request, TokenBody, BODY_BYTES_MAX)
    if given.expires_at is not None and not 0 < given.expires_at <= _MILLIS_MAX:
        raise InvalidExpiry("expiresAt is in milliseconds since 1970.", field="expiresAt")
    ends = None if given.expires_at is None else datetime.fromtimestamp(given.expires_at / 1000, UTC)
    made = await auth.create_token(
        context(request), given.name, scopes=given.scopes, expires_at=ends, name_is_unique=True
    )
    answer = {"success": True, "token": {**shown_token(made.token), "token": made.text}}
    return json_response(answer, 201, NO_STORE)


async def list_tokens(request: Request) -> Response:
    """``GET /tokens?after=``: ``{"tokens": […], "endCursor"}``, newest first, 100 at a time."""
    after = request.query_params.get("after") or None
    found = await auth.list_tokens(context(request), after=after)
    answer = {"tokens": [shown_token(token) for token in found], "endCursor": found[-1].id if found else None}
    return json_response(answer, headers=NO_STORE)


async def revoke_token(request: Request) -> Response:
    """``DELETE /tokens/{id}``: ``{"success": true}``. :raises TokenNotFound: the caller has no such token."""
    await auth.revoke_token(context(request), request.path_params["id"])
    return json_response({"success": True}, headers=NO_STORE)


async def token_limits(request: Request) -> Response:
    """``GET /tokens/limits``: ``{"rateLimit": {"remaining", "limit", "resetAt"}, "tokenLimit": {"active", "max"}}``."""
    found = await auth.token_allowance(context(request))
    rate = {"remaining": found.remaining, "limit": found.limit, "resetAt": _millis(found.resets_at)}
    return json_response(
        {"rateLimit": rate, "tokenLimit": {"active": found.active, "max": found.active_max}}, headers=NO_STORE
    )


async def validate_token(request: Request) -> Response:
    """``POST /tokens/validate`` ``{"token"}``: ``{"valid": true, "userId", "tokenId", …}``, or 401 ``{"valid": false,
    "error"}`` with one text, whatever is wrong with it. Anyone may ask: the token is the right."""
    ctx = context(request)
    try:
        given = await json_body(request, ValidateBody, BODY_BYTES_MAX)
        grant = await auth.authenticate_token(ctx, given.token)
        user = await auth.user_of_grant(ctx, grant)
    except (InvalidCredentials, InvalidInput):
        return json_response({"valid": False, "error": "Invalid token"}, 401, NO_STORE)
    answer = {
        "valid": True,
        "userId": user.id,
        "tokenId": grant.token_id,
        "email": user.email,
        "displayName": user.display_name,
        "avatarUrl": user.avatar_url,
        "scopes": ["all"] if grant.scopes is None else sorted(grant.scopes),
        "projectId": grant.project_id,
        "expiresAt": _millis(grant.expires_at),
    }
    return json_response(answer, headers=NO_STORE)


def shown_token(token: AccessToken) -> dict[str, object]:
    """A token without its text."""
    return {
        "id": token.id,
        "name": token.name,
        "maskedToken": token.masked,
        "scopes": ["all"] if token.scopes is None else sorted(token.scopes),
        "projectId": token.project_id,
        "expiresAt": _millis(token.expires_at),
        "lastUsedAt": _millis(token.last_used_at),
        "createdAt": _millis(token.created_at),
    }


def _millis(value: datetime | None) -> int | None:
    return None if value is None else int(value.timestamp() * 1000)


routes = [
    Route("/tokens", create_token, methods=["POST"]),
    Route("/tokens", list_tokens, methods=["GET"]),
    Route("/tokens/limits", token_limits, methods=["GET"]),
    Route("/tokens/validate", validate_token, methods=["POST"]),
    Route("/tokens/{id}", revoke_token, methods=["DELETE"]),
]
