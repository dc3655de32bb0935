"""The first start: an owner, a project and a token, so that `af deploy` works in the next terminal."""

from __future__ import annotations

from af import auth
from af.core.context import SYSTEM, Context
from af.projects import store
from af.projects.models import Bootstrap
from af.projects.service.organizations import ensure_home
from af.projects.service.projects import create_project

OWNER_NAME = "owner"
PROJECT_NAME = "default"
TOKEN_NAME = "local"


async def bootstrap(ctx: Context) -> Bootstrap:
    """The operator and a project of theirs; both are made if absent, with a token. Twice is harmless.

    Called by the server before it is ready, never for a request. ``token`` is `None` when the operator existed:
    `owner_token` makes another.
    """
    system = ctx.acting_as(SYSTEM)
    async with system.transaction() as tx:
        user, is_new = await auth.ensure_operator(system, OWNER_NAME)
        await ensure_home(system, user_id=user.id)
        mine = await store.access.projects_of(tx, user.id, after=None, limit=100)
        named = [project for project in mine if project.slug == PROJECT_NAME] or mine
        project = named[0] if named else await create_project(system, PROJECT_NAME, owner=user.id)
        created = await auth.create_token(system, TOKEN_NAME, user_id=user.id) if is_new else None
    return Bootstrap(user, project, created.text if created else None)


async def owner_token(ctx: Context) -> str:
    """Another unlimited token for the operator, for a machine whose profile was lost. Never for a request."""
    system = ctx.acting_as(SYSTEM)
    user = (await bootstrap(ctx)).user
    return (await auth.create_token(system, TOKEN_NAME, user_id=user.id)).text
