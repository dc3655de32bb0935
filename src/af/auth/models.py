"""People and the credentials that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from af.core.ids import ChallengeId, MethodId, ProjectId, SessionId, TokenId, TrustRuleId, UserId


class UserKind(Enum):
    PERSON = "person"
    SERVICE = "service"
    """A service account: a program with a place in a project. It has tokens but no way to sign in."""


@dataclass(frozen=True, slots=True)
class User:
    """Who acts. ``operator`` marks those who run the platform: they may do what concerns all projects at once.
    ``email`` was proven to us by its owner. An account is deleted for good at ``deletes_at``."""

    id: UserId
    username: str
    email: str | None
    operator: bool
    created_at: datetime
    updated_at: datetime
    kind: UserKind = UserKind.PERSON
    display_name: str | None = None
    avatar_url: str | None = None
    last_login_at: datetime | None = None
    deletes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoginMethod:
    """One way in: whoever proves ``subject`` by ``method`` is the user. ``data`` is the backend's own."""

    id: MethodId
    user_id: UserId
    method: str
    subject: str
    label: str
    primary: bool
    data: Mapping[str, Any]
    created_at: datetime
    last_used_at: datetime | None


class Purpose(Enum):
    """What a proof is for."""

    SIGN_IN = "sign_in"
    LINK = "link"
    """Adding a way in to the account that is signed in."""
    SECOND_FACTOR = "second_factor"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question that was put to somebody. ``secret`` is sealed; ``flow_hash`` is the browser that asked."""

    id: ChallengeId
    method: str
    purpose: Purpose
    user_id: UserId | None
    subject: str
    flow_hash: str
    lookup_hash: str | None
    secret: bytes
    attempts: int
    attempts_max: int
    return_to: str
    expires_at: datetime
    used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known about a token after it was made. ``scopes`` is `None` for everything that its owner may do;
    ``project_id`` limits it to one project. ``masked`` is what may be shown of its text."""

    id: TokenId
    user_id: UserId
    name: str
    masked: str
    scopes: frozenset[str] | None
    project_id: ProjectId | None
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token; ``text`` is the credential itself and is shown only this once."""

    token: AccessToken
    text: str


@dataclass(frozen=True, slots=True)
class TokenAllowance:
    """How many more tokens a user may make: ``remaining`` of ``limit`` in the day that ends at ``resets_at``."""

    remaining: int
    limit: int
    resets_at: datetime
    active: int
    active_max: int


class SessionKind(Enum):
    BROWSER = "browser"
    """A cookie."""
    TOKENS = "tokens"
    """An access token of minutes and a refresh token: the command line, SDKs, apps."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in somewhere. ``method`` is how; ``authenticated_at`` when they last proved it;
    ``user_agent`` and ``address`` are where, as last seen."""

    id: SessionId
    user_id: UserId
    expires_at: datetime
    created_at: datetime
    kind: SessionKind = SessionKind.BROWSER
    method: str = "link"
    authenticated_at: datetime | None = None
    user_agent: str = ""
    address: str = ""
    last_seen_at: datetime | None = None
    leaving: bool = False
    """The account is to be deleted."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What stands for a session outside browsers: ``access`` (a JWT) for ``expires_in_seconds``, then ``refresh``."""

    access: str
    refresh: str
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class CreatedSession:
    """A new session; ``text`` is the cookie's value (of no use for `SessionKind.TOKENS`)."""

    session: Session
    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for its answer. ``flow`` is the secret that binds it to the browser that asked."""

    flow: str
    shown: Mapping[str, Any]
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """It is them. Either ``cookie`` or ``tokens`` is there, as was asked for."""

    user: User
    session: Session
    cookie: str | None
    tokens: Tokens | None
    is_new: bool
    return_to: str


@dataclass(frozen=True, slots=True)
class SecondFactorNeeded:
    """The first proof holds; the account wants another within ``expires_in_seconds``."""

    flow: str
    expires_in_seconds: int
    return_to: str


@dataclass(frozen=True, slots=True)
class Linked:
    """A way in was added to the account that is signed in."""

    method: LoginMethod
    return_to: str


@dataclass(frozen=True, slots=True)
class TrustRule:
    """Which pipeline runs may act as the service account ``user_id`` in ``project_id``, for ``life``."""

    id: TrustRuleId
    project_id: ProjectId
    user_id: UserId
    name: str
    issuer: str
    audience: str
    subject: str
    claims: Mapping[str, str]
    scopes: frozenset[str] | None
    life: timedelta
    created_by: UserId
    last_used_at: datetime | None
    created_at: datetime
