"""Access tokens: make, list, revoke. Everyone acts on their own; what names a project goes through `projects`."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from af.auth import rules, store
from af.auth.errors import DuplicateTokenName, TokenLimitReached, TokenNotFound, TooManyTokens
from af.auth.models import AccessToken, CreatedToken, TokenAllowance
from af.auth.service import memory
from af.auth.service.users import require_scope
from af.core import audit, ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import ProjectId, TokenId, TrustRuleId, UserId

PAGE_MAX = 100
KEEP_OLD_TOKENS = timedelta(days=30)
_DAY = timedelta(days=1)


async def create_token(
    ctx: Context,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    project_id: ProjectId | None = None,
    expires_at: datetime | None = None,
    user_id: UserId | None = None,
    made_by: TrustRuleId | None = None,
    name_is_unique: bool = False,
) -> CreatedToken:
    """A new token for the caller; the platform itself names the user. Whoever passes a ``project_id`` has checked
    that the user is a member (`projects.create_token` does). ``name_is_unique`` refuses a name that is in use.

    :raises TokenPowerExceeded: the token would outdo the one that makes it. :raises TooManyTokens, TokenLimitReached:
        the user has made too many. :raises InvalidTokenName, InvalidScope, InvalidExpiry: a value is not allowed.
    """
    owner = user_id if ctx.actor.kind is ActorKind.SYSTEM else await require_scope(ctx, "tokens:write")
    if owner is None or (user_id is not None and user_id != owner):
        raise Forbidden("A token can only be made for yourself.")
    name = rules.check_token_name(name)
    wanted = rules.check_scopes(scopes)
    rules.check_power(wanted, project_id, own_scopes=ctx.actor.scopes, own_project_id=ctx.actor.project_id)
    random = "".join(secrets.choice(rules.BASE62) for _ in range(rules.TOKEN_RANDOM_LENGTH))
    text = rules.token_text(random)
    async with ctx.transaction() as tx:
        await store.tokens.lock_owner(tx, owner)  # two at the same time must count each other
        if name_is_unique and await store.tokens.has_name(tx, owner, name, ctx.now):
            raise DuplicateTokenName(f"You have a token {name!r}.", field="name")
        maker = await store.tokens.token_by_id(tx, ctx.actor.token_id) if ctx.actor.token_id else None
        ends = rules.check_expiry(expires_at, ctx.now, maker.expires_at if maker else None)
        if ctx.actor.kind is not ActorKind.SYSTEM:
            made = await store.tokens.creation_times(tx, owner, ctx.now - _DAY)
            if len(made) >= rules.TOKENS_PER_DAY_MAX:
                wait = (made[0] + _DAY - ctx.now).total_seconds()
                raise TooManyTokens("50 tokens were made in the last 24 hours.", retry_after_seconds=wait)
            if await store.tokens.count_active(tx, owner, ctx.now) >= rules.TOKENS_ACTIVE_MAX:
                raise TokenLimitReached("You have 500 tokens.", hint="Revoke some: af tokens revoke ID")
        token = AccessToken(
            id=TokenId(ids.new(ids.TOKEN, ctx.now)),
            user_id=owner,
            name=name,
            masked=rules.masked(text),
            scopes=wanted,
            project_id=project_id,
            expires_at=ends,
            last_used_at=None,
            revoked_at=None,
            created_at=ctx.now,
        )
        await store.tokens.insert_token(tx, token, rules.digest(text), made_by=made_by)
        after = {"name": name, "scopes": sorted(wanted or ("all",)), "projectId": project_id}
        await audit.record(ctx, f"user:{owner}", "pat.created", token.id, after=after)
    return CreatedToken(token, text)


async def list_tokens(ctx: Context, *, first: int = PAGE_MAX, after: str | None = None) -> list[AccessToken]:
    """The caller's tokens that are not revoked, newest first; ``after`` is the last id of the page before.

    A token that is limited to a project sees only that project's.
    """
    owner = await require_scope(ctx, "tokens:read")
    ids.check_cursor(ids.TOKEN, after)
    limit = max(1, min(first, PAGE_MAX + 1))
    async with ctx.reading() as connection:
        found = await store.tokens.tokens_of(
            connection, owner, ctx.now, after=TokenId(after) if after else None, limit=limit
        )
    if ctx.actor.project_id is None:
        return found
    return [token for token in found if token.project_id == ctx.actor.project_id]


async def revoke_token(ctx: Context, token_id: str) -> AccessToken:
    """End one of the caller's tokens, at once here and within seconds in other processes.

    :raises TokenNotFound: the caller has no such token, or it was revoked already.
    """
    owner = await require_scope(ctx, "tokens:write")
    async with ctx.transaction() as tx:
        token = await store.tokens.token_by_id(tx, TokenId(token_id)) if ids.is_id(ids.TOKEN, token_id) else None
        hidden = ctx.actor.project_id is not None and token is not None and token.project_id != ctx.actor.project_id
        if token is None or token.user_id != owner or token.revoked_at is not None or hidden:
            raise TokenNotFound(f"You have no token {token_id[:60]!r}.", hint="`af tokens list` shows yours.")
        await store.tokens.revoke_token(tx, token.id, ctx.now)
        await audit.record(ctx, f"user:{owner}", "pat.deleted", token.id, before={"name": token.name})
    memory.of(ctx).forget_tokens([token.id])
    return token


async def revoke_made_by(ctx: Context, rule_id: TrustRuleId) -> None:
    """End the tokens that a trust rule gave; whoever asks has authorised."""
    async with ctx.transaction() as tx:
        ended = await store.tokens.revoke_made_by(tx, rule_id, ctx.now)
    memory.of(ctx).forget_tokens(ended)


async def token_allowance(ctx: Context) -> TokenAllowance:
    """How many more tokens the caller may make."""
    owner = await require_scope(ctx, "tokens:read")
    async with ctx.reading() as connection:
        made = await store.tokens.creation_times(connection, owner, ctx.now - _DAY)
        active = await store.tokens.count_active(connection, owner, ctx.now)
    return TokenAllowance(
        remaining=max(0, rules.TOKENS_PER_DAY_MAX - len(made)),
        limit=rules.TOKENS_PER_DAY_MAX,
        resets_at=(made[0] if made else ctx.now) + _DAY,
        active=active,
        active_max=rules.TOKENS_ACTIVE_MAX,
    )


async def prune(ctx: Context) -> int:
    """Forget credentials that are over; run by the worker's schedule as the platform itself. Returns how many."""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself cleans up credentials.")
    async with ctx.transaction() as tx:
        return await store.prune(tx, ctx.now, KEEP_OLD_TOKENS)
