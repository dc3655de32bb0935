"""The GraphQL edge on each database, as the server serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from af import api, auth, projects
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from af.core.web import RequestContext
from tests.support import platforms
from tests.support.asgi import AsgiClient


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(platforms.START)


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, clock, rate_per_minute_anonymous=60) as opened:
        yield opened


@pytest.fixture
async def ada(platform: Platform) -> Context:
    """A user with a project."""
    ctx = await platforms.user(platform, "ada")
    await projects.create_project(ctx, "Mine")
    return ctx


@pytest.fixture
def nobody(platform: Platform) -> AsgiClient:
    return AsgiClient(RequestContext(api.application(platform), platform, auth.authenticate))


@pytest.fixture
async def client(ada: Context, nobody: AsgiClient) -> AsgiClient:
    """Ada with a token."""
    return nobody.as_token(await platforms.token(ada))


@pytest.fixture
async def browser(ada: Context, nobody: AsgiClient) -> AsgiClient:
    """Ada with a session."""
    assert ada.actor.user_id is not None
    created = await auth.redeem_login_link(ada, await auth.create_login_link(ada, ada.actor.user_id))
    return nobody.as_cookie(created.text)
