"""Identity on each database, with a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.routing import Router

from af import auth
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.web import RequestContext
from af.server import targets
from tests.support import platforms
from tests.support.asgi import AsgiClient


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(platforms.START)


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
async def ada(platform: Platform) -> Context:
    return await platforms.user(platform, "ada")


@pytest.fixture
def client(platform: Platform) -> AsgiClient:
    """The REST routes of identity, as the server serves them."""
    return AsgiClient(RequestContext(Router(targets.rest_routes()), platform, auth.authenticate))
