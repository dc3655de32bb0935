"""Signing in from a program, without a token yet: as a device, by e-mail, or with the identity of a pipeline."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from alternatefutures.credentials import SessionTokens
from alternatefutures.errors import ApiError, NetworkError, NotSignedIn, UnexpectedReply, UsageError
from alternatefutures.transport import Transport

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
_IDENTITY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A sign-in that waits for a person at ``url``, who compares ``user_code``."""

    id: str
    poll_secret: str
    url: str
    user_code: str
    expires_in_seconds: float
    interval_seconds: float


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The first proof holds; the account wants a code of its authenticator app for ``flow``."""

    flow: str


@dataclass(frozen=True, slots=True)
class PipelineToken:
    """A short-lived token for a pipeline."""

    token: str
    expires_in_seconds: float
    project_id: str
    """The project that it is limited to; "" for none."""


class SlowDown(Exception):
    """Asked sooner than the interval."""


class SignIn:
    """The sign-in of the platform at ``url``. All methods raise `ApiError` for a refusal, `NetworkError` when it is
    away."""

    def __init__(self, url: str) -> None:
        self.transport = Transport(url, "")

    def close(self) -> None:
        self.transport.close()

    def start_device(self, name: str, *, redirect_uri: str = "", code_challenge: str = "") -> DeviceLogin:
        """Begin; with ``redirect_uri`` (a loopback address) the browser also brings a code there."""
        body = {"name": name}
        if redirect_uri:
            body |= {"redirectUri": redirect_uri, "codeChallenge": code_challenge}
        answer = self._post("/auth/cli/start", body, idempotent=False)
        try:
            made = DeviceLogin(
                str(answer["verificationSessionId"]),
                str(answer["pollSecret"]),
                str(answer["verificationUrl"]),
                str(answer["userCode"]),
                float(answer["expiresIn"]),
                max(1.0, float(answer["interval"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedReply("something that begins no sign-in") from error
        if urlsplit(made.url).scheme not in ("http", "https"):
            raise UnexpectedReply("an address that is no page")  # it is opened in a browser
        return made

    def poll_device(self, login: DeviceLogin) -> SessionTokens | None:
        """The tokens once the person has approved, `None` before. :raises SlowDown: asked too soon."""
        body = json.dumps({"verificationSessionId": login.id, "pollSecret": login.poll_secret}).encode()
        try:
            reply = self.transport.request("POST", "/auth/cli/poll", body=body, idempotent=False)
        except ApiError as error:
            if error.code == "slow_down":
                raise SlowDown from error
            raise
        return None if reply.status == 202 else SessionTokens.of_answer(reply.json())

    def exchange_code(self, code: str, verifier: str) -> SessionTokens:
        """The tokens for the code that the browser brought."""
        answer = self._post("/auth/cli/exchange", {"code": code, "codeVerifier": verifier}, idempotent=False)
        return SessionTokens.of_answer(answer)

    def request_email_code(self, email: str) -> str:
        """Have a code sent; the ``flow`` that it can be used with."""
        answer = self._post("/auth/email/request", {"email": email}, idempotent=False)
        flow = answer.get("flow") if isinstance(answer, dict) else None
        if not isinstance(flow, str):
            raise UnexpectedReply("something that begins no sign-in")
        return flow

    def verify_email_code(self, email: str, code: str, flow: str) -> SessionTokens | SecondFactor:
        """:raises ApiError: kind ``unauthenticated``: the code is wrong, or its time is over."""
        return self._finish("/auth/email/verify", {"email": email, "code": code, "flow": flow})

    def verify_second_factor(self, code: str, flow: str) -> SessionTokens | SecondFactor:
        return self._finish("/auth/second-factor", {"code": code, "flow": flow})

    def exchange_identity(self, identity: str) -> PipelineToken:
        """A token of this platform for an OpenID Connect token of a pipeline (RFC 8693)."""
        fields = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": identity,
            "subject_token_type": JWT_TYPE,
            "requested_token_type": ACCESS_TOKEN_TYPE,
        }
        kind = "application/x-www-form-urlencoded"
        body = urlencode(fields).encode()
        reply = self.transport.request("POST", "/auth/token", body=body, content_type=kind, idempotent=False)
        answer = reply.json()
        try:
            project_id = str(answer.get("project_id") or "")
            return PipelineToken(str(answer["access_token"]), float(answer["expires_in"]), project_id)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnexpectedReply("something that holds no token") from error

    def sign_out(self, tokens: SessionTokens) -> None:
        """End the session at the platform; its refresh token says which, as the access token may be over."""
        own = Transport(self.transport.url, "", give_up_seconds=3.0)
        try:
            body = json.dumps({"refreshToken": tokens.refresh}).encode()
            own.request("POST", "/auth/logout", body=body, read_seconds=5.0)
        finally:
            own.close()

    def _finish(self, path: str, body: dict[str, str]) -> SessionTokens | SecondFactor:
        try:
            return SessionTokens.of_answer(self._post(path, body, idempotent=False))
        except ApiError as error:
            flow = error.extensions.get("flow")
            if error.code == "second_factor_required" and isinstance(flow, str):
                return SecondFactor(flow)
            raise

    def _post(self, path: str, body: dict[str, str], *, idempotent: bool) -> Any:
        return self.transport.request("POST", path, body=json.dumps(body).encode(), idempotent=idempotent).json()


def pkce() -> tuple[str, str]:
    """A verifier and its S256 challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def pipeline_identity(audience: str) -> str:
    """The OpenID Connect token of the pipeline that this runs in: ``AF_ID_TOKEN`` (GitLab's ``id_tokens`` and others),
    else what GitHub Actions gives a job with ``permissions: id-token: write``.

    :raises NotSignedIn: there is none. :raises NetworkError: GitHub does not answer.
    """
    given = os.environ.get("AF_ID_TOKEN", "").strip()
    if given:
        return given
    address = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if not address or not bearer:
        raise NotSignedIn(
            "This pipeline has no identity that could be exchanged.",
            cause="Neither AF_ID_TOKEN nor ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are set.",
            hint="GitHub: `permissions: id-token: write` in the job. GitLab: `id_tokens: AF_ID_TOKEN: aud: ADDRESS`.",
        )
    return _github_identity(address, bearer, audience)


def _github_identity(address: str, bearer: str, audience: str) -> str:
    import urllib3

    if urlsplit(address).scheme not in ("https", "http"):
        raise UsageError("ACTIONS_ID_TOKEN_REQUEST_URL is not an address.")
    url = f"{address}{'&' if '?' in address else '?'}{urlencode({'audience': audience})}"
    try:
        reply = urllib3.PoolManager(retries=urllib3.Retry(3, redirect=0)).request(
            "GET", url, headers={"Authorization": f"Bearer {bearer}"}, timeout=_IDENTITY_SECONDS
        )
        value = reply.json()["value"] if reply.status == 200 else None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NetworkError("GitHub does not give this job its identity.", cause=type(error).__name__) from error
    except (ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, str) or not value:
        raise NetworkError("GitHub gave this job no identity.", cause=f"HTTP {reply.status}")
    return value
