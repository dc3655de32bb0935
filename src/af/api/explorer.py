"""GraphiQL's place: one self-contained page to try queries and read the schema, for signed-in users.

A GET never runs a query: links and images of other sites can make a browser send one.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from af import auth
from af.api.errors import MalformedRequest
from af.core.context import ActorKind, Context
from af.core.errors import Unauthenticated
from af.core.web import problem

_FILE = Path(__file__).parent / "explorer.html"


def page(ctx: Context, request: Request) -> Response:
    """The page for a browser; 405 for a program."""
    if "text/html" not in request.headers.get("accept", ""):
        response = problem(MalformedRequest("Send GraphQL with POST; GET shows a page to browsers."), ctx.request_id)
        response.status_code = 405
        response.headers["Allow"] = "POST"
        return response
    if ctx.actor.kind is ActorKind.ANONYMOUS or not auth.is_own_host(ctx.settings, request.headers.get("host", "")):
        return problem(Unauthenticated("Sign in to explore the API.", hint="Open the start page."), ctx.request_id)
    document, policy = _document()
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return HTMLResponse(document, headers=headers)


@cache
def _document() -> tuple[str, str]:
    """The page and the policy that lets only its own style and script run."""
    text = _FILE.read_text(encoding="utf-8")
    style = _hash(text.partition("<style>")[2].partition("</style>")[0])
    script = _hash(text.partition("<script>")[2].partition("</script>")[0])
    return text, (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
