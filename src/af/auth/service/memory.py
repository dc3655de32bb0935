"""What a process remembers about credentials, so that a request costs no query: for at most five seconds, which is how
long a revoked credential can live on in another process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from af.core.context import Context
from af.core.db import Database
from af.core.ids import ProjectId, SessionId, TokenId, UserId

if TYPE_CHECKING:
    from af.auth.service.keys import Keyring

FRESH_FOR = timedelta(seconds=5)
GRANTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a credential allows, as read at ``loaded_at``."""

    user_id: UserId
    token_id: TokenId | None
    scopes: frozenset[str] | None
    project_id: ProjectId | None
    expires_at: datetime | None
    loaded_at: datetime
    chosen_project_id: ProjectId | None = None
    session_id: SessionId | None = None
    authenticated_at: datetime | None = None
    leaving: bool = False

    def is_fresh(self, now: datetime) -> bool:
        return self.loaded_at <= now < self.loaded_at + FRESH_FOR

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(slots=True)
class Memory:
    """Grants by the SHA-256 of their credential, and the keys that sign short-lived ones."""

    grants: dict[str, Grant] = field(default_factory=dict)
    keyring: Keyring | None = None

    def grant(self, digest: str, now: datetime) -> Grant | None:
        found = self.grants.get(digest)
        return found if found is not None and found.is_fresh(now) else None

    def remember(self, digest: str, grant: Grant) -> None:
        while len(self.grants) >= GRANTS_MAX:
            del self.grants[next(iter(self.grants))]
        self.grants.pop(digest, None)  # to the end: the first is always the oldest
        self.grants[digest] = grant

    def forget_tokens(self, token_ids: Collection[TokenId]) -> None:
        ended = frozenset(token_ids)
        for digest in [d for d, grant in self.grants.items() if grant.token_id in ended]:
            del self.grants[digest]

    def forget_session(self, session_id: SessionId) -> None:
        for digest in [d for d, grant in self.grants.items() if grant.session_id == session_id]:
            del self.grants[digest]

    def forget_user(self, user_id: UserId) -> None:
        for digest in [d for d, grant in self.grants.items() if grant.user_id == user_id]:
            del self.grants[digest]


_memories: WeakKeyDictionary[Database, Memory] = WeakKeyDictionary()


def of(ctx: Context) -> Memory:
    """This process's memory for the platform's database."""
    database = ctx.platform.database
    found = _memories.get(database)
    if found is None:
        found = _memories[database] = Memory()
    return found
