"""The ways to sign in to one's own account: add, remove, and which of them stands for it."""

from __future__ import annotations

from starlette.responses import Response

from af import auth
from af.auth.cookies import set_flow
from af.auth.errors import MethodNotFound
from af.auth.models import Purpose
from af.core.errors import Error, InvalidInput
from af.pages.frame import Visit, go, render
from af.pages.login import CODED, is_provider, send_code
from af.pages.settings import Question, asks_first, routes_of, settings_page
from af.pages.words import method_title

ADDRESS = "/settings/methods"
ADDED = f"{ADDRESS}?done=method_added"


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/methods``"""
    found = await auth.sign_in.methods(visit.ctx)
    return settings_page(
        visit,
        "methods.html",
        problem=problem,
        own=await auth.profile.methods(visit.ctx),
        offered={each.name for each in found},
        titles={each.name: each.title for each in found},
        providers=[each for each in found if is_provider(each)],
    )


async def add_address(visit: Visit) -> Response:
    """``method`` and its address: sends a code to it."""
    method = visit.field("method")
    if method not in CODED:
        raise InvalidInput("A code is sent by e-mail or SMS.", field="method")
    return await send_code(visit, method, visit.field(CODED[method]), return_to=ADDED, purpose=Purpose.LINK)


async def add_provider(visit: Visit) -> Response:
    """``provider``: on to its site. By a page, not a redirect: our policy lets forms lead to our own pages only."""
    name = visit.field("provider")
    found = next((each for each in await auth.sign_in.methods(visit.ctx) if each.name == name), None)
    if found is None or not is_provider(found):
        raise InvalidInput("There is no such provider.", field="provider")
    begun = await auth.sign_in.begin(visit.ctx, name, {}, purpose=Purpose.LINK, return_to=ADDED)
    response = render(visit, "onward.html", target=str(begun.shown["redirect"]), title=found.title, text="")
    set_flow(response, begun.flow, begun.expires_in_seconds)
    return response


async def ask_to_remove(visit: Visit) -> Question:
    """:raises MethodNotFound: the person has no such one. :raises ReauthenticationRequired: it is asked for first."""
    await auth.require_recent(visit.ctx)
    wanted = visit.field("id")
    found = next((each for each in await auth.profile.methods(visit.ctx) if each.id == wanted), None)
    if found is None:
        raise MethodNotFound("You have no such way to sign in.")
    return Question(
        f"Remove {found.label}?",
        f"{method_title(found.method)} opens your account no more. Devices that are signed in stay so.",
        "Remove it",
    )


async def remove(visit: Visit) -> Response:
    await auth.profile.remove_method(visit.ctx, visit.field("id"))
    return go(ADDRESS, done="method_removed")


async def set_primary(visit: Visit) -> Response:
    await auth.profile.set_primary_method(visit.ctx, visit.field("id"))
    return go(ADDRESS, done="primary")


routes = routes_of(
    ADDRESS,
    show,
    {
        "address": add_address,
        "provider": add_provider,
        "remove": asks_first(ask_to_remove, remove),
        "primary": set_primary,
    },
)
