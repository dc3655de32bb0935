"""A platform with a real block store on each database, a project, and folders to deploy."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af import projects, sites, storage
from af.core.bell import Bell
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.db import Database, async_url
from af.core.ids import ProjectId
from af.core.settings import Settings, load
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.storage.backends.configured import open_blocks


class TickingClock(FixedClock):
    """Moves on by a second whenever it is read, so that ids and times differ."""

    def now(self) -> datetime:
        self.advance(timedelta(seconds=1))
        return super().now()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load({}, data=tmp_path, database_url=database_url, archive_bytes_max=1 << 20)


@pytest.fixture
async def platform(settings: Settings) -> AsyncIterator[Platform]:
    clock = TickingClock(datetime(2026, 1, 1, tzinfo=UTC))
    database = Database(async_url(settings.database_url, settings.sqlite_path))
    bell = Bell(settings.data / "bell")
    async with open_blocks(settings, clock) as blocks:
        ports = {storage.BlockStore: blocks}
        yield Platform(settings=settings, database=database, clock=clock, bell=bell, ports=ports, port=8787)
    await database.close()
    bell.close()


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
async def owner(platform: Platform, system: Context) -> Context:
    """The owner of the default project."""
    made = await projects.bootstrap(system)
    return platform.context(Actor(ActorKind.USER, user_id=made.user.id))


@pytest.fixture
async def project_id(system: Context) -> ProjectId:
    return (await projects.bootstrap(system)).project.id


@pytest.fixture
async def site(owner: Context, project_id: ProjectId) -> sites.Site:
    return await sites.create(owner, "Blog", project_id=project_id)


Upload = Callable[[Mapping[str, bytes]], Awaitable[str]]


@pytest.fixture
def upload(platform: Platform, project_id: ProjectId) -> Upload:
    """Puts a folder's blocks as a client would and returns its root as text."""

    async def put(files: Mapping[str, bytes]) -> str:
        blocks: list[tuple[CID, bytes]] = []
        entries = [
            (path, unixfs.import_file(io.BytesIO(content).read, lambda *block: blocks.append(block)))
            for path, content in files.items()
        ]
        root = unixfs.build_tree(entries, lambda *block: blocks.append(block))
        await platform.ports[storage.BlockStore].put(blocks, scope=project_id)
        return cids.to_text(root.cid)

    return put
