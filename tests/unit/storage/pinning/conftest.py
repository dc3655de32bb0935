"""Projects that ask for content, gateways that have it, and a worker that is called by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from af import projects, storage
from af.core.context import Context, Platform
from af.core.errors import Error
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from tests.support import trustless
from tests.support.platforms import open_platform
from tests.support.trustless import TrustlessGateway as Gateway
from tests.unit.storage.conftest import Content, TickingClock
from tests.unit.storage.test_http import Caller


@pytest.fixture
def origin(site: Content) -> Iterator[Gateway]:
    """A gateway that pins may name."""
    with trustless.gateway(site.blocks) as started:
        yield started


@pytest.fixture
def configured() -> Iterator[Gateway]:
    """The operator's gateway; it has nothing until a test says so."""
    with trustless.gateway({}) as started:
        yield started


@pytest.fixture
async def platform(
    database_url: str, tmp_path: Path, clock: TickingClock, origin: Gateway, configured: Gateway
) -> AsyncIterator[Platform]:
    settings = {
        "private_origins": origin.url,
        "retrieval_gateways": configured.url,
        "retrieval_patience_seconds": 1.0,
        "retrieval_seconds_max": 20,
        "pin_bytes_max": 4 << 20,
        "files_max": 2000,
    }
    async with open_platform(database_url, tmp_path, clock, **settings) as opened:
        yield opened


@pytest.fixture
def call(platform: Platform, owner: Context) -> Caller:
    return Caller(platform, owner.actor)


async def ask(call: Caller, content: Content, **more: Any) -> Any:
    reply = await call("POST", "/pins", json.dumps({"cid": cids.to_text(content.root), **more}).encode())
    assert reply.status == 202, reply.body
    return reply.json


async def status(call: Caller, asked: Any) -> tuple[str, str]:
    """The state of a request, and why it failed."""
    document = (await call("GET", f"/pins/{asked['requestid']}")).json
    return document["status"], document["info"].get("status_details", "")


async def work(system: Context) -> None:
    """What the worker does: every request that wants work comes to its end."""
    while waiting := await service.unfinished_pin_requests(system):
        for request_id in waiting:
            try:
                await service.fulfil_pin_request(system, request_id)
            except Error as error:
                await service.fail_pin_request(system, request_id, error)


async def pinned(call: Caller, system: Context, content: Content, **more: Any) -> Any:
    """A request that is at its good end."""
    project_id = (await projects.bootstrap(system)).project.id
    await system.get(storage.BlockStore).put(list(content.blocks.items()), scope=project_id)
    asked = await ask(call, content, **more)
    await work(system)
    assert await status(call, asked) == ("pinned", "")
    return asked


async def kept(owner: Context, project_id: ProjectId) -> list[str]:
    return [cids.to_text(pin.cid) for pin in await storage.list_pins(owner, project_id)]


async def listed(call: Caller, **query: str) -> list[str]:
    reply = await call("GET", f"/pins?{urlencode(query)}")
    assert reply.status == 200, reply.body
    return [each["pin"]["name"] for each in reply.json["results"]]
