"""Who asks, when, and with what: the first argument of every service function.

A `Context` is small and frozen. Ports (block store, mailer, …) are found by their type, as registered by
`af.server.wiring`. Rules never see a context.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.bell import Bell, Topic
from af.core.clock import Clock
from af.core.db import Database
from af.core.errors import Forbidden
from af.core.ids import ProjectId, SessionId, TokenId, UserId
from af.core.networks import network_of
from af.core.settings import Settings

Port = TypeVar("Port")
Fence = Callable[[AsyncConnection], Awaitable[None]]
BeforeCommit = Callable[[AsyncConnection], Awaitable[None]]


class ActorKind(Enum):
    ANONYMOUS = "anonymous"
    USER = "user"
    SYSTEM = "system"
    """The platform itself: jobs, reconcilers, bootstrap. Never reachable from an edge."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``scopes`` is `None` for full power (a session), else what the token may do (``sites:read`` …).
    ``project_id`` limits a token to one project. ``address`` is the caller's network address, for limits and audit."""

    kind: ActorKind
    user_id: UserId | None = None
    token_id: TokenId | None = None
    scopes: frozenset[str] | None = None
    project_id: ProjectId | None = None
    address: str = ""
    chosen_project_id: ProjectId | None = None
    """What the credential was made to work on: the project of requests that name none. A wish, not a right."""
    session_id: SessionId | None = None
    """The session behind the request, if a person's; `None` with an access token."""
    authenticated_at: datetime | None = None
    """When that person last proved who they are."""
    user_agent: str = ""
    leaving: bool = False
    """Their account is to be deleted: they may keep it after all, or sign out, and nothing else."""

    @property
    def network(self) -> str:
        """Whom limits per address count: `network_of` the address."""
        return network_of(self.address)


ANONYMOUS = Actor(ActorKind.ANONYMOUS)
SYSTEM = Actor(ActorKind.SYSTEM)


@dataclass(frozen=True, slots=True)
class Platform:
    """What a process opens once and shares between requests. ``port`` is the HTTP port really listened on."""

    settings: Settings
    database: Database
    clock: Clock
    bell: Bell
    ports: Mapping[type[Any], Any] = field(default_factory=dict)
    port: int = 0
    fence: Fence | None = None
    """In a worker: run at the start of every write transaction; refuses when another has taken over."""

    def context(self, actor: Actor, *, request_id: str = "") -> Context:
        return Context(actor=actor, platform=self, request_id=request_id, selected_project_id=None)

    def url(self, host: str) -> str:
        """The address of ``host`` as users type it."""
        return self.settings.url(host, self.port or self.settings.port)


@dataclass(frozen=True, slots=True)
class _Open:
    connection: AsyncConnection
    topics: set[Topic] = field(default_factory=set)
    last: list[tuple[str, BeforeCommit]] = field(default_factory=list)


_open: ContextVar[_Open | None] = ContextVar("open_transaction", default=None)


def in_transaction() -> bool:
    """Whether this task holds a write transaction; the HTTP client refuses to work then."""
    return _open.get() is not None


def _order(last: tuple[str, BeforeCommit]) -> str:
    return last[0]


@dataclass(frozen=True, slots=True)
class Context:
    """One request's (or job's) view of the platform. ``selected_project_id`` comes from ``X-Project-Id`` and
    is a wish, not a right: services authorise it like any other id."""

    actor: Actor
    platform: Platform
    request_id: str
    selected_project_id: ProjectId | None

    @property
    def now(self) -> datetime:
        return self.platform.clock.now()

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        bound: structlog.stdlib.BoundLogger = structlog.get_logger().bind(
            request_id=self.request_id, user_id=self.actor.user_id
        )
        return bound

    def get(self, port: type[Port]) -> Port:
        """The backend that implements ``port`` in this process."""
        backend: Port = self.platform.ports[port]
        return backend

    def acting_as(self, actor: Actor) -> Context:
        return replace(self, actor=actor)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction; joins the one that this task already holds, so services compose.

        Bells rung inside (`ring`) sound after the commit.
        """
        current = _open.get()
        if current is not None:
            yield current.connection
            return
        async with self.platform.database.writing() as connection:
            opened = _Open(connection)
            token = _open.set(opened)
            try:
                if self.platform.fence is not None:
                    await self.platform.fence(connection)
                yield connection
                for _, work in sorted(opened.last, key=_order):
                    await work(connection)
            finally:
                _open.reset(token)
        for topic in opened.topics:
            self.platform.bell.ring(topic)

    def before_commit(self, work: BeforeCommit, *, order: str) -> None:
        """Run ``work`` at the end of the open transaction, as its last statements, in the alphabet of ``order``.

        For what takes a lock that all writers share: held only from there to the commit, and always taken last, it
        neither makes others wait for the rest of the transaction nor takes part in a deadlock: all take such locks in
        that one order.
        """
        current = _open.get()
        assert current is not None, "inside `transaction` only"
        current.last.append((order, work))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reads; inside a transaction it is that transaction's, so it sees its own writes."""
        current = _open.get()
        if current is not None:
            yield current.connection
            return
        async with self.platform.database.reading() as connection:
            yield connection

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[AsyncConnection]:
        """As `reading`, for one statement: what every request asks costs no transaction of its own."""
        current = _open.get()
        if current is not None:
            yield current.connection
            return
        async with self.platform.database.looking_up() as connection:
            yield connection

    def ring(self, topic: Topic) -> None:
        """Wake this machine's listeners of ``topic``, after the commit when a transaction is open."""
        current = _open.get()
        if current is not None:
            current.topics.add(topic)
        else:
            self.platform.bell.ring(topic)


def only_the_platform(ctx: Context) -> None:
    """:raises Forbidden: somebody else asks for what the platform's worker does by itself"""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform's worker does this.")
