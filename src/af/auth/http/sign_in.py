"""The REST edge of signing in by every method: ``request`` asks, ``verify`` answers (paths as in the original).

An answer of ``verify`` is a pair of tokens; a page of ours that sends ``"session": "cookie"`` gets a session cookie
instead. The secret ``flow`` of a sign-in goes back as a cookie to browsers and in the body to programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.addresses import require_own_page
from af.auth.cookies import FLOW_COOKIE, forget, set_flow, set_session
from af.auth.errors import InvalidClaim, SecondFactorRequired
from af.auth.models import Begun, Linked, LoginMethod, SecondFactorNeeded, SessionKind, SignedIn, User
from af.core.context import Context
from af.core.web import NO_STORE, context, json_body, json_response
from af.protocols import siwx

BODY_BYTES_MAX = 64 << 10
_NOT_ANSWERS = frozenset({"flow", "session"})

Body = dict[str, Any]


async def list_methods(request: Request) -> Response:
    """``GET /auth/methods``: ``{"methods": [{"name", "title"}]}``, what this platform offers."""
    found = await auth.sign_in.methods(context(request))
    return json_response({"methods": [{"name": each.name, "title": each.title} for each in found]})


async def request_email(request: Request) -> Response:
    """``POST /auth/email/request`` ``{"email"}``: ``{"success", "message", "expiresIn", "flow"}``."""
    return await _begin(request, "email", "We sent a message with a code and a link.")


async def request_sms(request: Request) -> Response:
    """``POST /auth/sms/request`` ``{"phone"}``, in the form +4915112345678."""
    return await _begin(request, "sms", "We sent a message with a code.")


async def challenge_wallet(request: Request) -> Response:
    """``POST /auth/wallet/challenge`` ``{"address", "chainId"?}``: ``{"message", "nonce", …}`` to sign."""
    given = await _body(request)
    return await _begin(request, _chain_of(given), None, given)


async def options_passkey(request: Request) -> Response:
    """``POST /auth/passkey/options``: ``{"publicKey": …}`` for ``navigator.credentials.get``."""
    return await _begin(request, "passkey", None)


async def verify_email(request: Request) -> Response:
    """``POST /auth/email/verify`` ``{"email"?, "code", "flow"?}``: tokens and the user."""
    return await _finish(request, "email")


async def verify_sms(request: Request) -> Response:
    """``POST /auth/sms/verify`` ``{"phone"?, "code", "flow"?}``."""
    return await _finish(request, "sms")


async def verify_wallet(request: Request) -> Response:
    """``POST /auth/wallet/verify`` ``{"address", "signature", "message"}``; the message's nonce finds the challenge."""
    given = await _body(request)
    message = str(given.get("message", ""))
    nonce = siwx.nonce_of(message) or ""
    return await _finish(request, _chain_of(given), given, lookup=nonce)


async def verify_passkey(request: Request) -> Response:
    """``POST /auth/passkey/verify`` ``{"credential", "flow"?}``."""
    return await _finish(request, "passkey")


async def finish_second_factor(request: Request) -> Response:
    """``POST /auth/second-factor`` ``{"code", "flow"?}``: a code of the authenticator app, or a recovery code."""
    ctx = context(request)
    given = await _body(request)
    kind = session_kind(ctx, request, given)
    code = given.get("code")
    done = await auth.second_factor.finish(
        ctx, code if isinstance(code, str) else "", flow=flow_of(request, given), kind=kind
    )
    return finished_response(ctx, done)


async def _begin(request: Request, method: str, message: str | None, given: Body | None = None) -> Response:
    ctx = context(request)
    given = await _body(request) if given is None else given
    begun = await auth.sign_in.begin(ctx, method, claim(given))
    return begun_response(ctx, begun, message)


def begun_response(ctx: Context, begun: Begun, message: str | None) -> Response:
    """The answer to a claim; the browser is bound by a cookie, a program by ``flow``."""
    answer = {"success": True, "expiresIn": begun.expires_in_seconds, "flow": begun.flow, **begun.shown}
    if message is not None:
        answer["message"] = message
    response = json_response(answer, headers=NO_STORE)
    set_flow(response, begun.flow, begun.expires_in_seconds)
    return response


async def _finish(request: Request, method: str, given: Body | None = None, *, lookup: str | None = None) -> Response:
    ctx = context(request)
    given = await _body(request) if given is None else given
    kind = session_kind(ctx, request, given)
    values = {name: value for name, value in given.items() if name not in _NOT_ANSWERS}
    done = await auth.sign_in.finish(ctx, method, values, flow=flow_of(request, given), lookup=lookup, kind=kind)
    return finished_response(ctx, done)


def finished_response(ctx: Context, done: SignedIn | SecondFactorNeeded | Linked) -> Response:
    """Tokens, or a cookie; a second factor is asked for with 401 and a new ``flow``."""
    if isinstance(done, SecondFactorNeeded):
        response = json_response(
            {
                "type": f"about:blank#AF{SecondFactorRequired.number}",
                "title": SecondFactorRequired.kind,
                "status": 401,
                "detail": "The account has a second factor.",
                "code": SecondFactorRequired.code,
                "reference": f"AF{SecondFactorRequired.number}",
                "hint": "Send the code of the authenticator app to POST /auth/second-factor.",
                "flow": done.flow,
                "expiresIn": done.expires_in_seconds,
            },
            401,
            NO_STORE,
        )
        response.headers["Content-Type"] = "application/problem+json"
        set_flow(response, done.flow, done.expires_in_seconds)
        return response
    if isinstance(done, Linked):
        return json_response({"success": True, "method": shown_method(done.method)}, headers=NO_STORE)
    answer: dict[str, Any] = {"success": True, "user": shown_user(done.user), "isNew": done.is_new}
    if done.tokens is not None:
        answer |= {
            "accessToken": done.tokens.access,
            "refreshToken": done.tokens.refresh,
            "expiresIn": done.tokens.expires_in_seconds,
        }
    else:
        answer["redirect"] = done.return_to or "/"
    response = json_response(answer, headers=NO_STORE)
    if done.cookie is not None:
        set_session(ctx, response, done.cookie)
    forget(response, FLOW_COOKIE)
    return response


def session_kind(ctx: Context, request: Request, given: Mapping[str, Any]) -> SessionKind:
    """A cookie for our own pages only. :raises CrossOrigin: another origin asks for one."""
    if given.get("session") != "cookie":
        return SessionKind.TOKENS
    require_own_page(ctx.settings, request)
    return SessionKind.BROWSER


def flow_of(request: Request, given: Mapping[str, Any]) -> str | None:
    """The secret of the browser that asked: the body's, else the cookie's."""
    named = given.get("flow")
    return named if isinstance(named, str) and named else request.cookies.get(FLOW_COOKIE)


def claim(given: Body) -> dict[str, str]:
    """Only text is claimed. :raises InvalidClaim: something else was sent."""
    for name, value in given.items():
        if not isinstance(value, str) or len(value) > 4096:
            raise InvalidClaim(f"{name[:40]} must be text.", field=name[:40])
    return dict(given)


async def _body(request: Request) -> Body:
    return await json_body(request, Body, BODY_BYTES_MAX)


def _chain_of(given: Body) -> str:
    """Which wallets: said by ``chain``, else told from the form of the address."""
    named = given.pop("chain", None)
    if named in ("ethereum", "solana"):
        return str(named)
    address = given.get("address")
    return "ethereum" if isinstance(address, str) and address.lower().startswith("0x") else "solana"


def shown_user(user: User) -> dict[str, object]:
    """A user as the original's routes show it."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "displayName": user.display_name,
        "avatarUrl": user.avatar_url,
    }


def shown_method(method: LoginMethod) -> dict[str, object]:
    """A way in as the original's ``/account/methods`` shows it."""
    return {
        "id": method.id,
        "type": method.method,
        "provider": method.method,
        "identifier": method.label,
        "verified": True,
        "isPrimary": method.primary,
        "createdAt": method.created_at,
        "lastUsedAt": method.last_used_at,
    }


routes = [
    Route("/auth/methods", list_methods, methods=["GET"]),
    Route("/auth/email/request", request_email, methods=["POST"]),
    Route("/auth/email/verify", verify_email, methods=["POST"]),
    Route("/auth/sms/request", request_sms, methods=["POST"]),
    Route("/auth/sms/verify", verify_sms, methods=["POST"]),
    Route("/auth/wallet/challenge", challenge_wallet, methods=["POST"]),
    Route("/auth/wallet/verify", verify_wallet, methods=["POST"]),
    Route("/auth/passkey/options", options_passkey, methods=["POST"]),
    Route("/auth/passkey/verify", verify_passkey, methods=["POST"]),
    Route("/auth/second-factor", finish_second_factor, methods=["POST"]),
]
