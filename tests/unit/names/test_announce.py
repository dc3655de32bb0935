"""Records go to a real Kubo node, which then resolves the names; while it is away they wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af import names, projects
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.http import Client
from af.core.ids import ProjectId
from af.names import service
from af.storage.backends.kubo_rpc import KuboRpc
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS
from tests.support.kubo import KuboDaemon, kubo_or_skip
from tests.support.platforms import open_platform, user
from tests.support.ports import free_port

pytestmark = [pytest.mark.kubo, pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)]
ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"


@pytest.fixture(scope="module")
def kubo() -> Iterator[KuboDaemon]:
    with KuboDaemon(kubo_or_skip()) as daemon:
        yield daemon


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime.now(UTC))  # Kubo goes by the real one


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    async with open_platform(database_url, tmp_path, clock, kubo_rpc_url="http://127.0.0.1:1") as opened:
        yield opened


async def published(platform: Platform) -> tuple[Context, ProjectId, str]:
    owner = await user(platform, "ada")
    project = (await projects.create_project(owner, "names")).id
    return owner, project, (await names.create(owner, project, value=ROOT)).name


async def announced(platform: Platform, node: str) -> int:
    """What the worker does with a node at this address: returns how many records were due."""
    platform.ports[KuboRpc] = KuboRpc(node, Client())  # type: ignore[index]
    system = platform.context(SYSTEM)
    found = await service.to_announce(system)
    for record_id, _ in found:
        await service.announce(system, record_id)
    return len(found)


async def test_a_record_reaches_the_node_and_again_in_time(
    platform: Platform, kubo: KuboDaemon, clock: FixedClock
) -> None:
    owner, project, name = await published(platform)

    assert await announced(platform, kubo.api_url) == 1
    assert kubo.repository.run("name", "resolve", name).decode().strip() == ROOT
    assert await announced(platform, kubo.api_url) == 0

    await names.publish(owner, project, name, ROOT + "/next")
    assert await announced(platform, kubo.api_url) == 1
    assert kubo.repository.run("name", "resolve", "--nocache", name).decode().strip() == ROOT + "/next"

    clock.advance(timedelta(hours=12))
    assert await announced(platform, kubo.api_url) == 1


async def test_records_wait_while_the_node_is_away(platform: Platform, kubo: KuboDaemon) -> None:
    _, _, name = await published(platform)

    assert await service.to_announce(platform.context(SYSTEM)) == []  # none is configured
    assert await announced(platform, f"http://127.0.0.1:{free_port()}") == 0
    assert await announced(platform, kubo.api_url) == 1
    assert kubo.repository.run("name", "resolve", name).decode().strip() == ROOT
