"""A platform with a real block store, on each database; projects of two owners; content to store."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af import auth, projects, storage
from af.core.bell import Bell
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.db import Database, async_url
from af.core.http import Client
from af.core.ids import ProjectId
from af.core.settings import load
from af.protocols.ipfs import car, unixfs
from af.protocols.ipfs.cid import CID
from af.storage.backends.configured import open_blocks
from af.storage.backends.sources import Delegates
from tests.support import s3
from tests.support.s3_machines import Machines


class TickingClock(FixedClock):
    """Moves on by a millisecond whenever it is read, so that ids and times differ."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


@dataclass
class Content:
    """A DAG in memory."""

    root: CID
    blocks: dict[CID, bytes] = field(default_factory=dict)

    def car(self, *, without: Iterable[CID] = ()) -> bytes:
        left_out = set(without)
        frames = [car.frame(cid, data) for cid, data in self.blocks.items() if cid not in left_out]
        return car.header([self.root]) + b"".join(frames)


def folder(files: Mapping[str, bytes], profile: unixfs.Profile = unixfs.DEFAULT_PROFILE) -> Content:
    content = Content(CID(b""))
    entries = [
        (path, unixfs.import_file(io.BytesIO(data).read, content.blocks.__setitem__, profile))
        for path, data in files.items()
    ]
    content.root = unixfs.build_tree(entries, content.blocks.__setitem__, profile).cid
    return content


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


SITE = {"index.html": b"<h1>hello</h1>", "a/b.txt": b"deep", "a/empty": b"", "big.bin": bytes(range(256)) * 12_000}


@pytest.fixture
def site() -> Content:
    return folder(SITE)


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: TickingClock) -> AsyncIterator[Platform]:
    settings = load({}, data=tmp_path, database_url=database_url, archive_bytes_max=32 << 20, files_max=2000)
    database = Database(async_url(settings.database_url, settings.sqlite_path))
    bell = Bell(settings.data / "bell")
    async with open_blocks(settings, clock) as blocks:
        client = Client()
        ports = {storage.BlockStore: blocks, Client: client, Delegates: Delegates(settings, client)}
        yield Platform(settings=settings, database=database, clock=clock, bell=bell, ports=ports, port=8787)
    await database.close()
    bell.close()


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
async def owner(platform: Platform, system: Context) -> Context:
    """The owner of the default project, who is also the platform's operator."""
    made = await projects.bootstrap(system)
    return platform.context(Actor(ActorKind.USER, user_id=made.user.id))


@pytest.fixture
async def project_id(system: Context) -> ProjectId:
    return (await projects.bootstrap(system)).project.id


@pytest.fixture
async def stranger(platform: Platform, system: Context) -> Context:
    """Somebody with a project of their own."""
    user = await auth.create_user(system, username="stranger")
    return platform.context(Actor(ActorKind.USER, user_id=user.id))


@pytest.fixture
async def other_project_id(stranger: Context) -> ProjectId:
    return (await projects.create_project(stranger, "Other")).id


def limited(ctx: Context, *scopes: str) -> Context:
    """The same user with a token that may do only this."""
    return ctx.acting_as(replace(ctx.actor, scopes=frozenset(scopes)))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def machines(
    request: pytest.FixtureRequest, s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path, clock: FixedClock
) -> AsyncIterator[Machines]:
    async with s3.index_url(request, request.param, tmp_path) as url:
        made = Machines(s3_server, s3_bucket, tmp_path, url, clock)
        async with made.stack:
            yield made
