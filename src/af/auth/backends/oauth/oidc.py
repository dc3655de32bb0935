"""Identity tokens: signed JWTs by which an issuer says who somebody is.

OpenID Connect Core 1.0 §3.1.3.7 with the advice of RFC 8725: the algorithms are ours to choose, never the token's, and
all of them are asymmetric. Signatures are joserfc's; what the claims must be is decided here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import warnings
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from af.auth import unverified
from af.auth.backends.oauth import discovery
from af.auth.backends.oauth.discovery import PublicKey
from af.auth.errors import TokenNotTrusted
from af.core.http import Client

CLOCK_SKEW = timedelta(seconds=60)
TOKEN_LENGTH_MAX = 16_384
SUBJECT_LENGTH_MAX = 255  # OpenID Connect Core §2
KEYS_TRIED_MAX = 8
_HASHES = {
    **dict.fromkeys(("RS256", "PS256", "ES256"), hashlib.sha256),
    **dict.fromkeys(("RS384", "PS384", "ES384"), hashlib.sha384),
    **dict.fromkeys(("RS512", "PS512", "ES512", "EdDSA", "Ed25519"), hashlib.sha512),
}
ALGORITHMS = tuple(_HASHES)
_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # unknown headers, but no unknown ``crit``
_REGISTRY.max_header_length = 4096  # some issuers put certificates there
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


async def verify_token(
    client: Client,
    issuer: str,
    token: str,
    *,
    audience: str,
    now: datetime,
    nonce: str | None = None,
    issuer_aliases: Collection[str] = (),
    allow_private: bool = False,
) -> dict[str, Any]:
    """The claims of ``token`` if ``issuer`` signed it for ``audience`` and it holds now.

    ``nonce`` must be in it when one is given. ``sub``, ``iss``, ``aud``, ``exp`` and ``iat`` are there and well-formed;
    other claims are as the issuer wrote them.
    :raises TokenNotTrusted: anything else; the reason is in ``detail``, for the log.
    :raises IssuerFailed: the issuer's keys cannot be fetched.
    """
    header = _header(token)
    kid = header.kid if isinstance(header.kid, str) else None
    found = await discovery.of(client).keys(client, issuer, kid=kid, now=now, allow_private=allow_private)
    keys = [key for key in found if _fits(key, header.alg)][:KEYS_TRIED_MAX]
    claims = _claims(token, keys, header.alg)
    _check(claims, {issuer, *issuer_aliases}, audience, now, nonce)
    return claims


def check_sign_in(token: str, claims: Mapping[str, Any], *, client_id: str, access_token: str) -> None:
    """What an ID token must hold beyond `verify_token`: that we are the party it was made for, and that the access
    token beside it belongs to it. :raises TokenNotTrusted: it does not."""
    party = claims.get("azp")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (party is not None or several) and party != client_id:
        raise _refusal("azp is another party")
    given = claims.get("at_hash")
    if given is None or not access_token:
        return
    digest = _HASHES[_header(token).alg](access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(given, str) or not hmac.compare_digest(expected, given.encode()):
        raise _refusal("at_hash does not fit the access token")


def with_userinfo(claims: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The claims with what the userinfo endpoint adds. An address and whether it was verified stay together: one from
    here and the other from there would vouch for something that nobody vouched for."""
    added = {name: more[name] for name in ("name", "preferred_username", "picture") if name in more}
    if "email" not in claims:
        kept = {name: value for name, value in claims.items() if name != "email_verified"}
        return added | kept | {name: more[name] for name in ("email", "email_verified") if name in more}
    return added | dict(claims)


class _Header(msgspec.Struct):
    alg: str
    kid: Any = None


def _header(token: str) -> _Header:
    """The header, not verified yet: it only chooses among the issuer's keys and our algorithms."""
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii() or token.count(".") != 2:
        raise _refusal("not a compact JWS")
    try:
        found = unverified.part_of(token, unverified.HEADER, _Header)
    except ValueError as error:
        raise _refusal(f"the header cannot be read: {error}") from error
    if found.alg not in _HASHES:
        raise _refusal(f"algorithm {found.alg[:20]!r} is not accepted")
    return found


def _fits(key: PublicKey, algorithm: str) -> bool:
    """Whether a key may check signatures of this algorithm: its kind and, if it says one, its own algorithm."""
    if key.alg is not None and key.alg != algorithm and {key.alg, algorithm} != {"EdDSA", "Ed25519"}:
        return False
    if algorithm[:2] in ("RS", "PS"):
        return isinstance(key, RSAKey)
    if algorithm in _CURVES:
        return isinstance(key, ECKey) and key.curve_name == _CURVES[algorithm]
    return isinstance(key, OKPKey) and key.curve_name == "Ed25519"


def _claims(token: str, keys: list[PublicKey], algorithm: str) -> dict[str, Any]:
    """The payload, once one of ``keys`` has verified it."""
    if not keys:
        raise _refusal("the issuer has no key for it")
    for key in keys:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 renames EdDSA; issuers do not yet
                payload = jws.deserialize_compact(token, key, algorithms=[algorithm], registry=_REGISTRY).payload
        except (JoseError, ValueError, TypeError):
            continue
        try:
            claims = msgspec.json.decode(payload or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _refusal("the payload is not JSON") from error
        if not isinstance(claims, dict):
            raise _refusal("the payload is not an object")
        return claims
    raise _refusal("the signature is wrong")


def _check(
    claims: Mapping[str, Any], issuers: Collection[str], audience: str, now: datetime, nonce: str | None
) -> None:
    if claims.get("iss") not in issuers:
        raise _refusal("iss is another issuer")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX or not subject.isprintable():
        raise _refusal("sub is missing or malformed")
    audiences = claims.get("aud")
    if not (audiences == audience or (isinstance(audiences, list) and audience in audiences)):
        raise _refusal("aud does not name us")
    moment, skew = now.timestamp(), CLOCK_SKEW.total_seconds()
    if moment >= _seconds(claims, "exp") + skew:
        raise _refusal("exp is over")
    if _seconds(claims, "iat") > moment + skew:
        raise _refusal("iat is in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > moment + skew:
        raise _refusal("nbf is in the future")
    if nonce is not None:
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise _refusal("nonce is not the one that was sent")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _refusal(f"{name} is missing or malformed")
    return value


def _refusal(reason: str) -> TokenNotTrusted:
    return TokenNotTrusted(
        "The provider's answer does not prove who you are.", hint="Begin again.", detail=f"identity token: {reason}"
    )
