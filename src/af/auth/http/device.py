"""The REST edge of signing in a device, with the original's paths: ``start``, ``approve``, ``poll``, and ours,
``deny`` and ``exchange``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.addresses import require_own_page
from af.auth.http.sign_in import shown_user
from af.core.web import NO_STORE, context, json_body, json_response

BODY_BYTES_MAX = 8 << 10


@dataclass(frozen=True, slots=True)
class _Start:
    name: str = ""
    redirectUri: str = ""  # noqa: N815 - as in the body
    codeChallenge: str = ""  # noqa: N815


@dataclass(frozen=True, slots=True)
class _Decision:
    verificationSessionId: str  # noqa: N815
    userCode: str = ""  # noqa: N815


@dataclass(frozen=True, slots=True)
class _Poll:
    verificationSessionId: str  # noqa: N815
    pollSecret: str  # noqa: N815


@dataclass(frozen=True, slots=True)
class _Code:
    code: str
    codeVerifier: str  # noqa: N815


async def start(request: Request) -> Response:
    """``POST /auth/cli/start`` ``{"name"?, "redirectUri"?, "codeChallenge"?}``: what the device shows and keeps."""
    given = await json_body(request, _Start, BODY_BYTES_MAX)
    begun = await auth.device.start(
        context(request), name=given.name, redirect_uri=given.redirectUri, code_challenge=given.codeChallenge
    )
    answer = {
        "success": True,
        "verificationSessionId": begun.id,
        "pollSecret": begun.poll_secret,
        "verificationUrl": begun.url,
        "userCode": begun.user_code,
        "expiresIn": begun.expires_in_seconds,
        "interval": begun.interval_seconds,
    }
    return json_response(answer, headers=NO_STORE)


async def approve(request: Request) -> Response:
    """``POST /auth/cli/approve`` ``{"verificationSessionId", "userCode"}``, from a page of ours:
    ``{"success", "redirectTo"}``. ``redirectTo`` is where the browser brings the code, or null."""
    ctx = context(request)
    require_own_page(ctx.settings, request)
    given = await json_body(request, _Decision, BODY_BYTES_MAX)
    done = await auth.device.approve(ctx, given.verificationSessionId, given.userCode)
    return json_response({"success": True, "redirectTo": done.redirect_to}, headers=NO_STORE)


async def deny(request: Request) -> Response:
    """``POST /auth/cli/deny`` ``{"verificationSessionId"}``, from a page of ours."""
    ctx = context(request)
    require_own_page(ctx.settings, request)
    given = await json_body(request, _Decision, BODY_BYTES_MAX)
    done = await auth.device.deny(ctx, given.verificationSessionId)
    return json_response({"success": True, "redirectTo": done.redirect_to}, headers=NO_STORE)


async def poll(request: Request) -> Response:
    """``POST /auth/cli/poll`` ``{"verificationSessionId", "pollSecret"}``: 202 ``{"status": "pending"}`` until somebody
    answers, then once the tokens. ``token`` is the original's name of ``accessToken``."""
    given = await json_body(request, _Poll, BODY_BYTES_MAX)
    done = await auth.device.poll(context(request), given.verificationSessionId, given.pollSecret)
    if done is None:
        return json_response({"status": "pending"}, 202, NO_STORE)
    return json_response(_tokens(done), headers=NO_STORE)


async def exchange(request: Request) -> Response:
    """``POST /auth/cli/exchange`` ``{"code", "codeVerifier"}``: the tokens, once."""
    given = await json_body(request, _Code, BODY_BYTES_MAX)
    return json_response(
        _tokens(await auth.device.exchange(context(request), given.code, given.codeVerifier)), headers=NO_STORE
    )


def _tokens(done: auth.device.DeviceTokens) -> dict[str, Any]:
    return {
        "success": True,
        "token": done.tokens.access,
        "accessToken": done.tokens.access,
        "refreshToken": done.tokens.refresh,
        "expiresIn": done.tokens.expires_in_seconds,
        "user": shown_user(done.user),
    }


routes = [
    Route("/auth/cli/start", start, methods=["POST"]),
    Route("/auth/cli/approve", approve, methods=["POST"]),
    Route("/auth/cli/deny", deny, methods=["POST"]),
    Route("/auth/cli/poll", poll, methods=["POST"]),
    Route("/auth/cli/exchange", exchange, methods=["POST"]),
]
