"""What all pages share: who visits, how a template becomes a response, and how failures look.

A page's function takes a `Visit` and returns a response. `page` makes it an endpoint: it sends strangers to the sign-in
page where one must be signed in, checks that a form came from a page of ours, and shows errors as pages.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from af import auth
from af.auth.addresses import require_own_page
from af.auth.errors import AccountLeaving, ReauthenticationRequired
from af.core.context import Context
from af.core.errors import Error, InvalidInput, Unauthenticated
from af.core.web import as_error, context, form_fields
from af.pages import static
from af.pages.words import FILTERS

FORM_BYTES_MAX = 16_384
FORM_FIELDS_MAX = 100
LEAVING = "/settings/account"
"""The one page for who is leaving: it says so, and keeps the account."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    # Not no-referrer: with it browsers send "Origin: null", and forms need their origin checked.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page. ``user`` is who is signed in; ``form`` holds the fields of a sent form, several values of
    one name (checkboxes) in order."""

    request: Request
    ctx: Context
    user: auth.User | None
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return str(self.request.url.path)

    @property
    def person(self) -> auth.User:
        """Who is signed in, on pages that only they see."""
        assert self.user is not None, "the page is for people who are signed in"
        return self.user

    def field(self, name: str) -> str:
        """A field of the form without surrounding spaces; "" when it is not there."""
        return (self.form.get(name) or [""])[0].strip()

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")[:4096]

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])


Page = Callable[[Visit], Awaitable[Response]]


def page(shown: Page, *, signed_in: bool = True) -> Callable[[Request], Awaitable[Response]]:
    """``shown`` as an endpoint."""

    @functools.wraps(shown)
    async def endpoint(request: Request) -> Response:
        visit = Visit(request, context(request), None)
        try:
            if request.method == "POST":
                require_own_page(visit.ctx.settings, request)
                visit = Visit(request, visit.ctx, None, await _form(request))
            visit = Visit(request, visit.ctx, await auth.me(visit.ctx), visit.form)
            if signed_in and visit.user is None:
                return to_sign_in(visit)
            return await shown(visit)
        except Exception as error:  # the edge: every failure becomes a page
            return failure(visit, as_error(error, visit.ctx.log))

    return endpoint


def render(visit: Visit, template: str, *, status: int = 200, problem: Error | None = None, **values: Any) -> Response:
    """The page of ``template``; every template sees ``user``, ``path``, ``now`` ``problem`` (an `Error` or None)."""
    known = {
        "user": visit.user,
        "path": visit.path,
        "now": visit.ctx.now,
        "problem": problem,
        "request_id": visit.ctx.request_id,
    }
    text = _templates().get_template(template).render({**known, **values})
    headers = _HEADERS if problem is None else {**_HEADERS, **problem.headers()}
    return Response(text, status, headers, media_type="text/html; charset=utf-8")


def go(address: str, **query: str) -> RedirectResponse:
    """On to another page of ours, after a form (303: with GET)."""
    return RedirectResponse(address + (f"?{urlencode(query)}" if query else ""), 303, {"Cache-Control": "no-store"})


def to_sign_in(visit: Visit) -> Response:
    """To the sign-in page and, after it, back here; a form that was sent in vain leads back to its page."""
    target = visit.path
    if visit.request.method == "GET" and visit.request.url.query:
        target += f"?{visit.request.url.query}"
    return go("/login", return_to=target)


def failure(visit: Visit, error: Error) -> Response:
    """A page that says what went wrong."""
    if isinstance(error, Unauthenticated) and visit.user is None and visit.request.method == "GET":
        return to_sign_in(visit)
    if isinstance(error, ReauthenticationRequired):
        return go("/login", return_to=visit.path, again="1")
    if isinstance(error, AccountLeaving) and visit.path != LEAVING:
        return go(LEAVING)
    return render(visit, "failure.html", status=error.http_status, problem=error)


async def _form(request: Request) -> dict[str, list[str]]:
    """A small ``application/x-www-form-urlencoded`` body."""
    fields = await form_fields(request, FORM_BYTES_MAX, fields_max=FORM_FIELDS_MAX)
    if "\x00" in "".join(value for values in fields.values() for value in values):
        raise InvalidInput("The form holds a NUL character.")
    return fields


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("af.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["asset"] = static.address
    environment.filters.update(FILTERS)
    return environment
