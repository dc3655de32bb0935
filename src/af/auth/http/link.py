"""The REST edge of identity: the one-time login link."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from af.auth import pages
from af.auth import service as auth
from af.auth.addresses import is_own_host, require_own_page
from af.auth.cookies import set_session
from af.auth.errors import LinkUsed
from af.core.web import NO_STORE, context, form_body

FORM_BYTES_MAX = 4096


async def show_link(request: Request) -> Response:
    """``GET /auth/link?token=``: a page that posts the token; nothing is used up yet."""
    ctx = context(request)
    token = request.query_params.get("token", "")[:FORM_BYTES_MAX]
    if not is_own_host(ctx.settings, request.headers.get("host", "")):
        # No cookie is ever set on an IP address or a stranger's name: go to where it may be.
        target = f"{ctx.platform.url(ctx.settings.domain)}/auth/link?{urlencode({'token': token})}"
        return RedirectResponse(target, 302, NO_STORE)
    return pages.confirm(token)


async def redeem_link(request: Request) -> Response:
    """``POST /auth/link`` with a form field ``token``: signs this browser in and goes to the start page."""
    ctx = context(request)
    require_own_page(ctx.settings, request)
    form = await form_body(request, FORM_BYTES_MAX)
    try:
        created = await auth.redeem_login_link(ctx, form.get("token", ""))
    except LinkUsed as error:
        return pages.failed(error.message, error.hint)
    response = RedirectResponse("/", 303, NO_STORE)
    set_session(ctx, response, created.text)
    return response


routes = [
    Route("/auth/link", show_link, methods=["GET"]),
    Route("/auth/link", redeem_link, methods=["POST"]),
]
