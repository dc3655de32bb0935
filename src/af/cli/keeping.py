"""The tokens of a session in the credentials file, shared by all ``af`` commands of a user.

A refresh token works once, so only one command may use it: it holds a lock of the profile from reading the tokens to
saving the new ones. That lock is not the file's own, which is held for moments only: `af up` and others must not wait
for a platform that does not answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from af.cli import config
from alternatefutures.credentials import Credential, Session, SessionTokens

if TYPE_CHECKING:
    from af.cli.config import Access, Credentials

_SESSION_KEYS = ("accessToken", "refreshToken", "expiresAt")


class ProfileKeeper:
    """Keeps the session of one profile."""

    def __init__(self, profile: str) -> None:
        self.profile = profile

    def load(self) -> SessionTokens | None:
        return tokens_in(config.load_credentials().profiles.get(self.profile, {}))

    def exclusive(self) -> AbstractContextManager[None]:
        return _locked(self.profile)

    def save(self, before: SessionTokens, tokens: SessionTokens) -> None:
        with config.editing() as credentials:
            profile = credentials.profiles.get(self.profile, {})
            if profile.get("refreshToken") == before.refresh:  # else somebody signed out, or in anew
                profile |= _written(tokens)


def credential(access: Access) -> Credential:
    """What the profile's session shows the platform."""
    return Session(access.url, ProfileKeeper(access.profile))


def tokens_in(profile: dict[str, str]) -> SessionTokens | None:
    """The session that a profile holds."""
    if not profile.get("accessToken"):
        return None
    try:
        expires_at = datetime.fromisoformat(profile.get("expiresAt", "")).timestamp()
    except ValueError:
        expires_at = 0.0  # renewed at once
    return SessionTokens(profile["accessToken"], profile.get("refreshToken", ""), expires_at)


def remember(
    credentials: Credentials, name: str, url: str, project_id: str, secret: str | SessionTokens, method: str
) -> None:
    """Make the profile, and the active one; the old one of this name is forgotten."""
    profile = {"apiUrl": url, "projectId": project_id}
    if isinstance(secret, str):
        profile["token"] = secret
    else:
        profile |= {"method": method, **_written(secret)}
    credentials.profiles[name] = profile
    credentials.active = name


def _written(tokens: SessionTokens) -> dict[str, str]:
    moment = datetime.fromtimestamp(tokens.expires_at, UTC).isoformat(timespec="seconds")
    return dict(zip(_SESSION_KEYS, (tokens.access, tokens.refresh, moment), strict=True))


@contextlib.contextmanager
def _locked(profile: str) -> Iterator[None]:
    folder = config.credentials_path().parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(profile.encode()).hexdigest()[:16]
    descriptor = os.open(folder / f"session-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
