"""The pages on each database, as a browser without scripts sees them: addresses, forms, cookies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.routing import Router

from af import auth
from af.auth import http
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.messages.transports import Transports
from af.core.web import RequestContext
from af.pages.routes import routes
from tests.support import platforms
from tests.support.asgi import AsgiClient
from tests.support.visitor import Visitor


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(platforms.START)


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, clock) as opened:
        yield replace(opened, ports={Transports: Transports(shows=True), **opened.ports})


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
def visitor(platform: Platform) -> Visitor:
    """A browser that has not been here."""
    application = RequestContext(Router([*http.routes, *routes()]), platform, auth.authenticate)
    return Visitor(AsgiClient(application))
