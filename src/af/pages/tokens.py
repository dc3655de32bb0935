"""Access tokens: make one and see it once, list, revoke."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from af import auth, projects
from af.auth.errors import InvalidExpiry, TokenNotFound
from af.core.errors import Error
from af.pages.frame import Visit, go
from af.pages.settings import Question, asks_first, routes_of, settings_page

ADDRESS = "/settings/tokens"
LIVES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "": "Never"}
"""How long a new token may live: days, as a form sends them."""
_NEVER = ""
SCOPE_WORDS = {
    "organizations:read": "see teams",
    "organizations:write": "make and change teams",
    "projects:read": "see projects",
    "projects:write": "make and change projects",
    "members:read": "see who is in",
    "members:write": "invite, remove, change roles",
    "tokens:read": "see access tokens",
    "tokens:write": "make and revoke access tokens",
    "sites:read": "see sites and deployments",
    "sites:write": "deploy and change sites",
    "storage:read": "see stored content",
    "storage:write": "store and delete content",
    "billing:read": "see bills",
    "billing:write": "pay bills",
    "organizations:admin": "delete teams and hand them over",
    "projects:admin": "delete projects and move them",
    "audit:read": "read the audit log",
}
"""What each scope allows; one with a stronger verb allows the weaker, too."""


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
        scopes=SCOPE_WORDS,
        lives=LIVES,
        chosen=set(visit.form.get("scope", [])),
        name=visit.field("name") if problem else "",
    )


async def create(visit: Visit) -> Response:
    """``name``, ``scope`` (several; none with ``power=all``), ``project``, ``life`` in days."""
    scopes = None if visit.field("power") == "all" else visit.form.get("scope", [])
    days = visit.field("life")
    if "life" not in visit.form or days not in LIVES:  # nothing given must not mean for ever
        raise InvalidExpiry("Choose when the token ends.", field="life")
    expires_at = None if days == _NEVER else visit.ctx.now + timedelta(days=int(days))
    made = await projects.create_token(
        visit.ctx,
        visit.field("name"),
        scopes=scopes,
        project_id=visit.field("project") or None,
        expires_at=expires_at,
    )
    return await show(visit, made=made)


async def ask_to_revoke(visit: Visit) -> Question:
    """:raises TokenNotFound: the person has no such one."""
    wanted = visit.field("id")
    found = next((token for token in await auth.list_tokens(visit.ctx) if token.id == wanted), None)
    if found is None:
        raise TokenNotFound("You have no such token.", hint="It may be revoked already.")
    return Question(
        f"Revoke {found.name}?",
        f"Whatever uses {found.masked} is refused within seconds. It cannot be brought back.",
        "Revoke the token",
    )


async def revoke(visit: Visit) -> Response:
    await auth.revoke_token(visit.ctx, visit.field("id"))
    return go(ADDRESS, done="token")


routes = routes_of(ADDRESS, show, {"create": create, "revoke": asks_first(ask_to_revoke, revoke)})
