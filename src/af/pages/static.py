"""The pages' own files under ``/assets/pages/<hash>/<name>``: the hash is over all of them, so an address never changes
its content and scripts may import each other by relative names. Served from memory; kept for good by browsers."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from af.core.errors import NotFound
from af.pages.paths import ASSETS

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",  # an SVG opened by itself
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def address(name: str) -> str:
    """Where the file ``name`` is."""
    if name not in _files():
        raise KeyError(f"the pages have no file {name}")
    return f"{ASSETS}{_hash()}/{name}"


async def serve(request: Request) -> Response:
    """``GET /assets/pages/{hash}/{name}``. :raises NotFound: no such file in this version."""
    name = request.path_params["name"]
    body = _files().get(name)
    if body is None or request.path_params["hash"] != _hash():
        raise NotFound("There is no such file.", hint="Load the page again: the platform was updated.")
    return Response(body, headers=_HEADERS, media_type=_TYPES[name.rpartition(".")[2]])


@functools.cache
def _files() -> dict[str, bytes]:
    folder = resources.files("af.pages.assets")
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _TYPES}


@functools.cache
def _hash() -> str:
    digest = hashlib.sha256()
    for name, body in sorted(_files().items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()[:16]


routes: list[BaseRoute] = [Route(f"{ASSETS}{{hash}}/{{name}}", serve, methods=["GET"])]
