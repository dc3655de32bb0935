"""Projects on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from af import projects
from af.core.context import SYSTEM, Context, Platform
from af.projects import Project, Role
from tests.support import platforms
from tests.unit.sites.conftest import TickingClock


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platforms.open_platform(database_url, tmp_path, TickingClock(platforms.START)) as opened:
        yield opened


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
async def owner(platform: Platform) -> Context:
    return await platforms.user(platform, "owner")


@pytest.fixture
async def project(owner: Context) -> Project:
    return await projects.create_project(owner, "Blue Whale")


@pytest.fixture
async def admin(platform: Platform, owner: Context, project: Project) -> Context:
    ctx = await platforms.user(platform, "admin")
    await projects.add_member(owner, project.id, user="admin", role=Role.ADMIN)
    return ctx
