"""``/health``, ``/ready`` and ``/metrics``: for probes and Prometheus; no authentication, no log line."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

import msgspec
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from af import storage
from af.core import leases, metrics, web
from af.core.context import SYSTEM, Platform
from af.core.errors import Error
from af.server.figures import Figures, free_bytes, warning_bytes

PATHS = frozenset({"/health", "/ready", "/metrics"})
CHECK_SECONDS = 2.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """ASGI application for the three paths."""

    def __init__(self, platform: Platform, targets: set[str]) -> None:
        self._platform = platform
        self._figures = Figures(platform)
        self._checks: dict[str, Callable[[], Awaitable[object]]] = {
            "database": self._database,
            "blocks": self._blocks,
        }
        self._advice: dict[str, Callable[[], Awaitable[object]]] = {}
        """Shown, but no reason to send nobody here: content is served without."""
        if "api" in targets or "worker" in targets:
            self._checks["worker"] = self._worker
            if platform.settings.kubo_rpc_url:
                self._advice["kubo"] = self._kubo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        client = scope["client"][0] if scope.get("client") else ""
        if scope["method"] not in ("GET", "HEAD"):
            response: Response = PlainTextResponse("Use GET.\n", 405, {"Allow": "GET, HEAD"})
        elif scope["path"] == "/health":
            response = JSONResponse({"status": "ok"})
        elif scope["path"] == "/ready":
            response = await self._ready()
        elif scope["path"] == "/metrics" and may_see_metrics(client, headers):
            response = Response(metrics.render(await self._figures.gauges()), media_type=_METRICS_TYPE)
        else:
            response = PlainTextResponse("Not found.\n", 404)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Request-Id"] = web.request_id_of(headers)
        await response(scope, receive, send)

    async def _ready(self) -> Response:
        checks = {**self._checks, **self._advice}
        outcomes = await asyncio.gather(*(self._look(check) for check in checks.values()))
        found = dict(zip(checks, outcomes, strict=True))
        ready = all(found[name] == "ok" for name in self._checks)
        found |= self._disk_warning()
        document = {"status": "ready" if ready else "not ready", "checks": found}
        return Response(msgspec.json.encode(document), 200 if ready else 503, media_type="application/json")

    def _disk_warning(self) -> dict[str, str]:
        """Content is served from a full disk, too; so this is said, and does not make the part unready."""
        settings = self._platform.settings
        free = free_bytes(settings.data)
        if free >= warning_bytes(settings):
            return {}
        refused = free < settings.disk_free_bytes_min
        return {"disk": f"{free / 1e9:.2f} GB free: writes are refused{'' if refused else ' soon'}"}

    async def _look(self, check: Callable[[], Awaitable[object]]) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except TimeoutError:
            return "does not answer"
        except Error as error:
            return error.message
        return "ok"

    async def _database(self) -> None:
        await self._platform.database.ping()

    async def _blocks(self) -> None:
        await storage.ping(self._platform.context(SYSTEM))

    async def _kubo(self) -> None:
        await storage.check_kubo(self._platform.context(SYSTEM))

    async def _worker(self) -> None:
        await leases.check_worker(self._platform.context(SYSTEM))


def application(platform: Platform, targets: set[str]) -> Health:
    return Health(platform, targets)


def may_see_metrics(client: str, headers: Headers) -> bool:
    """Numbers about every tenant are for this machine and its private network only, and not for what a front passes
    on from the outside."""
    if "x-forwarded-for" in headers or "forwarded" in headers:
        return False
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_private
