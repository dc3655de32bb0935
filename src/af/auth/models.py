"""People and the credentials that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from af.core.ids import ProjectId, SessionId, TokenId, UserId


@dataclass(frozen=True, slots=True)
class User:
    """A person. ``operator`` marks those who run the platform: they may do what concerns all projects at once."""

    id: UserId
    username: str
    email: str | None
    operator: bool
    created_at: datetime
    updated_at: datetime


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


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser."""

    id: SessionId
    user_id: UserId
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreatedSession:
    """A new session; ``text`` is the cookie's value."""

    session: Session
    text: str
