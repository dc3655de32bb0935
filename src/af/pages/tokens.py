"""Access tokens: make one and see it once, list, revoke."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from af import auth, projects
from af.core.errors import Error
from af.pages.frame import Visit, go
from af.pages.settings import routes_of, settings_page

ADDRESS = "/settings/tokens"
LIVES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "": "Never"}
"""How long a new token may live: days, as a form sends them."""
_NEVER = ""


async def show(visit: Visit, *, problem: Error | None = None, made: auth.CreatedToken | None = None) -> Response:
    """``GET /settings/tokens``; ``made`` is the token whose text is shown this once."""
    own_projects = await projects.list_projects(visit.ctx)
    return settings_page(
        visit,
        "tokens.html",
        problem=problem,
        made=made,
        tokens=await auth.list_tokens(visit.ctx),
        allowance=await auth.token_allowance(visit.ctx),
        projects=own_projects,
        names={project.id: project.name for project in own_projects},
        scopes=auth.SCOPES,
        lives=LIVES,
        chosen=set(visit.form.get("scope", [])),
        name=visit.field("name") if problem else "",
    )


async def create(visit: Visit) -> Response:
    """``name``, ``scope`` (several; none with ``power=all``), ``project``, ``life`` in days."""
    scopes = None if visit.field("power") == "all" else visit.form.get("scope", [])
    days = visit.field("life")
    expires_at = visit.ctx.now + timedelta(days=int(days)) if days in LIVES and days != _NEVER else None
    made = await projects.create_token(
        visit.ctx,
        visit.field("name"),
        scopes=scopes,
        project_id=visit.field("project") or None,
        expires_at=expires_at,
    )
    return await show(visit, made=made)


async def revoke(visit: Visit) -> Response:
    await auth.revoke_token(visit.ctx, visit.field("id"))
    return go(ADDRESS, done="token")


routes = routes_of(ADDRESS, show, {"create": create, "revoke": revoke})
