"""Short-lived tokens for SDKs: signed with ES256 (RFC 7518 §3.4), checked without a look-up of the key.

The private keys are sealed in the database, so that every process signs with the same one and accepts all that are not
retired. ``public_jwk`` is ready to be published as a JWKS.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from af.auth import store
from af.auth.service import memory
from af.auth.service.memory import Grant
from af.core import seal
from af.core.context import Context
from af.core.errors import Internal
from af.core.ids import ProjectId, TokenId, UserId

ALGORITHM = "ES256"
SDK_TOKEN_LIFE = timedelta(minutes=8)
SDK_TOKEN_TYPE = "sdk-access"
_PURPOSE = "auth.signing-key"
_RELOAD_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of this process by ``kid``; the private one of ``signing`` only when it was needed."""

    public: dict[str, ECKey]
    signing: ECKey | None
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid short-lived token says."""

    user_id: UserId
    token_id: TokenId
    project_id: ProjectId | None
    expires_at: datetime


async def sign_sdk_token(ctx: Context, grant: Grant, project_id: ProjectId | None) -> str:
    """A JWT that stands for an access token for eight minutes; also accepted by the upload routes."""
    assert grant.token_id is not None, "only an access token can be exchanged"
    key = await _signing_key(ctx)
    issued = int(ctx.now.timestamp())
    claims: dict[str, Any] = {
        "iss": ctx.platform.url(ctx.settings.domain),
        "sub": grant.user_id,
        "userId": grant.user_id,
        "tokenId": grant.token_id,
        "type": SDK_TOKEN_TYPE,
        "iat": issued,
        "exp": issued + int(SDK_TOKEN_LIFE.total_seconds()),
    }
    if project_id is not None:
        claims["projectId"] = project_id
    return jwt.encode({"alg": ALGORITHM, "typ": "JWT", "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


async def verify(ctx: Context, text: str) -> Claims | None:
    """The claims of a token that we signed and that has not ended; `None` for any other text."""
    header = _header(text)
    if header is None:
        return None
    key = (await _keyring(ctx)).public.get(header.kid)
    if key is None:
        key = (await _keyring(ctx, reload=True)).public.get(header.kid)
    if key is None or header.alg != ALGORITHM:
        return None
    try:
        claims = jwt.decode(text, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError):
        return None
    if claims.get("type") != SDK_TOKEN_TYPE or not isinstance(claims.get("exp"), int):
        return None
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if expires_at <= ctx.now:
        return None
    return Claims(UserId(claims["sub"]), TokenId(claims["tokenId"]), claims.get("projectId"), expires_at)


class _Header(msgspec.Struct):
    alg: str
    kid: str


def _header(text: str) -> _Header | None:
    """The unverified header of a compact JWS, to choose the key with."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)), type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, ValueError):
        return None


async def _keyring(ctx: Context, *, reload: bool = False) -> Keyring:
    known = memory.of(ctx).keyring
    if known is not None and not (reload and ctx.now >= known.loaded_at + _RELOAD_AFTER):
        return known
    async with ctx.reading() as connection:
        rows = await store.sessions.signing_key_rows(connection)
    public = {row.kid: ECKey.import_key(row.public_jwk) for row in rows if row.retired_at is None}
    signing = known.signing if known is not None and known.signing is not None else None
    if signing is not None and signing.kid not in public:
        signing = None
    found = Keyring(public, signing, ctx.now)
    memory.of(ctx).keyring = found
    return found


async def _signing_key(ctx: Context) -> ECKey:
    known = await _keyring(ctx)
    if known.signing is not None:
        return known.signing
    sealer = ctx.get(seal.Sealer)
    async with ctx.transaction() as tx:
        rows = [row for row in await store.sessions.signing_key_rows(tx) if row.retired_at is None]
        if rows:
            opened = sealer.open(rows[0].sealed_private_jwk, purpose=_PURPOSE)
            key = ECKey.import_key(cast(dict[str, Any], msgspec.json.decode(opened)))
        else:
            key = _generate()
            await store.sessions.insert_signing_key(
                tx,
                kid=_kid(key),
                algorithm=ALGORITHM,
                public_jwk=dict(key.as_dict(private=False)),
                sealed=sealer.seal(msgspec.json.encode(key.as_dict(private=True)), purpose=_PURPOSE),
                now=ctx.now,
            )
    memory.of(ctx).keyring = Keyring({**known.public, _kid(key): key}, key, ctx.now)
    return key


def _generate() -> ECKey:
    key = ECKey.generate_key("P-256", auto_kid=True)
    return ECKey.import_key({**key.as_dict(private=True), "use": "sig", "alg": ALGORITHM})


def _kid(key: ECKey) -> str:
    if key.kid is None:
        raise Internal("A signing key has no id.")
    return key.kid
