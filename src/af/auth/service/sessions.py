"""Browser sessions and the one-time links that open them."""

from __future__ import annotations

import secrets
from datetime import timedelta

from af.auth import rules, store
from af.auth.errors import LinkUsed, TokenPowerExceeded, UserNotFound
from af.auth.models import CreatedSession, Session, SessionKind, User
from af.auth.service import memory
from af.auth.service.users import require_signed_in
from af.core import ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import SessionId, UserId

_SECRET_BYTES = 32
_SECRET_LENGTH = 43  # of 32 bytes in base64url without padding


async def create_login_link(ctx: Context, user_id: UserId) -> str:
    """The secret of a link that signs ``user_id`` in once, within AF_LOGIN_LINK_SECONDS; `login_url` makes the link.

    For the platform itself, and for a user's own credential if it is not limited: a session can do everything.

    :raises TokenPowerExceeded: the caller's token is limited. :raises Forbidden: the link would be somebody else's.
    """
    if ctx.actor.kind is not ActorKind.SYSTEM:
        await require_signed_in(ctx)
        if ctx.actor.user_id != user_id:
            raise Forbidden("A login link can only be made for yourself.")
        if ctx.actor.scopes is not None or ctx.actor.project_id is not None:
            raise TokenPowerExceeded("A limited token cannot make a login link: a session can do everything.")
    text = secrets.token_urlsafe(_SECRET_BYTES)
    expires_at = ctx.now + timedelta(seconds=ctx.settings.login_link_seconds)
    async with ctx.transaction() as tx:
        if not await store.users.users_by_id(tx, [user_id]):
            raise UserNotFound("There is no such user.")
        await store.sessions.insert_login_link(tx, rules.digest(text), user_id, expires_at, ctx.now)
    return text


def login_url(ctx: Context, text: str) -> str:
    """The address that a person opens; always on AF_DOMAIN, whatever host a request came to."""
    return f"{ctx.platform.url(ctx.settings.domain)}/auth/link?token={text}"


async def redeem_login_link(ctx: Context, text: str) -> CreatedSession:
    """A session for the link's user; the link is used up, even when two ask at the same time.

    Anyone may ask: the secret is the right. :raises LinkUsed: unknown, used or expired.
    """
    if len(text) != _SECRET_LENGTH:
        raise LinkUsed("This login link does not work: it is not complete.")
    async with ctx.transaction() as tx:
        user_id = await store.sessions.take_login_link(tx, rules.digest(text), ctx.now)
        created = None
        if user_id is not None:
            user = (await store.users.users_by_id(tx, [user_id]))[user_id]
            created = await open_session(ctx, user, kind=SessionKind.BROWSER, method="link")
    if created is None:  # outside the transaction, so that an expired link stays deleted
        raise LinkUsed(
            "This login link was used already, or its time is over.", hint="A start of the platform prints a new one."
        )
    return created


async def open_session(ctx: Context, user: User, *, kind: SessionKind, method: str) -> CreatedSession:
    """A new session of a person who has proven who they are; in the caller's transaction. Always a new secret."""
    text = secrets.token_urlsafe(_SECRET_BYTES)
    session = Session(
        id=SessionId(ids.new(ids.SESSION, ctx.now)),
        user_id=user.id,
        expires_at=ctx.now + timedelta(seconds=ctx.settings.session_seconds),
        created_at=ctx.now,
        kind=kind,
        method=method,
        authenticated_at=ctx.now,
        user_agent=ctx.actor.user_agent,
        address=ctx.actor.address,
        last_seen_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        await store.sessions.insert_session(tx, session, rules.digest(text))
    return CreatedSession(session, text)


async def end_session(ctx: Context, text: str) -> None:
    """Sign this browser out, at once here and within seconds in other processes. Twice is harmless."""
    digest = rules.digest(text)
    async with ctx.transaction() as tx:
        await store.sessions.delete_session(tx, digest)
    memory.of(ctx).forget(digest)
