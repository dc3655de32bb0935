"""One's own account: profile, ways in, primary e-mail address, export, deletion with time to change one's mind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from af.auth import rules, store
from af.auth.errors import DeletionNotConfirmed, InvalidCredentials, InvalidProfile, LastMethod, MethodNotFound
from af.auth.models import LoginMethod, User
from af.auth.service import memory, notices, second_factor, sessions
from af.auth.service.accounts import EMAIL
from af.auth.service.users import person, require_person, require_recent
from af.core import audit, ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import UserId

_AUDIT_EXPORTED_MAX = 10_000
_ERASED_BATCH = 100


async def update_profile(ctx: Context, *, display_name: str | None = None, avatar_url: str | None = None) -> User:
    """Change what others see; `None` leaves a field, ``""`` empties it. :raises InvalidProfile: not allowed."""
    await require_person(ctx)
    before = await person(ctx)
    after = before
    if display_name is not None:
        after = replace(after, display_name=_checked_name(display_name))
    if avatar_url is not None:
        after = replace(after, avatar_url=_checked_avatar(avatar_url))
    async with ctx.transaction() as tx:
        await store.users.set_profile(tx, after.id, after.display_name, after.avatar_url, ctx.now)
        await audit.record(ctx, f"user:{after.id}", "account.update", after.id, _shown(before), _shown(after))
    return replace(after, updated_at=ctx.now)


async def methods(ctx: Context) -> list[LoginMethod]:
    """The caller's ways in, oldest first."""
    user_id = await require_person(ctx)
    async with ctx.reading() as connection:
        return await store.methods.of_user(connection, user_id)


async def remove_method(ctx: Context, method_id: str) -> LoginMethod:
    """One way in less. The e-mail address of the account goes with its method; another e-mail method takes its place.

    :raises MethodNotFound: the caller has no such one. :raises LastMethod: nobody could reach the account again.
    """
    user_id = await require_recent(ctx)
    async with ctx.transaction() as tx:
        await store.users.lock(tx, user_id)  # two at the same time must count each other
        user = await person(ctx)
        everything = await store.methods.of_user(tx, user_id)
        gone = _own(everything, method_id)
        rest = [method for method in everything if method.id != gone.id]
        if not rest:
            raise LastMethod("This is your last way to sign in.", hint="Add another one first.")
        await store.methods.delete(tx, gone.id)
        if gone.primary:
            await store.methods.set_primary(tx, user_id, rest[0].id)
        if gone.method == EMAIL and gone.subject == user.email:
            await store.users.set_email(tx, user_id, _next_email(rest), ctx.now)
        before = {"method": gone.method, "label": gone.label}
        await audit.record(ctx, f"user:{user_id}", "method.remove", gone.id, before)
        await notices.tell_of_method(ctx, user, "method_removed", gone)
    return gone


async def set_primary_method(ctx: Context, method_id: str) -> LoginMethod:
    """The way in that stands for the account. An e-mail method's address becomes the account's, and the one before is
    told. :raises MethodNotFound: the caller has no such one."""
    user_id = await require_recent(ctx)
    async with ctx.transaction() as tx:
        await store.users.lock(tx, user_id)
        user = await person(ctx)
        chosen = _own(await store.methods.of_user(tx, user_id), method_id)
        await store.methods.set_primary(tx, user_id, chosen.id)
        if chosen.method == EMAIL and chosen.subject != user.email:
            await store.users.set_email(tx, user_id, chosen.subject, ctx.now)
            await notices.tell(
                ctx,
                user,
                "email_changed",
                page="/settings/methods",
                new_email=chosen.subject,
                when=notices.when(ctx),
                place=notices.place(ctx),
            )
        after = {"method": chosen.method, "label": chosen.label}
        await audit.record(ctx, f"user:{user_id}", "method.set_primary", chosen.id, after=after)
    return replace(chosen, primary=True)


async def export(ctx: Context) -> dict[str, Any]:
    """Everything that identity knows about the caller, as one JSON document without secrets."""
    user_id = await require_person(ctx)
    user = await person(ctx)
    async with ctx.reading() as connection:
        ways = await store.methods.of_user(connection, user_id)
        made = await store.tokens.tokens_of(connection, user_id, ctx.now, after=None, limit=rules.TOKENS_ACTIVE_MAX)
    return {
        "user": user,
        "methods": [replace(each, data={}) for each in ways],
        "secondFactor": await second_factor.status(ctx),
        "sessions": await sessions.list_sessions(ctx),
        "accessTokens": made,
        "audit": await audit.entries(ctx, f"user:{user_id}", limit=_AUDIT_EXPORTED_MAX),
    }


# --- deletion -------------------------------------------------------------------------------------------------------


async def schedule_deletion(ctx: Context, confirm: str) -> User:
    """The account ends in AF_ACCOUNT_GRACE_DAYS; until then a sign-in and `restore` undo it. All other sessions end;
    meanwhile access tokens do nothing, and sessions nothing but to restore it (`AccountLeaving`). Whoever calls has
    made sure that nothing stays without an owner (`af.projects`).

    :raises DeletionNotConfirmed: ``confirm`` is not the user name.
    """
    user_id = await require_recent(ctx)
    user = await person(ctx)
    if confirm != user.username:
        raise DeletionNotConfirmed("To delete the account, send its user name as confirm.", field="confirm")
    days = ctx.settings.account_grace_days
    ends = ctx.now + timedelta(days=days)
    async with ctx.transaction() as tx:
        await store.users.set_deletes_at(tx, user_id, ends, ctx.now)
        await sessions.end_all(ctx, user_id, keep=ctx.actor.session_id)
        await audit.record(ctx, f"user:{user_id}", "account.delete", user_id, after={"deletesAt": ends.isoformat()})
        await notices.tell(
            ctx, user, "account_deletion", page="/settings/account", date=f"{ends:%Y-%m-%d}", days=str(days)
        )
    memory.of(ctx).forget_user(user_id)
    return replace(user, deletes_at=ends)


async def restore(ctx: Context) -> User:
    """Keep the account after all. Harmless when it was to stay. :raises InvalidCredentials: too late, it is erased."""
    user_id = await require_person(ctx, may_be_leaving=True)
    user = await person(ctx)
    async with ctx.transaction() as tx:
        if not await store.users.set_deletes_at(tx, user_id, None, ctx.now):
            raise InvalidCredentials("The account was erased.")
        await audit.record(ctx, f"user:{user_id}", "account.restore", user_id)
    memory.of(ctx).forget_user(user_id)
    return replace(user, deletes_at=None)


async def due_for_erasure(ctx: Context, after: UserId | None) -> list[UserId]:
    """Accounts whose time is over, by id (at most 100); ``after`` is the last of the page before."""
    _require_platform(ctx)
    async with ctx.reading() as connection:
        return await store.users.due_for_deletion(connection, ctx.now, after=after, limit=_ERASED_BATCH)


async def erase(ctx: Context, user_id: UserId) -> bool:
    """Erase an account whose time is over; false when it was restored meanwhile. Its row stays without anything
    personal: the audit log and what others own point at it."""
    _require_platform(ctx)
    # By chance, not by the account's own id: others see that one, and could take the name to keep it from being erased.
    username = f"deleted-{ids.label(ids.new(ids.USER, ctx.now))}"
    async with ctx.transaction() as tx:
        if not await store.users.anonymise(tx, user_id, username, ctx.now):
            return False
        await store.erase(tx, user_id)
        await audit.record(ctx, f"user:{user_id}", "account.erase", user_id)
    return True


def _require_platform(ctx: Context) -> None:
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself erases accounts.")


def _own(everything: list[LoginMethod], method_id: str) -> LoginMethod:
    found = next((method for method in everything if method.id == method_id), None)
    if found is None:
        raise MethodNotFound(f"You have no way to sign in {method_id[:60]!r}.")
    return found


def _next_email(rest: list[LoginMethod]) -> str | None:
    return next((method.subject for method in rest if method.method == EMAIL), None)


def _checked_name(name: str) -> str | None:
    name = name.strip()
    if len(name) > 100 or not name.isprintable():
        raise InvalidProfile("A display name has 1 to 100 characters on one line.", field="displayName")
    return name or None


def _checked_avatar(address: str) -> str | None:
    address = address.strip()
    if address and not rules.is_picture(address):
        raise InvalidProfile("A picture is an https:// or ipfs:// address.", field="avatarUrl")
    return address or None


def _shown(user: User) -> dict[str, str | None]:
    return {"displayName": user.display_name, "avatarUrl": user.avatar_url}
