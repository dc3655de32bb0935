"""A platform on each database, with a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from af.core.bell import Bell
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.db import Database, async_url
from af.core.settings import load


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    settings = load({}, data=tmp_path, database_url=database_url)
    database = Database(async_url(database_url, settings.sqlite_path))
    bell = Bell(tmp_path / "bell")
    yield Platform(settings=settings, database=database, clock=clock, bell=bell)
    await database.close()
    bell.close()


@pytest.fixture
def ctx(platform: Platform) -> Context:
    return platform.context(SYSTEM)
