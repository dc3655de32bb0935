"""The REST edge of signing in with an account elsewhere (paths of the original): to the provider, back, and on."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from af.auth import redirects
from af.auth import service as auth
from af.auth.addresses import COOKIE, host_name
from af.auth.backends.oauth import OAuth
from af.auth.cookies import FLOW_COOKIE, forget, set_flow, set_session
from af.auth.errors import MethodUnknown, RedirectRefused
from af.auth.http.sign_in import finished_response
from af.auth.models import Linked, SecondFactorNeeded, SignedIn
from af.auth.service import exchange
from af.core.context import Context
from af.core.errors import Error, Internal
from af.core.web import context, json_body, json_response

BODY_BYTES_MAX = 8 << 10
PARAMETER_LENGTH_MAX = 8192
_ANSWERS = ("code", "error", "error_description", "iss")
_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""The address holds a code and a state: no cache keeps it, and the next page does not learn it."""


async def list_providers(request: Request) -> Response:
    """``GET /auth/oauth/providers``: ``{"providers": [{"name", "title", "authUrl"}]}``, those that are configured."""
    ctx = context(request)
    own = auth.sign_in.own_origin(ctx)
    found = [each for each in await auth.sign_in.methods(ctx) if isinstance(each, OAuth)]
    shown = [{"name": each.name, "title": each.title, "authUrl": f"{own}/auth/oauth/{each.name}"} for each in found]
    return json_response({"providers": shown})


async def depart(request: Request) -> Response:
    """``GET /auth/oauth/{provider}?return_to=`` (a path of ours) or ``?redirect_url=`` (of ours, or another app's, with
    ``code_challenge`` when it is a program's): 302 to the provider. A browser that cannot go there is sent to
    ``/login?error=``. :raises RedirectRefused: for ``redirect_url``."""
    ctx = context(request)
    name = request.path_params["provider"]
    if host_name(request.headers.get("host", "")) != ctx.settings.domain:  # where the flow cookie must be
        again = f"{auth.sign_in.own_origin(ctx)}/auth/oauth/{quote(name, safe='')}"
        return RedirectResponse(f"{again}?{urlencode(list(request.query_params.multi_items())[:10])}", 302, _QUIET)
    return_to = await _return_to(ctx, request)
    try:
        if any(each.name == name and not isinstance(each, OAuth) for each in await auth.sign_in.methods(ctx)):
            raise MethodUnknown(f"{name} does not lead to another site.", hint="See /auth/oauth/providers.")
        begun = await auth.sign_in.begin(ctx, name, {}, return_to=return_to)
    except Error as error:
        return _refused(ctx, request, error)
    response = RedirectResponse(str(begun.shown["redirect"]), 302, _QUIET)
    set_flow(response, begun.flow, begun.expires_in_seconds)
    return response


async def _return_to(ctx: Context, request: Request) -> str:
    """The path of ours that the sign-in ends at."""
    redirect_url = request.query_params.get("redirect_url", "")
    if not redirect_url:
        return redirects.safe_return(request.query_params.get("return_to", ""))
    path = redirects.own_path(redirect_url, auth.sign_in.own_origin(ctx))
    if path:
        return path
    challenge = request.query_params.get("code_challenge", "")
    if challenge and request.query_params.get("code_challenge_method") != "S256":
        raise RedirectRefused("Only the PKCE method S256 is taken.", field="code_challenge_method")
    return await exchange.prepare(ctx, redirect_url, code_challenge=challenge)


async def arrive(request: Request) -> Response:
    """``GET /auth/oauth/callback/{provider}?code&state`` (or ``error``): the session cookie and 303 to where it began,
    to the second factor, or with an error to ``/login?error=``."""
    ctx = context(request)
    values = {name: value for name, value in request.query_params.items() if name in _ANSWERS}
    state = request.query_params.get("state", "")[:PARAMETER_LENGTH_MAX]
    try:
        done = await auth.sign_in.finish(
            ctx, request.path_params["provider"], values, flow=request.cookies.get(FLOW_COOKIE), lookup=state
        )
    except Error as error:
        return _refused(ctx, request, error)
    return await _arrived(ctx, request, done)


async def _arrived(ctx: Context, request: Request, done: SignedIn | SecondFactorNeeded | Linked) -> Response:
    if isinstance(done, SecondFactorNeeded):
        response = RedirectResponse("/login/second-factor", 303, _QUIET)
        set_flow(response, done.flow, done.expires_in_seconds)
        return response
    home = "/settings/methods" if isinstance(done, Linked) else "/"
    response = RedirectResponse(redirects.safe_return(done.return_to) or home, 303, _QUIET)
    if isinstance(done, SignedIn):
        assert done.cookie is not None, "a browser's session was asked for"
        before = request.cookies.get(COOKIE)
        if before and ctx.actor.session_id is not None:  # nobody stays signed in behind a cookie they lost
            await auth.end_session(ctx, before)
        set_session(ctx, response, done.cookie)
    forget(response, FLOW_COOKIE)
    return response


async def go_on(request: Request) -> Response:
    """``GET /auth/oauth/continue?ticket=``: from the sign-in here to the app that asked, with a one-time code."""
    ctx = context(request)
    try:
        target = await exchange.leave(ctx, request.query_params.get("ticket", ""))
    except Error as error:
        return _refused(ctx, request, error)
    return RedirectResponse(target, 302, _QUIET)


@dataclass(frozen=True, slots=True)
class _Exchange:
    code: str
    codeVerifier: str = ""  # noqa: N815 - as in JSON


async def trade(request: Request) -> Response:
    """``POST /auth/exchange`` ``{"code", "codeVerifier"?}``: tokens and the user, once, within 60 seconds.

    Answers pages of the allowed origins across origins; no cookie has part in it."""
    ctx = context(request)
    given = await json_body(request, _Exchange, BODY_BYTES_MAX)
    response = finished_response(ctx, await exchange.redeem(ctx, given.code, given.codeVerifier))
    response.headers.update(_shared(ctx, request))
    return response


async def permit(request: Request) -> Response:
    """``OPTIONS /auth/exchange``: the browser's question before `trade`."""
    return Response(status_code=204, headers=_shared(context(request), request))


def _shared(ctx: Context, request: Request) -> dict[str, str]:
    origin = request.headers.get("origin", "")
    if origin not in exchange.allowed_origins(ctx):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": "600",
    }


def _refused(ctx: Context, request: Request, error: Error) -> Response:
    """People get a page that says it in words (found by the code: nothing of the request is shown), programs the error.

    :raises Error: ``error``, for programs and for our own bugs."""
    if isinstance(error, Internal) or "text/html" not in request.headers.get("accept", ""):
        raise error
    ctx.log.info("sign-in refused", code=error.code, detail=error.detail)
    response = RedirectResponse(f"/login?{urlencode({'error': error.code})}", 303, _QUIET)
    if request.url.path.startswith("/auth/oauth/callback/"):
        forget(response, FLOW_COOKIE)
    return response


routes = [
    Route("/auth/oauth/providers", list_providers, methods=["GET"]),
    Route("/auth/oauth/continue", go_on, methods=["GET"]),
    Route("/auth/oauth/callback/{provider}", arrive, methods=["GET"]),
    Route("/auth/oauth/{provider}", depart, methods=["GET"]),
    Route("/auth/exchange", trade, methods=["POST"]),
    Route("/auth/exchange", permit, methods=["OPTIONS"]),
]
