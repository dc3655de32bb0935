"""People: who they are, and whether they run the platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from af.auth import rules, store
from af.auth.errors import (
    AccountLeaving,
    InvalidCredentials,
    OperatorOnly,
    PersonRequired,
    ReauthenticationRequired,
    UserNotFound,
)
from af.auth.models import User, UserKind
from af.core import ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden, Unauthenticated
from af.core.ids import UserId

USERS_BATCH_MAX = 1_000
RECENT = timedelta(minutes=15)


async def require_signed_in(ctx: Context) -> None:
    """What every service asks first. :raises Unauthenticated: the caller is nobody. :raises AccountLeaving: their
    account is to be deleted."""
    _require_somebody(ctx)
    if ctx.actor.leaving:
        raise AccountLeaving(
            "Your account is to be deleted.", hint="Keep it: POST /account/restore, or the page /settings/account."
        )


def _require_somebody(ctx: Context) -> None:
    if ctx.actor.kind is ActorKind.ANONYMOUS:
        raise Unauthenticated("Sign in first.", hint="Run `af login`, or set AF_TOKEN.")


async def require_scope(ctx: Context, action: str) -> UserId:
    """The caller's user id, if the caller is a user whose credential covers ``action`` (``tokens:write``)."""
    await require_signed_in(ctx)
    if ctx.actor.user_id is None:
        raise Forbidden("Only a user has tokens and sessions.")
    rules.require_scope(ctx.actor.scopes, action)
    return ctx.actor.user_id


async def require_person(ctx: Context, *, may_be_leaving: bool = False) -> UserId:
    """The caller's user id, if it is a person's session: access tokens change no account, whatever their scopes.

    :raises PersonRequired: an access token, or the platform itself. :raises AccountLeaving: as `require_signed_in`,
        unless they ``may_be_leaving``.
    """
    if may_be_leaving:
        _require_somebody(ctx)
    else:
        await require_signed_in(ctx)
    if ctx.actor.session_id is None or ctx.actor.user_id is None:
        raise PersonRequired("This needs a person who is signed in, not an access token.", hint="Run `af login`.")
    return ctx.actor.user_id


async def require_recent(ctx: Context) -> UserId:
    """As `require_person`, and they proved who they are in the last 15 minutes.

    :raises ReauthenticationRequired: the sign-in is older.
    """
    user_id = await require_person(ctx)
    proven = ctx.actor.authenticated_at
    if proven is None or ctx.now > proven + RECENT:
        raise ReauthenticationRequired("Sign in again to change this.", hint="Then repeat the change.")
    return user_id


async def require_operator(ctx: Context) -> None:
    """For what concerns all projects at once: garbage collection, scrubbing, platform statistics.

    :raises OperatorOnly: the caller does not run the platform, or its token is limited.
    """
    if ctx.actor.kind is ActorKind.SYSTEM:
        return
    await require_signed_in(ctx)
    user = await me(ctx)
    if user is None or not user.operator or ctx.actor.scopes is not None or ctx.actor.project_id is not None:
        raise OperatorOnly("Only the operator of the platform may do this, with an unlimited token.")


async def me(ctx: Context) -> User | None:
    """The signed-in user, leaving or not; `None` for nobody.

    :raises InvalidCredentials: the user does not exist any more.
    """
    if ctx.actor.user_id is None:
        return None
    async with ctx.reading() as connection:
        found = (await store.users.users_by_id(connection, [ctx.actor.user_id])).get(ctx.actor.user_id)
    if found is None:
        raise InvalidCredentials("The user of this credential does not exist any more.")
    return found


async def person(ctx: Context) -> User:
    """The person who is signed in; for callers that have just made sure that there is one (`require_person`)."""
    user = await me(ctx)
    assert user is not None, "a person is signed in"
    return user


async def users_by_id(ctx: Context, user_ids: Sequence[UserId]) -> dict[UserId, User]:
    """Users by id. Only ids from what the caller may see (a member, an author) may come here: it is for batch
    loaders of higher domains."""
    await require_signed_in(ctx)
    async with ctx.reading() as connection:
        return await store.users.users_by_id(connection, user_ids[:USERS_BATCH_MAX])


async def user_by_name(ctx: Context, name: str) -> User:
    """A user by exact user name or e-mail address. :raises UserNotFound: nobody has it."""
    await require_signed_in(ctx)
    async with ctx.reading() as connection:
        user = await store.users.user_by_name(connection, name[:320]) if name.isprintable() else None
    if user is None:
        raise UserNotFound(f"There is no user {name[:80]!r}.", field="name")
    return user


async def create_user(
    ctx: Context,
    username: str,
    *,
    email: str | None = None,
    operator: bool = False,
    kind: UserKind = UserKind.PERSON,
    display_name: str | None = None,
) -> User:
    """A new user, made by the platform itself (login methods, bootstrap). A taken user name gets an ending.

    :raises Forbidden: the caller is not the platform.
    """
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself makes users.")
    wanted = rules.username_from(username)
    user_id = UserId(ids.new(ids.USER, ctx.now))
    user = User(user_id, wanted, email, operator, ctx.now, ctx.now, kind, display_name)
    made = await insert_with_free_name(ctx, user)
    if made is None:
        raise InvalidCredentials("The e-mail address belongs to another user.", field="email")
    return made


async def insert_with_free_name(ctx: Context, user: User) -> User | None:
    """The new user, with an ending to the name if somebody has it; `None` when somebody has the e-mail address."""
    async with ctx.transaction() as tx:
        if await store.users.insert_user(tx, user):
            return user
        renamed = replace(user, username=f"{user.username}-{ids.label(user.id)}")
        return renamed if await store.users.insert_user(tx, renamed) else None


async def ensure_operator(ctx: Context, username: str) -> tuple[User, bool]:
    """The first operator, made now if there is none, and whether it was; for the platform itself.

    Two processes that start on one new database get the same: the second one waits for the first one's row.
    """
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself makes its operator.")
    async with ctx.transaction() as tx:
        found = await store.users.first_operator(tx)
        if found is not None:
            return found, False
        user = User(UserId(ids.new(ids.USER, ctx.now)), username, None, True, ctx.now, ctx.now)
        if await store.users.insert_user(tx, user):
            return user, True
        found = await store.users.first_operator(tx)
        if found is not None:
            return found, False
    return await create_user(ctx, username, operator=True), True
