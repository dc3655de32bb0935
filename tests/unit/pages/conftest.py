"""The pages on each database, as a browser without scripts sees them: addresses, forms, cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.routing import Router

from af import auth
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.messages import outbox
from af.core.web import RequestContext
from af.pages.routes import routes
from af.server import targets
from tests.support import platforms
from tests.support.asgi import AsgiClient
from tests.support.visitor import Visitor


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
def browser_of(platform: Platform) -> Callable[[str], Visitor]:
    """A browser at this network address that has not been here."""
    application = RequestContext(Router([*targets.rest_routes(), *routes()]), platform, auth.authenticate)

    def made(address: str = "127.0.0.1") -> Visitor:
        return Visitor(AsgiClient(application, address=address))

    return made


@pytest.fixture
def visitor(browser_of: Callable[[str], Visitor]) -> Visitor:
    return browser_of("127.0.0.1")


@pytest.fixture
def post_office(system: Context) -> PostOffice:
    return PostOffice(system)


class PostOffice:
    """The messages that the platform wants to send."""

    def __init__(self, system: Context) -> None:
        self._system = system

    async def newest(self, to: str) -> str:
        """The text of the newest message to this address; time goes on, so that the next one is newer."""
        entries = [entry for entry in await outbox.list_messages(self._system) if entry.to == to]
        assert entries, f"nothing was sent to {to}"
        shown = await outbox.read_message(self._system, entries[0].id)
        assert shown.content is not None
        assert isinstance(self._system.platform.clock, FixedClock)
        self._system.platform.clock.advance(timedelta(milliseconds=1))
        return shown.content.text

    async def code(self, to: str) -> str:
        found = re.search(r"\b(\d{6})\b", await self.newest(to))
        assert found is not None
        return found[1]

    async def link(self, to: str, path: str) -> str:
        """The path, with its query, of the link in the newest message that leads to ``path``."""
        found = re.search(rf"https?://[^/\s]+({re.escape(path)}\S+)", await self.newest(to))
        assert found is not None
        return found[1]


async def sign_in(visitor: Visitor, post_office: PostOffice, email: str) -> None:
    """By e-mail and code, as people do."""
    await visitor.open("/login")
    await visitor.send("/login", email=email)
    assert visitor.path == "/login/code", visitor.text
    await visitor.send("/login/code", code=await post_office.code(email))
    assert "__Host-af_session" in visitor.cookies, visitor.text
