"""Which backend implements which port in this process, from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from af import storage
from af.auth.backends import Methods
from af.auth.backends.configured import open_methods
from af.core import db, seal
from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import Platform
from af.core.db import Database
from af.core.http import Client
from af.core.messages.configured import open_transports
from af.core.messages.transports import Transports
from af.core.settings import Settings
from af.names.backends.configured import open_names
from af.replication.backends.configured import Providers, open_providers
from af.server.errors import DatabaseAbsent
from af.storage.backends.configured import open_blocks, open_kubo
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.backends.sources import Delegates


@asynccontextmanager
async def open_platform(settings: Settings, *, port: int, read_only: bool = False) -> AsyncIterator[Platform]:
    """Open everything that services need, and close it in reverse. ``port`` is the one listened on.

    ``read_only``: for a gateway on its own; nothing is written to the database, which must exist.
    :raises DatabaseAbsent: read-only, and there is no database yet.
    """
    if read_only and settings.sqlite and not settings.sqlite_path.exists():
        raise DatabaseAbsent(
            f"There is no database in {settings.data} yet.",
            hint="Start `af up` or `af serve api` on this folder once, or name the right one with --data.",
        )
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        database = Database(db.async_url(settings.database_url, settings.sqlite_path), read_only=read_only)
        stack.push_async_callback(database.close)
        bell = Bell(settings.data / "bell")
        stack.callback(bell.close)
        blocks = await stack.enter_async_context(open_blocks(settings, clock, database=database))
        ports: dict[type[Any], Any] = {storage.BlockStore: blocks, **open_names(settings, bell)}
        if not read_only:
            ports[Client] = client = Client()
            ports[Delegates] = Delegates(settings, client)
            if (node := open_kubo(settings, client)) is not None:
                ports[KuboRpc] = node
            ports[Providers] = open_providers(settings, client)
            ports[Methods] = open_methods(settings, client)
            ports[Transports] = open_transports(settings, client, clock)
            ports[seal.Sealer] = seal.Sealer(seal.load_master_key(settings))
        yield Platform(settings=settings, database=database, clock=clock, bell=bell, ports=ports, port=port)
