"""Where somebody is signed in, and signing out elsewhere."""

from __future__ import annotations

from starlette.responses import Response

from af import auth
from af.core.errors import Error
from af.pages.frame import Visit, go
from af.pages.settings import routes_of, settings_page

ADDRESS = "/settings/sessions"


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/sessions``"""
    found = await auth.list_sessions(visit.ctx)
    own = visit.ctx.actor.session_id
    found.sort(key=lambda session: session.id != own)
    return settings_page(visit, "sessions.html", problem=problem, sessions=found, own=own)


async def revoke(visit: Visit) -> Response:
    """Sign one device out; this one leads to the start page."""
    session_id = visit.field("id")
    await auth.revoke_session(visit.ctx, session_id)
    return go("/") if session_id == visit.ctx.actor.session_id else go(ADDRESS, done="session")


async def revoke_all(visit: Visit) -> Response:
    await auth.revoke_all_sessions(visit.ctx)
    return go(ADDRESS, done="sessions")


routes = routes_of(ADDRESS, show, {"revoke": revoke, "revoke_all": revoke_all})
