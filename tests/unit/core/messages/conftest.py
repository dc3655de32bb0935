"""A platform whose messages a test can send, lose and read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from af.core import seal
from af.core.bell import Bell
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.db import Database, async_url
from af.core.http import Client
from af.core.messages.configured import open_transports
from af.core.messages.transports import Transports
from af.core.settings import load


class Opened:
    """Contexts on one database, each with settings of its own."""

    def __init__(self, database: Database, bell: Bell, clock: FixedClock, folder: Path, url: str) -> None:
        self._database, self._bell, self._clock, self._folder, self._url = database, bell, clock, folder, url

    def __call__(self, transports: Transports | None = None, **settings: Any) -> Context:
        resolved = load({}, data=self._folder, database_url=self._url, **settings)
        ports: dict[type[Any], Any] = {
            seal.Sealer: seal.Sealer(bytes(32)),
            Transports: transports or open_transports(resolved, Client(), self._clock),
        }
        return Platform(resolved, self._database, self._clock, self._bell, ports).context(SYSTEM)


@pytest.fixture
async def opened(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Opened]:
    database = Database(async_url(database_url, tmp_path / "platform.sqlite"))
    bell = Bell(tmp_path / "bell")
    yield Opened(database, bell, clock, tmp_path, database_url)
    await database.close()
    bell.close()
