"""What a client shows the platform: a token that stays as it is, or a session whose tokens are renewed as they end.

A session has an access token of minutes and a refresh token that can be used once (the platform answers a repetition
within 15 seconds alike, and ends the session after that). So two programs that share a session must not both refresh:
its tokens are kept by a `Keeper`, which lets one in at a time; the other then finds the new ones.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from alternatefutures.errors import ApiError, NetworkError, NotSignedIn, UnexpectedReply, UsageError

EARLY_SECONDS = 60.0
"""A token with less life than this is renewed before it is used."""
_REFRESH_SECONDS = 6.0
"""How long a refresh is tried, so that all tries fall into the 15 seconds in which the platform answers them alike."""


class Credential(Protocol):
    """Where a transport gets its token from. Used by several threads at once."""

    def current(self) -> str:
        """The token to send now; "" for none. :raises NotSignedIn: there was one, and it cannot be renewed."""
        ...

    def renewed(self, refused: str) -> str:
        """Another token than the one that was ``refused``; that one if there is no other."""
        ...


class Fixed:
    """One token. ``newest`` tells the newest that is known, when the present one is refused."""

    def __init__(self, token: str, newest: Callable[[], str] | None = None) -> None:
        self._token = checked_header(token, "The access token")
        self._newest = newest
        self._lock = threading.Lock()

    def current(self) -> str:
        return self._token

    def renewed(self, refused: str) -> str:
        with self._lock:  # several uploads may be refused at once
            if self._token == refused and self._newest is not None:
                self._token = checked_header(self._newest(), "The access token")
            return self._token


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """``expires_at`` is when ``access`` ends, in Unix seconds of this machine's clock. Without ``refresh`` (a token of
    a pipeline) that is the end."""

    access: str
    refresh: str
    expires_at: float
    early_seconds: float = EARLY_SECONDS

    @classmethod
    def of_answer(cls, answer: Any) -> SessionTokens:
        """From what the platform answers to a sign-in or a refresh. :raises UnexpectedReply: it has no tokens."""
        try:
            access, refresh, seconds = answer["accessToken"], answer["refreshToken"], float(answer["expiresIn"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedReply("something that holds no tokens") from error
        if not isinstance(access, str) or not isinstance(refresh, str):
            raise UnexpectedReply("something that holds no tokens")
        return cls(access, refresh, time.time() + seconds, min(EARLY_SECONDS, seconds / 2))

    @property
    def lasts(self) -> bool:
        """Whether ``access`` is still good."""
        return time.time() < self.expires_at

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew it."""
        return time.time() + self.early_seconds >= self.expires_at


class Keeper(Protocol):
    """Where the tokens of one session are kept."""

    def load(self) -> SessionTokens | None:
        """The newest, which another program may have saved; `None` after a sign-out."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """While it is held, no other program renews this session."""
        ...

    def save(self, before: SessionTokens, tokens: SessionTokens) -> None:
        """Replace ``before``; whoever signed out or in meanwhile has the last word."""
        ...


class InMemory:
    """Keeps a session for this program only."""

    def __init__(self, tokens: SessionTokens) -> None:
        self._tokens = tokens

    def load(self) -> SessionTokens | None:
        return self._tokens

    def exclusive(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def save(self, before: SessionTokens, tokens: SessionTokens) -> None:
        self._tokens = tokens


class Session:
    """A person's session at the platform at ``url``; also of long calls, whose token ends meanwhile."""

    def __init__(self, url: str, keeper: Keeper) -> None:
        self._url = url
        self._keeper = keeper
        self._lock = threading.Lock()
        self._tokens = keeper.load()

    def current(self) -> str:
        tokens = self._tokens
        if tokens is not None and not tokens.is_due:
            return tokens.access
        try:
            return self._renew("")
        except (NetworkError, ApiError):
            if tokens is None or not tokens.lasts:
                raise
            return tokens.access  # still good: perhaps the platform answers to it

    def renewed(self, refused: str) -> str:
        return self._renew(refused)

    def _renew(self, refused: str) -> str:
        """A token that is not ``refused`` and lasts."""
        with self._lock, self._keeper.exclusive():
            kept = self._keeper.load()
            if kept is None:
                raise NotSignedIn("You were signed out meanwhile.", hint="Run `af login`.")
            if kept.access == refused or kept.is_due:
                kept = self._refreshed(kept, refused)
            self._tokens = kept
            return kept.access

    def _refreshed(self, kept: SessionTokens, refused: str) -> SessionTokens:
        if not kept.refresh:
            if kept.lasts and kept.access != refused:
                return kept  # to its end
            raise NotSignedIn("The token has ended.", hint="Run `af login` again (in a pipeline `af login --ci`).")
        try:
            tokens = SessionTokens.of_answer(_post(self._url, "/auth/refresh", {"refreshToken": kept.refresh}))
        except ApiError as error:
            if error.kind != "unauthenticated":
                raise
            raise NotSignedIn(
                "Your session is over: it was ended, or not used for too long.",
                cause=error.message,
                hint="Run `af login`.",
            ) from error
        self._keeper.save(kept, tokens)
        return tokens


def _post(url: str, path: str, body: dict[str, str]) -> Any:
    from alternatefutures.transport import Transport

    with contextlib.closing(Transport(url, "", give_up_seconds=_REFRESH_SECONDS)) as transport:
        content = json.dumps(body).encode()
        return transport.request("POST", path, body=content, read_seconds=_REFRESH_SECONDS).json()


def checked_header(text: str, what: str) -> str:
    """``text`` without the white space around it, fit for a header; never shown, since it may be a secret."""
    text = text.strip()
    if not (text.isascii() and text.isprintable()):
        raise UsageError(f"{what} holds characters that none of ours has.", hint="Copy it again, whole.")
    return text
