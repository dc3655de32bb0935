"""The host table in memory: fresh after every ring, bounded, and stale rather than silent when the database fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from af.core.bell import Bell
from af.core.clock import monotonic
from af.core.db import DatabaseUnavailable
from af.core.errors import Error
from af.domains import HostEntry
from af.gateway.hosts import RETRY_SECONDS, HostTable, Site
from af.gateway.usage import Usage
from af.protocols import redirects
from af.protocols.ipfs import cid as cids
from tests.support.blocks import HostRows

ONE, TWO = (cids.of(cids.RAW, text) for text in (b"one", b"two"))


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path / "bell")
    yield made
    made.close()


def table(rows: HostRows, bell: Bell, hosts_max: int = 100) -> HostTable:
    return HostTable(rows, bell, hosts_max=hosts_max)


async def root(hosts: HostTable, name: str) -> cids.CID | None:
    site = await hosts.find("site", name)
    return None if site is None else site.root


async def test_a_name_is_looked_up_once_whether_it_is_bound_or_not(bell: Bell) -> None:
    rows = HostRows()
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    for _ in range(3):
        assert await root(hosts, "a") == ONE
        assert await root(hosts, "nobody") is None
    assert rows.lookups == 2


async def test_a_change_is_seen_by_the_request_after_the_ring(bell: Bell) -> None:
    rows = HostRows()
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    assert await root(hosts, "nobody") is None
    for number in range(50):
        want = TWO if number % 2 else ONE
        rows.bind("a", want)
        bell.ring("hosts")
        assert hosts.fresh("site", "a", monotonic()) is None
        assert await root(hosts, "a") == want
        fresh = hosts.fresh("site", "a", monotonic())
        assert fresh is not None
        assert fresh.root == want
    rows.bind("nobody", TWO)
    rows.bind("a", None)
    bell.ring("hosts")
    assert await root(hosts, "nobody") == TWO
    assert await root(hosts, "a") is None
    assert rows.lookups == 2


async def test_hundreds_of_changes_are_all_followed(bell: Bell) -> None:
    rows = HostRows()
    names = [f"s{number}" for number in range(1_300)]
    for name in names:
        rows.bind(name, ONE)
    hosts = table(rows, bell, hosts_max=2_000)
    for name in names:
        await hosts.find("site", name)
    for name in names:
        rows.bind(name, TWO)
    bell.ring("hosts")
    assert {await root(hosts, name) for name in names} == {TWO}
    assert rows.lookups == len(names)


class Overtaken(HostRows):
    """A change is committed and followed while a look-up, which has read the old row, is still on its way back."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self.bell = bell
        self.hosts: HostTable | None = None

    async def lookup(self, zone: str, name: str) -> HostEntry | None:
        entry = await super().lookup(zone, name)
        if name == "a" and self.hosts is not None:
            hosts, self.hosts = self.hosts, None
            self.bind("a", TWO)
            self.bell.ring("hosts")
            await hosts.find("site", "other")
        return entry


async def test_a_look_up_that_a_change_overtakes_is_not_kept(bell: Bell) -> None:
    rows = Overtaken(bell)
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    await hosts.find("site", "other")
    rows.hosts = hosts
    assert await root(hosts, "a") == TWO
    assert await root(hosts, "a") == TWO


class RingsWhileRead(HostRows):
    """Another change is committed right after the changes were read."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self.bell = bell
        self.armed = False

    async def changed_since(self, change_no: int, limit: int) -> Sequence[HostEntry]:
        changes = await super().changed_since(change_no, limit)
        if self.armed:
            self.armed = False
            self.bind("a", TWO)
            self.bell.ring("hosts")
        return changes


async def test_a_ring_during_the_reading_calls_for_another_round(bell: Bell) -> None:
    rows = RingsWhileRead(bell)
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    await hosts.find("site", "a")
    rows.armed = True
    bell.ring("hosts")
    assert await root(hosts, "a") == TWO


async def test_many_waiting_requests_share_one_refresh(bell: Bell) -> None:
    rows = HostRows()
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    await hosts.find("site", "a")
    rows.bind("a", TWO)
    bell.ring("hosts")
    assert set(await asyncio.gather(*(root(hosts, "a") for _ in range(50)))) == {TWO}
    assert rows.lookups == 1


async def test_known_sites_are_served_stale_while_the_database_fails_and_heal(bell: Bell) -> None:
    rows = HostRows()
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    await hosts.find("site", "a")
    rows.bind("a", TWO)
    rows.failure = DatabaseUnavailable("gone")
    bell.ring("hosts")
    assert await root(hosts, "a") == ONE
    assert hosts.fresh("site", "a", monotonic()) is not None, "the hot lane goes on, too"
    with pytest.raises(Error):
        await hosts.find("site", "unknown")
    rows.failure = None
    deadline = monotonic() + 10 * RETRY_SECONDS
    while await root(hosts, "a") != TWO:
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


class Hanging(HostRows):
    def __init__(self) -> None:
        super().__init__()
        self.hangs = False

    async def changed_since(self, change_no: int, limit: int) -> Sequence[HostEntry]:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().changed_since(change_no, limit)


async def test_a_database_that_hangs_delays_a_request_only_shortly(bell: Bell) -> None:
    rows = Hanging()
    rows.bind("a", ONE)
    hosts = table(rows, bell)
    await hosts.find("site", "a")
    rows.hangs = True
    bell.ring("hosts")
    started = monotonic()
    assert await root(hosts, "a") == ONE
    assert monotonic() - started < 2
    started = monotonic()
    for _ in range(20):
        assert await root(hosts, "a") == ONE
    assert monotonic() - started < 0.2, "only the first had to wait"


async def test_memory_is_bounded_and_the_least_used_names_leave(bell: Bell) -> None:
    rows = HostRows()
    for number in range(300):
        rows.bind(f"s{number}", ONE)
    hosts = table(rows, bell, hosts_max=50)
    for number in range(300):
        assert await root(hosts, f"s{number}") == ONE
        assert await root(hosts, "s0") == ONE
        assert await root(hosts, f"absent{number}") is None
    assert len(hosts._sites) == len(hosts._absent) == 50
    assert rows.lookups == 600, "s0 stayed"


async def test_changes_of_names_that_nobody_asked_for_take_no_memory(bell: Bell) -> None:
    rows = HostRows()
    hosts = table(rows, bell)
    await hosts.find("site", "a")
    for number in range(100):
        rows.bind(f"s{number}", ONE)
    bell.ring("hosts")
    await hosts.find("site", "a")
    assert not hosts._sites


async def test_usage_is_counted_by_site_across_its_names_and_taken_once(bell: Bell) -> None:
    rows = HostRows()
    rows.bind("a", ONE)
    rows.bind("aaaaaaaaaaaaaaaa--a", TWO)
    hosts = table(rows, bell)
    for name in ("a", "aaaaaaaaaaaaaaaa--a"):
        site = await hosts.find("site", name)
        assert site is not None
        site.usage.add(10)
    assert hosts.take_usage() == {"sit_a": (2, 20)}
    assert hosts.take_usage() == {}


def test_what_decides_the_responses_decides_the_scope() -> None:
    rows = HostRows()
    routes = {"redirects": redirects.to_json(redirects.parse("/a v=1 /b 200\n").rules)}
    entries = [
        rows.bind("a", ONE),
        rows.bind("a", TWO),
        rows.bind("a", ONE, routes=routes),
        rows.bind("aaaaaaaaaaaaaaaa--a", ONE),
    ]
    sites = [Site(entry, Usage()) for entry in entries]
    assert len({site.scope for site in sites}) == 4
    assert Site(rows.bind("b", ONE), Usage()).scope == sites[0].scope
    assert [site.asks_query for site in sites] == [False, False, True, False]
    assert [site.pinned for site in sites] == [False, False, False, True]
