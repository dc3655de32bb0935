"""Sessions: how they open, who sees them, how they end; and the one-time links that open one in a browser.

A session is a row. A cookie, an access token and a refresh token only stand for it: without the row they are worth
nothing, in this process at once and in others within `memory.FRESH_FOR`.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from af.auth import rules, store
from af.auth.errors import LinkUsed, SessionNotFound, TokenPowerExceeded, UserNotFound
from af.auth.models import CreatedSession, Session, SessionKind, Tokens, User, UserKind
from af.auth.service import memory, signing
from af.auth.service.users import require_person, require_signed_in
from af.core import audit, ids
from af.core.context import ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import SessionId, UserId

SESSIONS_SHOWN_MAX = 200
_SECRET_BYTES = 32
_SECRET_LENGTH = 43  # of 32 bytes in base64url without padding
_WEAK = "w"
"""Before the secret of a link that a credential made; the hash covers it, so nobody can take it off."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
USER_AGENT_MAX = 300


async def open_session(
    ctx: Context, user: User, *, kind: SessionKind, method: str, authenticated_at: datetime | None = None
) -> CreatedSession:
    """A new session of a person who has just proven who they are by ``method``; joins the caller's transaction.

    Its id and secret are new, whatever the request came with, so that nobody can be given a session in advance. For
    the services that check proofs; not reachable from an edge by itself. ``authenticated_at`` is when they proved it,
    if that was earlier (a browser that lets in a device) or never. :raises Forbidden: a service account.
    """
    if user.kind is not UserKind.PERSON:
        raise Forbidden("A service account has tokens, but no sessions.")
    text = secrets.token_urlsafe(_SECRET_BYTES)
    life = timedelta(seconds=ctx.settings.session_seconds)
    session = Session(
        id=SessionId(ids.new(ids.SESSION, ctx.now)),
        user_id=user.id,
        expires_at=rules.session_end(kind, ctx.now, ctx.now, life),
        created_at=ctx.now,
        kind=kind,
        method=method,
        authenticated_at=authenticated_at or ctx.now,
        user_agent=ctx.actor.user_agent[:USER_AGENT_MAX],
        address=ctx.actor.address,
        last_seen_at=ctx.now,
    )
    who = ctx.acting_as(replace(ctx.actor, user_id=user.id, session_id=session.id))
    async with ctx.transaction() as tx:
        await store.sessions.insert_session(tx, session, rules.digest(text))
        await store.sessions.note_login(tx, user.id, ctx.now)
        await audit.record(
            who, _chain(user.id), "login.success", session.id, after={"method": method, "kind": kind.value}
        )
    return CreatedSession(session, text if kind is SessionKind.BROWSER else "")


async def issue_tokens(ctx: Context, session: Session) -> Tokens:
    """An access token and the first refresh token of a session of `SessionKind.TOKENS`, or the next pair; joins the
    caller's transaction, which has opened the session or locked it."""
    assert session.kind is SessionKind.TOKENS, "a browser session has its cookie"
    text = rules.refresh_text("".join(secrets.choice(rules.BASE62) for _ in range(rules.TOKEN_RANDOM_LENGTH)))
    async with ctx.transaction() as tx:
        user = (await store.users.users_by_id(tx, [session.user_id]))[session.user_id]
        access = await signing.sign_access_token(ctx, session, user.email)
        await store.refresh.insert(tx, rules.digest(text), session.id, ctx.now, session.expires_at)
    return Tokens(access, text, ctx.settings.access_token_seconds)


async def list_sessions(ctx: Context) -> list[Session]:
    """Where the caller is signed in, newest first (at most 200). :raises PersonRequired: an access token asks."""
    user_id = await require_person(ctx)
    async with ctx.reading() as connection:
        return await store.sessions.sessions_of(connection, user_id, ctx.now, SESSIONS_SHOWN_MAX)


async def revoke_session(ctx: Context, session_id: str) -> None:
    """Sign the caller out somewhere. :raises SessionNotFound: the caller has no such session."""
    user_id = await require_person(ctx)
    if not ids.is_id(ids.SESSION, session_id):
        raise SessionNotFound("You have no such session.")
    if not await end(ctx, SessionId(session_id), user_id, why="revoked"):
        raise SessionNotFound("You have no such session.", hint="It may be over already: GET /account/sessions.")


async def revoke_all_sessions(ctx: Context, *, own_too: bool = False) -> int:
    """Sign the caller out everywhere else, or with ``own_too`` everywhere; how many sessions that were."""
    user_id = await require_person(ctx)
    return await end_all(ctx, user_id, keep=None if own_too else ctx.actor.session_id)


async def end_all(ctx: Context, user_id: UserId, *, keep: SessionId | None = None) -> int:
    """End a user's sessions but ``keep``; for services that have authorised it (a deleted account, a stolen one)."""
    async with ctx.transaction() as tx:
        gone = await store.sessions.delete_sessions_of(tx, user_id, keep=keep)
        for session_id in gone[:SESSIONS_SHOWN_MAX]:
            await audit.record(ctx, _chain(user_id), "session.revoke", session_id, after={"why": "all"})
    for session_id in gone:
        memory.of(ctx).forget_session(session_id)
    return len(gone)


async def end(ctx: Context, session_id: SessionId, user_id: UserId, *, why: str) -> bool:
    """End one session of this user, for services that have authorised it. False when there is none."""
    async with ctx.transaction() as tx:
        ended = await store.sessions.delete_session(tx, session_id, user_id)
        if ended:
            await audit.record(ctx, _chain(user_id), "session.revoke", session_id, after={"why": why})
    memory.of(ctx).forget_session(session_id)
    return ended


async def end_session(ctx: Context, text: str) -> None:
    """Sign this browser out by its cookie. Twice is harmless."""
    async with ctx.reading() as connection:
        session = await store.sessions.session_by_hash(connection, rules.digest(text))
    if session is not None:
        await end(ctx, session.id, session.user_id, why="logout")


async def end_own(ctx: Context) -> None:
    """Sign out: end the session behind the request, if one is."""
    if ctx.actor.session_id is not None and ctx.actor.user_id is not None:
        await end(ctx, ctx.actor.session_id, ctx.actor.user_id, why="logout")


def _chain(user_id: UserId) -> str:
    return f"user:{user_id}"


# --- login links ------


async def create_login_link(ctx: Context, user_id: UserId) -> str:
    """The secret of a link that signs ``user_id`` in once, within AF_LOGIN_LINK_SECONDS; `login_url` makes the link.

    For the platform itself, and for a user's own credential if it is not limited. A link that a credential made shows
    who has the credential, not who somebody is: what needs a recent sign-in (`require_recent`) needs one after it, too.

    :raises TokenPowerExceeded: the caller's token is limited. :raises Forbidden: the link would be somebody else's.
    """
    if ctx.actor.kind is not ActorKind.SYSTEM:
        await require_signed_in(ctx)
        if ctx.actor.user_id != user_id:
            raise Forbidden("A login link can only be made for yourself.")
        if ctx.actor.scopes is not None or ctx.actor.project_id is not None:
            raise TokenPowerExceeded("A limited token cannot make a login link: a session can do everything.")
    weak = "" if ctx.actor.kind is ActorKind.SYSTEM else _WEAK
    text = weak + secrets.token_urlsafe(_SECRET_BYTES)
    expires_at = ctx.now + timedelta(seconds=ctx.settings.login_link_seconds)
    async with ctx.transaction() as tx:
        user = (await store.users.users_by_id(tx, [user_id])).get(user_id)
        if user is None:
            raise UserNotFound("There is no such user.")
        if user.kind is not UserKind.PERSON:
            raise Forbidden("A service account has tokens, but no sessions.")
        await store.sessions.insert_login_link(tx, rules.digest(text), user_id, expires_at, ctx.now)
    return text


def login_url(ctx: Context, text: str) -> str:
    """The address that a person opens; always on AF_DOMAIN, whatever host a request came to."""
    return f"{ctx.platform.url(ctx.settings.domain)}/auth/link?token={text}"


async def redeem_login_link(ctx: Context, text: str) -> CreatedSession:
    """A browser session for the link's user; the link is used up, even when two ask at the same time.

    Anyone may ask: the secret is the right. :raises LinkUsed: unknown, used or expired.
    """
    weak = len(text) == len(_WEAK) + _SECRET_LENGTH and text.startswith(_WEAK)
    if len(text) != _SECRET_LENGTH and not weak:
        raise LinkUsed("This login link does not work: it is not complete.")
    proven_at = _NEVER if weak else None
    created = None
    async with ctx.transaction() as tx:
        user_id = await store.sessions.take_login_link(tx, rules.digest(text), ctx.now)
        if user_id is not None:
            user = (await store.users.users_by_id(tx, [user_id]))[user_id]
            created = await open_session(ctx, user, kind=SessionKind.BROWSER, method="link", authenticated_at=proven_at)
    if created is None:  # outside the transaction, so that an expired link stays deleted
        raise LinkUsed(
            "This login link was used already, or its time is over.", hint="A start of the platform prints a new one."
        )
    return created
