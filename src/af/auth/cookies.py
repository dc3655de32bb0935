"""The two cookies: who is signed in, and which sign-in this browser has begun. ``__Host-``: of exactly this host,
secure, for all paths; a page of a user's site can neither read nor set them."""

from __future__ import annotations

from starlette.responses import Response

from af.auth.addresses import COOKIE
from af.core.context import Context

FLOW_COOKIE = "__Host-af_flow"


def set_session(ctx: Context, response: Response, text: str) -> None:
    """Sign this browser in."""
    _set(response, COOKIE, text, ctx.settings.session_seconds)


def set_flow(response: Response, flow: str, seconds: int) -> None:
    """Bind the sign-in that was begun to this browser."""
    _set(response, FLOW_COOKIE, flow, seconds)


def forget(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    # Lax, not Strict: a link in a mail and a provider's redirect lead here. Browsers take http://localhost for secure.
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
