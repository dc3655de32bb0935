"""Signing in with an account elsewhere: OAuth 2.1's authorization code with PKCE, and OpenID Connect on top of it.

The browser goes to the provider with a random state (which finds the challenge again and, with the flow cookie, ties
the answer to the browser that asked), the digest of a random verifier (so that a stolen code is worthless) and, for
OpenID Connect, a nonce (so that an identity token of another sign-in is). Each provider has a redirect address of its
own, so that one cannot pass off its answer as another's (RFC 9700 §4.4). The provider's tokens are used once, to ask
who it is, and forgotten. Decision 0015.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from af.auth import pkce
from af.auth.backends import Asked, Identity, Opening, Proof
from af.auth.backends.oauth import discovery, oidc, profiles, providers
from af.auth.backends.oauth.providers import Profile, Provider
from af.auth.errors import ConsentRefused, IssuerFailed, WrongProof
from af.core.http import Client
from af.core.settings import Settings

CALLBACK_PATH = "/auth/oauth/callback"
LIFE = timedelta(minutes=10)
CODE_LENGTH_MAX = 4096
ANSWER_BYTES_MAX = 512 << 10
TIMEOUT_SECONDS = 15.0
_VERIFIER_BYTES = 48  # 64 characters; RFC 7636 §4.1 wants 43 to 128
_STATE_BYTES = 32
_BEARER = re.compile(r"[\x21-\x7e]{1,16384}")  # it goes into a header
_OVER = frozenset({"invalid_grant", "invalid_request", "bad_verification_code"})
"""A provider's words for: this code is used, expired, malformed, of somebody else, or its verifier is wrong. (The rest
of the request is ours and always the same.)"""


class OAuth:
    """One provider. Its own addresses, or those of its discovery document, are asked; never one in a claim."""

    life = LIFE
    attempts_max = 1
    bound = True

    def __init__(self, provider: Provider, client: Client) -> None:
        self.provider = provider
        self._client = client

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def title(self) -> str:
        return self.provider.title

    async def begin(self, asked: Asked) -> Opening:
        """Claim: nothing. Shown: ``{"redirect": address at the provider}``. :raises IssuerFailed: no discovery."""
        address, _ = await self._addresses(asked.now)
        state, verifier = secrets.token_urlsafe(_STATE_BYTES), secrets.token_urlsafe(_VERIFIER_BYTES)
        redirect = f"{asked.origin}{CALLBACK_PATH}/{self.provider.name}"
        secret = {"verifier": verifier, "redirect": redirect}
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "code_challenge": pkce.challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        if self.provider.issuer:
            secret["nonce"] = query["nonce"] = secrets.token_urlsafe(_STATE_BYTES)
        joint = "&" if "?" in address else "?"
        shown = {"redirect": f"{address}{joint}{urlencode(query, quote_via=quote)}"}
        return Opening(subject="", secret=secret, shown=shown, lookup=state)

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        """Values: what the provider put into the redirect, ``code`` or ``error``, and maybe ``iss``.

        :raises ConsentRefused: the person said no. :raises WrongProof: the code is not for us, or used.
        :raises TokenNotTrusted: the identity token is not sound. :raises IssuerFailed: the provider's fault, or that
            of our settings.
        """
        await self._check_issuer(proof)
        code = _code(proof.values, self.provider.title)
        answer = await self._exchange(code, secret, proof.now)
        access = answer.get("access_token")
        if not isinstance(access, str) or not _BEARER.fullmatch(access):
            raise self._failed("gave no access token")
        if str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise self._failed("gave a token that is no bearer token")
        if self.provider.profile is Profile.OPENID:
            return await self._openid_identity(answer, access, str(secret["nonce"]), proof.now)
        identity = profiles.from_vendor(self.provider.profile, await self._ask(self.provider.profile_url, access))
        if self.provider.emails_url:
            emails = await self._ask(self.provider.emails_url, access)
            identity = replace(identity, email=profiles.primary_email(emails))
        return identity

    async def _openid_identity(self, answer: Mapping[str, Any], access: str, nonce: str, now: datetime) -> Identity:
        provider, token = self.provider, answer.get("id_token")
        if not isinstance(token, str):
            raise self._failed("gave no identity token")
        claims = await oidc.verify_token(
            self._client,
            provider.issuer,
            token,
            audience=provider.client_id,
            now=now,
            nonce=nonce,
            issuer_aliases=provider.issuer_aliases,
            allow_private=provider.allow_private,
        )
        oidc.check_sign_in(token, claims, client_id=provider.client_id, access_token=access)
        about = await self._metadata(now)
        if about.userinfo_url and not ("email" in claims and "name" in claims):
            more = await self._ask(about.userinfo_url, access)
            if not isinstance(more, dict) or more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
                raise WrongProof("The provider's answers are about two people.", hint="Begin again.")
            claims = oidc.with_userinfo(claims, more)
        subject = f"{provider.issuer}|{claims['sub']}" if provider.names_issuer_in_subject else claims["sub"]
        return profiles.from_claims(claims, subject)

    async def _check_issuer(self, proof: Proof) -> None:
        """RFC 9207: an answer of another provider is none of ours."""
        if not self.provider.issuer:
            return
        given = proof.values.get("iss")
        if given is None and not (await self._metadata(proof.now)).names_itself:
            return
        if given != self.provider.issuer:
            raise WrongProof("The answer came from another provider than the one that was asked.", hint="Begin again.")

    async def _exchange(self, code: str, secret: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
        """The token request (RFC 6749 §4.1.3, RFC 7636 §4.5). It is not redirected: it holds secrets."""
        provider, (_, address) = self.provider, await self._addresses(now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": str(secret["redirect"]),
            "code_verifier": str(secret["verifier"]),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if not provider.client_secret or await self._takes_secret_in_body(now):
            form["client_id"] = provider.client_id
            if provider.client_secret:
                form["client_secret"] = provider.client_secret
        else:
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"  # RFC 6749 §2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        reply = await self._client.request(
            "POST",
            address,
            headers=headers,
            body=urlencode(form).encode(),
            limit_bytes=ANSWER_BYTES_MAX,
            timeout_seconds=TIMEOUT_SECONDS,
            allow_private=provider.allow_private,
            follow_redirects=False,
        )
        document = _json(reply.body)
        fault = document.get("error") if isinstance(document, dict) else None
        if fault is not None and str(fault) in _OVER:
            detail = f"{fault}: {_described(document)}"
            raise WrongProof(f"{provider.title} does not take this code.", hint="Begin again.", detail=detail)
        if fault is not None:
            raise self._failed("refuses us", detail=f"{str(fault)[:100]}: {_described(document)}")
        if reply.status != 200 or not isinstance(document, dict):
            raise self._failed(f"answers with status {reply.status} and no token")
        return document

    async def _ask(self, address: str, access: str) -> Any:
        """A JSON document of the provider that the access token opens."""
        reply = await self._client.request(
            "GET",
            address,
            headers={
                "Authorization": f"Bearer {access}",
                "Accept": "application/json",
                "User-Agent": "AlternateFutures",
            },
            limit_bytes=ANSWER_BYTES_MAX,
            timeout_seconds=TIMEOUT_SECONDS,
            allow_private=self.provider.allow_private,
            follow_redirects=False,
        )
        if reply.status != 200:
            raise self._failed(f"answers with status {reply.status} when asked who you are")
        return _json(reply.body)

    async def _addresses(self, now: datetime) -> tuple[str, str]:
        """Where people go, and where codes are exchanged."""
        if not self.provider.issuer:
            return self.provider.authorize_url, self.provider.token_url
        about = await self._metadata(now)
        if not about.authorize_url or not about.token_url:
            raise self._failed("has no addresses for signing in in its discovery document")
        return about.authorize_url, about.token_url

    async def _takes_secret_in_body(self, now: datetime) -> bool:
        """The header is what all must know (RFC 6749 §2.3.1) and what counts when nothing is said (Discovery §3)."""
        if not self.provider.issuer:
            return self.provider.secret_in_body
        offered = (await self._metadata(now)).token_auth_methods
        return "client_secret_post" in offered and "client_secret_basic" not in offered

    async def _metadata(self, now: datetime) -> discovery.Metadata:
        return await discovery.of(self._client).metadata(
            self._client, self.provider.issuer, now=now, allow_private=self.provider.allow_private
        )

    def _failed(self, what: str, *, detail: str = "") -> IssuerFailed:
        return IssuerFailed(
            f"{self.provider.title} {what}.", hint="Try again, or choose another way to sign in.", detail=detail
        )


def configured(settings: Settings, client: Client) -> tuple[list[OAuth], Mapping[str, str]]:
    """The providers of the settings, and for the known others which settings they miss. :raises InvalidSetting"""
    found, absent = providers.from_settings(settings)
    return [OAuth(provider, client) for provider in found], absent


def _code(values: Mapping[str, Any], title: str) -> str:
    fault = values.get("error")
    if fault == "access_denied":
        raise ConsentRefused(f"You did not sign in at {title}.", hint="Begin again, or choose another way to sign in.")
    if fault is not None:
        detail = f"{str(fault)[:100]}: {_described(values)}"
        raise IssuerFailed(f"{title} could not sign you in.", hint="Try again, or choose another way.", detail=detail)
    code = values.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= CODE_LENGTH_MAX or not code.isprintable():
        raise WrongProof(f"The answer of {title} holds no code.", hint="Begin again.")
    return code


def _described(values: Any) -> str:
    text = values.get("error_description") if isinstance(values, Mapping) else None
    return "".join(c for c in str(text or "")[:300] if c.isprintable())


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
