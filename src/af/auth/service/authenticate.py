"""Who asks? From an access token, a signed short-lived token or a session cookie to an `Actor`.

An ``Authorization`` header counts before a cookie. A bad header is refused; a stale cookie is nobody, or its owner
could not even open the page to sign in. Cookies count on the platform's own host names only, never on an IP address
(the path gateway serves user content there) and never on user hosts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from starlette.requests import HTTPConnection

from af.auth import rules, store
from af.auth.addresses import COOKIE, is_own_host, own_origin
from af.auth.errors import CrossOrigin, InvalidCredentials
from af.auth.models import AccessToken, Session, SessionKind, User
from af.auth.service import memory, signing
from af.auth.service.memory import Grant
from af.core.context import Actor, ActorKind, Context
from af.core.db import DatabaseUnavailable

USED_STEP = timedelta(minutes=1)
CREDENTIAL_LENGTH_MAX = 4096
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


async def authenticate(ctx: Context, connection: HTTPConnection) -> Actor:
    """The actor of a request; anonymous without credentials. ``ctx.actor`` carries the network address.

    :raises InvalidCredentials: unknown, expired or revoked. :raises CrossOrigin: a change with a cookie from elsewhere.
    """
    header = connection.headers.get("authorization")
    if header is not None:
        grant = await _grant_of_text(ctx, _credential(header))
        if grant is None:
            raise InvalidCredentials(
                "The token is unknown, expired or revoked.", hint="Run `af login`, or make one: `af tokens create`."
            )
        return _actor(ctx, grant)
    cookie = connection.cookies.get(COOKIE)
    host = connection.headers.get("host", "")
    if not cookie or len(cookie) > CREDENTIAL_LENGTH_MAX or not is_own_host(ctx.settings, host):
        return ctx.actor
    grant = await _grant_of_cookie(ctx, cookie)
    if grant is None:
        return ctx.actor
    is_change = connection.scope.get("method") not in _SAFE_METHODS
    if is_change and connection.headers.get("origin") != own_origin(ctx.settings, host):
        raise CrossOrigin("A change with a browser session must come from the platform's own pages.")
    return _actor(ctx, grant)


async def authenticate_token(ctx: Context, text: str) -> Grant:
    """What an access token (not a short-lived one) allows. :raises InvalidCredentials: unknown, expired or revoked."""
    grant = await _grant_of_text(ctx, text) if rules.is_token_text(text) else None
    if grant is None:
        raise InvalidCredentials("The access token is unknown, expired or revoked.")
    return grant


async def user_of_grant(ctx: Context, grant: Grant) -> User:
    """Whose credential it is. :raises InvalidCredentials: they do not exist any more."""
    async with ctx.looking_up() as connection:
        user = (await store.users.users_by_id(connection, [grant.user_id])).get(grant.user_id)
    if user is None:
        raise InvalidCredentials("The access token is unknown, expired or revoked.")
    return user


def _credential(header: str) -> str:
    """The token in ``Authorization: Bearer <token>``; a bare token is accepted, as in the original."""
    scheme, _, rest = header.strip().partition(" ")
    if not rest:
        return scheme
    if scheme.lower() != "bearer":
        raise InvalidCredentials("The Authorization header must be `Bearer <token>`.")
    return rest.strip()


def _actor(ctx: Context, grant: Grant) -> Actor:
    return replace(
        ctx.actor,
        kind=ActorKind.USER,
        user_id=grant.user_id,
        token_id=grant.token_id,
        scopes=grant.scopes,
        project_id=grant.project_id,
        chosen_project_id=grant.chosen_project_id,
        session_id=grant.session_id,
        authenticated_at=grant.authenticated_at,
        leaving=grant.leaving,
    )


async def _grant_of_text(ctx: Context, text: str) -> Grant | None:
    if not text or len(text) > CREDENTIAL_LENGTH_MAX:
        return None
    digest = rules.digest(text)
    known = memory.of(ctx).grant(digest, ctx.now)
    if known is None:
        is_token = rules.is_token_text(text)
        known = await (_load_token(ctx, digest) if is_token else _load_signed(ctx, text))
        if known is not None:
            memory.of(ctx).remember(digest, known)
    return None if known is None or known.is_over(ctx.now) else known


async def _load_token(ctx: Context, digest: str) -> Grant | None:
    async with ctx.looking_up() as connection:
        token = await store.tokens.live_token_by_hash(connection, digest)
    if token is None:
        return None
    await _note_use(ctx, token)
    return Grant(token.user_id, token.id, token.scopes, token.project_id, token.expires_at, ctx.now)


async def _load_signed(ctx: Context, text: str) -> Grant | None:
    """A signed token is worth what the row behind it is worth now."""
    claims = await signing.verify(ctx, text)
    if claims is None:
        return None
    if claims.session_id is not None:
        async with ctx.looking_up() as connection:
            session = await store.sessions.session_by_id(connection, claims.session_id)
        if session is None or session.kind is not SessionKind.TOKENS or session.user_id != claims.user_id:
            return None
        grant = await _session_grant(ctx, session)
        return replace(grant, expires_at=min(session.expires_at, claims.expires_at))
    assert claims.token_id is not None
    async with ctx.looking_up() as connection:
        token = await store.tokens.live_token_by_id(connection, claims.token_id)
    if token is None or (token.expires_at and token.expires_at <= ctx.now):
        return None
    # Its project is chosen, not a limit, as in the original: SDKs list and make projects with it.
    limits = (token.scopes, token.project_id, claims.expires_at)
    return Grant(token.user_id, token.id, *limits, ctx.now, claims.project_id)


async def _grant_of_cookie(ctx: Context, cookie: str) -> Grant | None:
    digest = rules.digest(cookie)
    remembered = f"cookie:{digest}"  # apart from tokens: neither counts in the other's place
    known = memory.of(ctx).grant(remembered, ctx.now)
    if known is None:
        async with ctx.looking_up() as connection:
            session = await store.sessions.session_by_hash(connection, digest)
        if session is None or session.kind is not SessionKind.BROWSER:
            return None
        known = await _session_grant(ctx, session)
        memory.of(ctx).remember(remembered, known)
    return None if known.is_over(ctx.now) else known


async def _session_grant(ctx: Context, session: Session) -> Grant:
    """Everything that its person may do. Who is leaving can still sign in, to keep the account (`AccountLeaving`)."""
    await _note_seen(ctx, session)
    return Grant(
        user_id=session.user_id,
        token_id=None,
        scopes=None,
        project_id=None,
        expires_at=session.expires_at,
        loaded_at=ctx.now,
        session_id=session.id,
        authenticated_at=session.authenticated_at,
        leaving=session.leaving,
    )


async def _note_use(ctx: Context, token: AccessToken) -> None:
    """``last_used_at``, at most once a minute. A database that cannot be written to must not lock anybody out."""
    if token.last_used_at is not None and ctx.now < token.last_used_at + USED_STEP:
        return
    try:
        async with ctx.transaction() as tx:
            await store.tokens.touch_token(tx, token.id, ctx.now)
    except DatabaseUnavailable as error:
        ctx.log.warning("the use of a token was not noted", detail=error.detail)


async def _note_seen(ctx: Context, session: Session) -> None:
    """Where and when a session was last seen, as `_note_use`."""
    if session.expires_at <= ctx.now:
        return
    if session.last_seen_at is not None and ctx.now < session.last_seen_at + USED_STEP:
        return
    seen = {"user_agent": ctx.actor.user_agent, "address": ctx.actor.address}
    try:
        async with ctx.transaction() as tx:
            await store.sessions.note_seen(tx, session.id, ctx.now, **seen)
    except DatabaseUnavailable as error:
        ctx.log.warning("the use of a session was not noted", detail=error.detail)
