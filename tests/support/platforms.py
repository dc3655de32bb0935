"""A whole platform in this process for tests: real database, real block store, a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from af import auth, projects, storage
from af.auth.backends import Methods
from af.auth.backends.configured import open_methods
from af.core import ids, seal
from af.core.bell import Bell
from af.core.clock import Clock, FixedClock
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.db import Database, async_url
from af.core.http import Client
from af.core.ids import SessionId
from af.core.messages.configured import open_transports
from af.core.messages.transports import Transports
from af.core.settings import load
from af.names.backends.configured import open_names
from af.replication.backends.configured import Providers, open_providers
from af.storage.backends.configured import open_blocks
from af.storage.backends.sources import Delegates

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def open_platform(
    database_url: str, folder: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Platform]:
    """``database_url`` as the fixture of that name gives it."""
    clock = clock or FixedClock(START)
    resolved = load({}, data=folder, database_url=database_url, **settings)
    database = Database(async_url(database_url, resolved.sqlite_path))
    bell = Bell(folder / "bell")
    async with open_blocks(resolved, clock, database=database) as blocks:
        client = Client()
        ports: dict[type[Any], Any] = {
            storage.BlockStore: blocks,
            seal.Sealer: seal.Sealer(bytes(32)),
            Client: client,
            Delegates: Delegates(resolved, client),
            Providers: open_providers(resolved, client),
            Methods: open_methods(resolved, client),
            Transports: open_transports(resolved, client, clock),
            **open_names(resolved, bell),
        }
        yield Platform(settings=resolved, database=database, clock=clock, bell=bell, ports=ports, port=8787)
    await database.close()
    bell.close()


async def user(platform: Platform, name: str) -> Context:
    """A new user's context, as with a browser session."""
    made = await auth.create_user(platform.context(SYSTEM), name)
    now = platform.clock.now()
    session = SessionId(ids.new(ids.SESSION, now))
    return platform.context(Actor(ActorKind.USER, user_id=made.id, session_id=session, authenticated_at=now))


async def token(ctx: Context, **limits: Any) -> str:
    """The text of a new token of the context's user."""
    return (await projects.create_token(ctx, "test", **limits)).text
