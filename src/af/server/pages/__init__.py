"""The first page at ``/``: sign in by link, drop a folder, see and roll back sites. Plain files, served from memory,
with a policy that lets the browser load nothing from anywhere else. It uses the public API only (DESIGN: the dashboard
replaces it)."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from af.server.addresses import PAGE_PREFIX

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes() -> list[BaseRoute]:
    """The page and its files."""
    files = {entry.name: entry.read_bytes() for entry in resources.files(__name__).iterdir() if _kind(entry.name)}

    def serve(name: str) -> Route:
        body = files[name]
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {
            "ETag": tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

        async def endpoint(request: Request) -> Response:
            if tag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            return Response(body, headers=headers, media_type=_TYPES[_kind(name)])

        return Route("/" if name == "index.html" else PAGE_PREFIX + name, endpoint, methods=["GET"])

    return [serve(name) for name in sorted(files)]


def _kind(name: str) -> str:
    suffix = name.rpartition(".")[2]
    return suffix if suffix in _TYPES else ""
