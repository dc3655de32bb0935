"""The REST edge of identity: the login link, signing out, who am I."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from af.auth import pages
from af.auth import service as auth
from af.auth.addresses import COOKIE, is_own_host, require_own_page
from af.auth.cookies import forget, set_session
from af.auth.errors import LinkUsed
from af.auth.models import User
from af.core.errors import InvalidInput, Unauthenticated
from af.core.web import body, context, json_response

FORM_BYTES_MAX = 4096
_NO_STORE = {"Cache-Control": "no-store"}


async def show_link(request: Request) -> Response:
    """``GET /auth/link?token=``: a page that posts the token; nothing is used up yet."""
    ctx = context(request)
    token = request.query_params.get("token", "")[:FORM_BYTES_MAX]
    if not is_own_host(ctx.settings, request.headers.get("host", "")):
        # No cookie is ever set on an IP address or a stranger's name: go to where it may be.
        target = f"{ctx.platform.url(ctx.settings.domain)}/auth/link?{urlencode({'token': token})}"
        return RedirectResponse(target, 302, _NO_STORE)
    return pages.confirm(token)


async def redeem_link(request: Request) -> Response:
    """``POST /auth/link`` with a form field ``token``: signs this browser in and goes to the start page."""
    ctx = context(request)
    require_own_page(ctx.settings, request)
    form = await _form(request)
    try:
        created = await auth.redeem_login_link(ctx, form.get("token", ""))
    except LinkUsed as error:
        return pages.failed(error.message, error.hint)
    response = RedirectResponse("/", 303, _NO_STORE)
    set_session(ctx, response, created.text)
    return response


async def sign_out(request: Request) -> Response:
    """``POST /auth/logout``: ends the browser's session. ``{"success": true}``; a form goes to the start page."""
    ctx = context(request)
    cookie = request.cookies.get(COOKIE)
    response: Response = json_response({"success": True}, headers=_NO_STORE)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        response = RedirectResponse("/", 303, _NO_STORE)
    if cookie and is_own_host(ctx.settings, request.headers.get("host", "")):
        require_own_page(ctx.settings, request)
        await auth.end_session(ctx, cookie)
        forget(response, COOKIE)
    return response


async def who_am_i(request: Request) -> Response:
    """``GET /auth/me``: ``{"user": {…}}``. :raises Unauthenticated: nobody."""
    ctx = context(request)
    user = await auth.me(ctx)
    if user is None:
        raise Unauthenticated("Sign in first.", hint="Run `af login`, or open the login link that `af up` prints.")
    return json_response({"user": _shown(user)}, headers=_NO_STORE)


async def _form(request: Request) -> dict[str, str]:
    """A small ``application/x-www-form-urlencoded`` body."""
    try:
        text = (await body(request, FORM_BYTES_MAX)).decode("ascii")
        fields = parse_qs(text, max_num_fields=10, errors="strict")
    except ValueError as error:
        raise InvalidInput("The form cannot be read.", detail=str(error)) from error
    return {name: values[0] for name, values in fields.items()}


def _shown(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "operator": user.operator,
        "createdAt": user.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


routes = [
    Route("/auth/link", show_link, methods=["GET"]),
    Route("/auth/link", redeem_link, methods=["POST"]),
    Route("/auth/logout", sign_out, methods=["POST"]),
    Route("/auth/me", who_am_i, methods=["GET"]),
]
