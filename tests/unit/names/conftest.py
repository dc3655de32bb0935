"""A platform with names on each database, the owner of a project, and a stranger with one of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from af import projects
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform
from af.core.ids import ProjectId
from tests.support.platforms import START, open_platform, user


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Platform]:
    mapped = "mapped.example:/ipfs/bafkqaddwgevxmmraojswg33smq/docs,circle.example:/ipns/circle.example"
    async with open_platform(database_url, tmp_path, clock, dnslink_map=mapped, dns_resolvers="off") as opened:
        yield opened


@pytest.fixture
def system(platform: Platform) -> Context:
    return platform.context(SYSTEM)


@pytest.fixture
def anybody(platform: Platform) -> Context:
    """As the gateway asks: nobody in particular, and no port but those that a reader has."""
    from af.core.context import ANONYMOUS
    from af.names import DnsLinks, RecordCache

    ports = {kind: platform.ports[kind] for kind in (DnsLinks, RecordCache)}
    return replace(platform, ports=ports).context(ANONYMOUS)


@pytest.fixture
async def owner(platform: Platform) -> Context:
    return await user(platform, "ada")


@pytest.fixture
async def project(owner: Context) -> ProjectId:
    return (await projects.create_project(owner, "names")).id


@pytest.fixture
async def stranger(platform: Platform) -> Context:
    return await user(platform, "eve")


@pytest.fixture
async def strangers_project(stranger: Context) -> ProjectId:
    return (await projects.create_project(stranger, "strange")).id
