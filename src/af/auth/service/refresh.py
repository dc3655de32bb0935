"""Refresh tokens: each works once and gives its successor (RFC 9700 §4.14.2).

All tokens of a session are one family. Who presents a used one is either a client whose answer was lost or whose tabs
raced (within `rules.REPLAY_WINDOW` all get the one answer that was given), or a thief or their victim: then nobody can
tell which, and the session ends. The answer waits sealed in the row of the token that it was given for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from af.auth import rules, store
from af.auth.errors import InvalidRefreshToken
from af.auth.models import Session, Tokens
from af.auth.service import memory, notices, sessions
from af.core import audit, seal
from af.core.context import Context


async def refresh(ctx: Context, text: str) -> Tokens:
    """The next pair of tokens. Anyone may ask: the secret is the right.

    The token is used up, its successor made and the answer kept in one transaction: a crash leaves all or nothing, and
    of many who ask at the same time one makes the successor and all get it.

    :raises InvalidRefreshToken: unknown, over, of an ended session, or used before (which ends the session).
    """
    if not rules.is_refresh_text(text):
        raise _refused()
    digest = rules.digest(text)
    async with ctx.transaction() as tx:
        row = await store.refresh.by_hash(tx, digest)
        session = None if row is None else await store.sessions.lock_session(tx, row.session_id)
        if row is None or session is None or session.expires_at <= ctx.now:
            answer = None
        elif await store.refresh.take(tx, digest, ctx.now):
            answer = await _rotate(ctx, session, digest)
        else:
            answer = await _again(ctx, session, digest)
    if answer is None:  # outside the transaction, so that an ended session stays ended
        raise _refused()
    return answer


async def end_by_refresh(ctx: Context, text: str) -> bool:
    """Sign out the session of a refresh token, used or not. False when there is none. Anyone may ask, as `refresh`."""
    if not rules.is_refresh_text(text):
        return False
    async with ctx.transaction() as tx:
        row = await store.refresh.by_hash(tx, rules.digest(text))
        session = None if row is None else await store.sessions.lock_session(tx, row.session_id)
        if session is None:
            return False
        return await sessions.end(_as_owner(ctx, session), session.id, session.user_id, why="logout")


async def _rotate(ctx: Context, session: Session, digest: str) -> Tokens:
    life = timedelta(seconds=ctx.settings.session_seconds)
    session = replace(session, expires_at=rules.session_end(session.kind, session.created_at, ctx.now, life))
    async with ctx.transaction() as tx:
        tokens = await sessions.issue_tokens(ctx, session)
        sealed = ctx.get(seal.Sealer).seal(msgspec.json.encode(tokens), purpose=_purpose(digest))
        await store.refresh.set_successor(tx, digest, sealed)
        await store.refresh.forget_successors(tx, session.id, ctx.now - rules.REPLAY_WINDOW)
        await store.sessions.prolong(tx, session.id, session.expires_at)
        seen = {"user_agent": ctx.actor.user_agent, "address": ctx.actor.address}
        await store.sessions.note_seen(tx, session.id, ctx.now, **seen)
        await audit.record(_as_owner(ctx, session), f"user:{session.user_id}", "token.refresh", session.id)
    return tokens


async def _again(ctx: Context, session: Session, digest: str) -> Tokens | None:
    """A token that was used or is over: the same answer soon after its use, the end of its family later."""
    async with ctx.transaction() as tx:
        row = await store.refresh.by_hash(tx, digest)
        if row is None or row.used_at is None:
            return None  # over, but never used: no theft
        age = ctx.now - row.used_at
        if age < rules.REPLAY_WINDOW and row.successor is not None:
            opened = ctx.get(seal.Sealer).open(row.successor, purpose=_purpose(digest))
            tokens = msgspec.json.decode(opened, type=Tokens)
            return replace(tokens, expires_in_seconds=max(1, tokens.expires_in_seconds - int(age.total_seconds())))
        chain = f"user:{session.user_id}"
        after = {"usedAt": row.used_at.isoformat(), "device": session.user_agent, "from": session.address}
        await audit.record(_as_owner(ctx, session), chain, "token.refresh.reuse", session.id, after=after)
        await sessions.end(_as_owner(ctx, session), session.id, session.user_id, why="reuse")
        await _tell(ctx, session)
    memory.of(ctx).forget_session(session.id)
    ctx.log.warning("a refresh token came twice: its session was ended", session_id=session.id)
    return None


async def _tell(ctx: Context, session: Session) -> None:
    """A mail to the session's user. That nobody can be told must not keep a stolen session alive."""
    async with ctx.transaction() as tx:
        user = (await store.users.users_by_id(tx, [session.user_id]))[session.user_id]
        await notices.tell(
            ctx,
            user,
            "session_reuse",
            page="/settings/sessions",
            when=notices.when(ctx),
            place=notices.place(ctx),
        )


def _as_owner(ctx: Context, session: Session) -> Context:
    """For the audit log: whoever holds the token acts for the session's user."""
    return ctx.acting_as(replace(ctx.actor, user_id=session.user_id, session_id=session.id))


def _purpose(digest: str) -> str:
    return f"auth.refresh:{digest}"


def _refused() -> InvalidRefreshToken:
    return InvalidRefreshToken("The refresh token does not work any more.", hint="Sign in again.")
