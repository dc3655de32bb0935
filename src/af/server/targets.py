"""Each target as an ASGI application, and the one application of an edge that dispatches to them by Host and path."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from af import auth, gateway
from af.core import web
from af.core.context import Platform
from af.core.errors import NotFound
from af.gateway.private import slug_of, with_token
from af.server import health
from af.server.addresses import Address, Kind, classify, host_name, is_page

_COOKIE_PATHS = ("/auth/link",)
"""Routes that show a page or set a cookie; they exist only where pages do. (``/auth/logout`` ends sessions of programs,
too, and touches cookies only there.)"""


def rest_routes() -> list[BaseRoute]:
    """The REST routes of all domains (see ``schema/openapi.json``)."""
    from af.auth import http as auth_http  # here and below: a gateway on its own does without the control plane
    from af.names import http as names_http
    from af.projects import http as projects_http
    from af.sites import http as sites_http
    from af.storage import http as storage_http

    return [*auth_http.routes, *projects_http.routes, *storage_http.routes, *names_http.routes, *sites_http.routes]


def edge_application(platform: Platform, targets: set[str], *, served: gateway.Gateway | None = None) -> ASGIApp:
    """What an edge serves: the gateway, the control plane (``api``), or both; ``/health``, ``/ready`` and ``/metrics``
    always. ``served`` is the gateway of this process, when it runs one."""
    control = _control_plane(platform) if "api" in targets else None
    return _Dispatch(platform, control, served, health.application(platform, targets))


def _control_plane(platform: Platform) -> ASGIApp:
    from af import api
    from af.pages.routes import routes as page_routes
    from af.server import pages as first_page
    from af.storage import http as storage_http

    graphql = api.application(platform)
    private = gateway.PrivateGateways(platform)
    router = Router([*rest_routes(), *first_page.routes(), *page_routes()], default=_Missing(), redirect_slashes=False)

    async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
        if _is_private_gateway(platform, scope):
            await private(scope, receive, send)
            return
        if scope["path"] == "/graphql":
            await graphql(scope, receive, send)
            return
        scope["app"] = router  # under an app, Starlette raises where it would answer in plain text
        try:
            await router(scope, receive, send)
        except HTTPException as refusal:
            raise web.MethodRefused(scope["method"], (refusal.headers or {}).get("Allow", "")) from refusal

    return web.RequestContext(
        by_path,
        platform,
        auth.authenticate,
        uncounted=("/assets/",),
        secret=("/invitations/", "/organizations/invitations/"),
        renderings=storage_http.renderings,
    )


def _is_private_gateway(platform: Platform, scope: Scope) -> bool:
    host = host_name(Headers(scope=scope).get("host", ""))
    return slug_of(host, platform.settings.domain) is not None


class _Missing:
    """No such route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotFound(f"There is nothing at {scope['path'][:200]}.", hint="See docs/reference for the routes.")


class _Dispatch:
    """Host first, then path (DESIGN §3.1): names of ours, then what the gateway knows, then API routes only."""

    def __init__(
        self, platform: Platform, control: ASGIApp | None, served: gateway.Gateway | None, health_app: health.Health
    ) -> None:
        self._platform = platform
        self._domain = platform.settings.domain
        self._control = control
        self._gateway = served
        self._health = health_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "neither lifespan nor websockets are switched on"
        headers = Headers(scope=scope)
        address = classify(host_name(headers.get("host", "")), self._domain)
        path: str = scope["path"]
        if self._control is not None and _is_private_gateway(self._platform, scope):
            await self._control(with_token(scope), receive, send)
        elif self._gateway is not None and await self._is_content(self._gateway, address, headers, path):
            await self._gateway(scope, receive, send)
        elif path in health.PATHS:
            await self._health(scope, receive, send)
        elif not address.shows_pages and is_page(path):
            await self._without_page(address, path)(scope, receive, send)
        elif self._control is None or (self._is_closed(address) and path.startswith(_COOKIE_PATHS)):
            await _not_found(scope, receive, send)
        else:
            await self._control(scope, receive, send)

    async def _is_content(self, served: gateway.Gateway, address: Address, headers: Headers, path: str) -> bool:
        """Whether the gateway answers. Names of services are never sites, ``gateway.`` apart."""
        if address.kind is Kind.SERVICE and address.service != "gateway":
            return False
        if address.kind is not Kind.OTHER and path in health.PATHS:
            return False
        if address.service == "gateway":
            return True
        return await served.serves(headers.get("host", ""), path, headers.get("x-forwarded-host", ""))

    def _is_closed(self, address: Address) -> bool:
        """No page, no cookie, and no way to one. (On an IP address the login link leads on to the main address.)"""
        return not address.shows_pages and address.kind is not Kind.LITERAL

    def _without_page(self, address: Address, path: str) -> ASGIApp:
        """An IP address leads people to the dashboard's own name; any other host shows nothing."""
        if address.kind is Kind.LITERAL and self._control is not None and path == "/":
            return RedirectResponse(self._platform.url(self._domain) + "/", 302, {"Cache-Control": "no-store"})
        return _not_found


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    request_id = web.request_id_of(Headers(scope=scope))
    error = NotFound("There is nothing here.", hint="The platform's own address is in the banner of `af up`.")
    response: Response = web.problem(error, request_id)
    response.headers["X-Request-Id"] = request_id
    await response(scope, receive, send)
