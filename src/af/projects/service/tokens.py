"""Tokens that name a project, and the exchange of an access token for a short-lived one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from af import auth
from af.core.context import Actor, ActorKind, Context
from af.projects.service.access import audit, authorize, membership


async def create_token(
    ctx: Context,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    project_id: str | None = None,
    expires_at: datetime | None = None,
) -> auth.CreatedToken:
    """A token for the caller, limited to a project (id or slug) if one is named. A token that is limited itself makes
    tokens for its own project. Errors as `af.auth.create_token`.

    :raises ProjectNotFound: the caller is not a member.
    """
    named = project_id or ctx.actor.project_id
    project = await authorize(ctx, "tokens:write", project_id=named) if named else None
    if project is None:
        return await auth.create_token(ctx, name, scopes=scopes, expires_at=expires_at)
    async with ctx.transaction():
        made = await auth.create_token(ctx, name, scopes=scopes, project_id=project.id, expires_at=expires_at)
        after = {"name": made.token.name, "scopes": sorted(made.token.scopes or ("all",))}
        await audit(ctx, "token.create", project.id, made.token.id, None, after)
    return made


async def login_with_token(ctx: Context, token: str, project_id: str | None = None) -> str:
    """A short-lived token in exchange for an access token; requests with it that name no project are about the one
    named here. Anyone may ask: the access token is the right.

    :raises InvalidCredentials: the token is unknown, expired or revoked. :raises ProjectNotFound: its owner is not a
        member of the project.
    """
    grant = await auth.authenticate_token(ctx, token)
    limit = None
    if project_id:
        owner = Actor(
            ActorKind.USER,
            user_id=grant.user_id,
            token_id=grant.token_id,
            scopes=grant.scopes,
            project_id=grant.project_id,
            address=ctx.actor.address,
        )
        limit = (await membership(ctx.acting_as(owner), project_id))[0].id
    return await auth.sign_sdk_token(ctx, grant, limit)
