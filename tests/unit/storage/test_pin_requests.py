"""Pin requests from the Pinning Service API to content that is kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from af import storage
from af.core.context import Context, Platform
from af.core.errors import Error
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from tests.support import trustless
from tests.support.platforms import open_platform
from tests.support.trustless import TrustlessGateway
from tests.unit.storage.conftest import Content, TickingClock
from tests.unit.storage.test_http import Caller


@pytest.fixture
def origin(site: Content) -> Iterator[TrustlessGateway]:
    """A gateway that pins may name."""
    with trustless.gateway(site.blocks) as started:
        yield started


@pytest.fixture
def configured() -> Iterator[TrustlessGateway]:
    """The operator's gateway; it has nothing until a test says so."""
    with trustless.gateway({}) as started:
        yield started


@pytest.fixture
async def platform(
    database_url: str, tmp_path: Path, clock: TickingClock, origin: TrustlessGateway, configured: TrustlessGateway
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


async def work(system: Context) -> None:
    """What the worker does: every request that wants work comes to its end."""
    while waiting := await service.unfinished_pin_requests(system):
        for request_id in waiting:
            try:
                await service.fulfil_pin_request(system, request_id)
            except Error as error:
                await service.fail_pin_request(system, request_id, error)


async def test_content_is_fetched_from_an_origin_and_kept(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content, origin: TrustlessGateway
) -> None:
    asked = await ask(call, site, name="site", origins=[origin.url], meta={"app": "x"})
    assert asked["status"] == "queued"
    await work(system)
    got = (await call("GET", f"/pins/{asked['requestid']}")).json
    assert got["status"] == "pinned", got
    wanted = {"cid": cids.to_text(site.root), "name": "site", "origins": [origin.url], "meta": {"app": "x"}}
    assert got["pin"] == wanted
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["site"]
    for cid, data in site.blocks.items():
        assert await system.get(storage.BlockStore).get(cid, public_only=True) == data
