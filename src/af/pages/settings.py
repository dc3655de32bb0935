"""What the pages under ``/settings`` share: their menu, what was done, and forms that come back with what went wrong.

Each page sends its forms to its own address, with the action in the field ``act``; so the way back from a sign-in that
an action asks for is always a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from af.auth.errors import ReauthenticationRequired
from af.core.errors import Error, InvalidInput
from af.pages.frame import Page, Visit, page, render

SECTIONS = (
    ("/settings", "Profile"),
    ("/settings/methods", "Ways to sign in"),
    ("/settings/security", "Second factor"),
    ("/settings/sessions", "Sessions"),
    ("/settings/tokens", "Access tokens"),
    ("/settings/team", "Teams"),
    ("/settings/account", "Account"),
)
_OPERATOR = (("/settings/outbox", "Outbox"),)
DONE = {
    "saved": "Saved.",
    "method_added": "The way to sign in was added.",
    "method_removed": "The way to sign in was removed.",
    "primary": "It stands for your account now.",
    "factor_off": "Sign-ins need no second factor any more.",
    "session": "That device is signed out.",
    "sessions": "All other devices are signed out.",
    "token": "The token was revoked: within seconds it opens nothing.",
    "team": "The team was made.",
    "invited": "The invitation is on its way.",
    "invitation_revoked": "The invitation works no more.",
    "access": "The access was changed.",
    "transferred": "The team was handed over; you are an admin of it now.",
    "role": "The role was changed.",
    "removed": "They are not in the team any more.",
    "left": "You left the team.",
    "joined": "Welcome to the team.",
    "team_deleted": "The team is gone.",
    "restored": "Your account stays.",
}
"""Notes by the name in ``?done=``, so that an address cannot put its own words on the page."""


class Shown(Protocol):
    """A page that can be shown again with what went wrong."""

    async def __call__(self, visit: Visit, *, problem: Error | None = None) -> Response: ...


def settings_page(visit: Visit, template: str, *, problem: Error | None = None, **values: Any) -> Response:
    """One of the pages, with the menu."""
    status = 200 if problem is None else problem.http_status
    sections = SECTIONS + (_OPERATOR if visit.person.operator else ())
    done = DONE.get(visit.query("done"), "") if problem is None else ""
    return render(visit, template, status=status, problem=problem, sections=sections, done=done, **values)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something that cannot be undone. Names in it are the platform's, not the form's."""

    heading: str
    text: str
    button: str


def asks_first(question: Callable[[Visit], Awaitable[Question]], act: Page) -> Page:
    """``act``, once a page in between was answered with yes; that page sends the same form again with ``sure``.

    ``question`` raises what the act would, so that nobody is asked about something that is not theirs.
    """

    async def asked(visit: Visit) -> Response:
        if visit.field("sure") == "yes":
            return await act(visit)
        found = await question(visit)
        fields = [(name, value) for name, values in visit.form.items() for value in values if name != "sure"]
        return settings_page(visit, "confirm.html", question=found, fields=fields)

    return asked


def routes_of(address: str, shown: Shown, acts: Mapping[str, Page]) -> list[BaseRoute]:
    """The page at ``address`` and its forms."""

    async def show(visit: Visit) -> Response:
        return await shown(visit)

    async def act(visit: Visit) -> Response:
        try:
            chosen = acts.get(visit.field("act"))
            if chosen is None:
                raise InvalidInput("The page has no such form.", hint="Load it again.")
            return await chosen(visit)
        except Error as error:
            if error.http_status >= 500 or isinstance(error, ReauthenticationRequired):
                raise
            return await shown(visit, problem=error)

    found: list[BaseRoute] = [Route(address, page(show), methods=["GET"])]
    return [*found, Route(address, page(act), methods=["POST"])] if acts else found
