"""Short-lived tokens, signed with ES256 (RFC 7518 §3.4) and checked without a look-up of the key.

Two kinds: what stands for a session (``access``) and what stands for an access token in SDKs (``sdk-access``). Which
key signs and which are accepted is in `keys`. A token says who it was given to; what it is worth now is decided by the
row that it names (`authenticate`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError

from af.auth import unverified
from af.auth.models import Session
from af.auth.service import keys
from af.auth.service.memory import Grant
from af.core.context import Context
from af.core.ids import ProjectId, SessionId, TokenId, UserId

AUDIENCE = "alternatefutures-app"
SDK_TOKEN_LIFE = timedelta(minutes=8)
SDK_TOKEN_TYPE = "sdk-access"
ACCESS_TOKEN_TYPE = "access"
CLOCK_SKEW = timedelta(seconds=60)
"""How far ahead of ours the clock of the instance that signed may be."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: it stands for ``session_id`` or for ``token_id``, exactly one of them."""

    user_id: UserId
    session_id: SessionId | None
    token_id: TokenId | None
    project_id: ProjectId | None
    expires_at: datetime


def issuer(ctx: Context) -> str:
    """Who signs: the platform's main address. Without a port unless AF_PUBLIC_PORT gives one, since instances of one
    platform may listen on different ports and accept each other's tokens."""
    settings = ctx.settings
    return settings.url(settings.domain, 443 if settings.scheme == "https" else 80)


async def sign_sdk_token(ctx: Context, grant: Grant, project_id: ProjectId | None) -> str:
    """A JWT that stands for an access token for eight minutes; also accepted by the upload routes."""
    assert grant.token_id is not None, "only an access token can be exchanged"
    claims: dict[str, Any] = {"tokenId": grant.token_id}
    if project_id is not None:
        claims["projectId"] = project_id
    return await _sign(ctx, grant.user_id, SDK_TOKEN_TYPE, SDK_TOKEN_LIFE, claims)


async def sign_access_token(ctx: Context, session: Session, email: str | None) -> str:
    """A JWT that stands for a session for AF_ACCESS_TOKEN_SECONDS, as in the original, which signed with HS256."""
    claims: dict[str, Any] = {"sessionId": session.id, "jti": secrets.token_urlsafe(12)}
    if email is not None:
        claims["email"] = email
    life = timedelta(seconds=ctx.settings.access_token_seconds)
    return await _sign(ctx, session.user_id, ACCESS_TOKEN_TYPE, life, claims)


async def _sign(ctx: Context, user_id: UserId, kind: str, life: timedelta, claims: dict[str, Any]) -> str:
    key = await keys.signing_key(ctx)
    issued = int(ctx.now.timestamp())
    whole: dict[str, Any] = {
        "iss": issuer(ctx),
        "aud": AUDIENCE,
        "sub": user_id,
        "userId": user_id,
        **claims,
        "type": kind,
        "iat": issued,
        "exp": issued + int(life.total_seconds()),
    }
    header = {"alg": keys.ALGORITHM, "typ": "JWT", "kid": key.kid}
    return jwt.encode(header, whole, key, algorithms=[keys.ALGORITHM])


async def verify(ctx: Context, text: str) -> Claims | None:
    """The claims of a token that we signed and that has not ended; `None` for any other text.

    The key is ours, chosen by ``kid``, never one that the header brings or points to.
    """
    try:
        header = unverified.part_of(text, unverified.HEADER, _Header)
    except ValueError:
        return None
    if header.alg != keys.ALGORITHM:
        return None
    key = await keys.accepted_key(ctx, header.kid)
    if key is None:
        return None
    try:
        claims = msgspec.convert(jwt.decode(text, key, algorithms=[keys.ALGORITHM]).claims, _Claims)
    except (JoseError, msgspec.ValidationError, ValueError):
        return None
    return _checked(claims, issuer(ctx), ctx.now)


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """All that our headers have. What else there may be (``crit``, ``jwk``, ``jku``, ``x5u``) is not ours."""

    alg: str
    kid: str
    typ: str = "JWT"


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    sub: str
    type: str
    iat: int
    exp: int
    nbf: int = 0
    sessionId: str = ""  # noqa: N815 - the claim's name
    tokenId: str = ""  # noqa: N815
    projectId: str = ""  # noqa: N815


def _checked(claims: _Claims, issuer: str, now: datetime) -> Claims | None:
    if (claims.iss, claims.aud) != (issuer, AUDIENCE):
        return None
    seconds = now.timestamp()
    if claims.exp <= seconds or max(claims.iat, claims.nbf) > seconds + CLOCK_SKEW.total_seconds():
        return None
    expected = {ACCESS_TOKEN_TYPE: bool(claims.sessionId), SDK_TOKEN_TYPE: bool(claims.tokenId)}
    if not expected.get(claims.type):
        return None
    is_session = claims.type == ACCESS_TOKEN_TYPE
    return Claims(
        user_id=UserId(claims.sub),
        session_id=SessionId(claims.sessionId) if is_session else None,
        token_id=None if is_session else TokenId(claims.tokenId),
        project_id=ProjectId(claims.projectId) if claims.projectId else None,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
    )
