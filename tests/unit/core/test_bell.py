"""The bell: rings reach every process at once, waiting costs nothing, a missed ring is never an error."""

from __future__ import annotations

import asyncio
import sys
from asyncio import create_subprocess_exec
from collections.abc import Iterator
from pathlib import Path

import pytest

from af.core.bell import TOPICS, Bell
from af.core.clock import monotonic


@pytest.fixture(params=[True, False], ids=["inotify", "looking"])
def bells(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bell, Bell]]:
    """Two views of one bell, as two processes have them."""
    pair = Bell(tmp_path / "bell", watch=request.param), Bell(tmp_path / "bell", watch=request.param)
    yield pair
    for bell in pair:
        bell.close()


async def test_a_ring_wakes_the_other_side(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    seen = here.read("events")
    waiting = asyncio.create_task(here.wait("events", seen, 20))
    while not here.waiting:
        await asyncio.sleep(0)
    there.ring("events")
    started = monotonic()
    assert await waiting != seen
    assert monotonic() - started < 5
    assert not here.waiting


async def test_a_ring_before_the_wait_is_not_missed(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    seen = here.read("work")
    there.ring("work")
    assert await here.wait("work", seen, 20) == there.read("work") != seen


async def test_topics_are_apart(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    before = {topic: here.read(topic) for topic in TOPICS}
    waiting = asyncio.create_task(here.wait("hosts", before["hosts"], 0.3))
    while not here.waiting:
        await asyncio.sleep(0)
    there.ring("events")
    assert await waiting == before["hosts"], "the time ran out"
    assert here.read("events") != before["events"]
    assert here.read("work") == before["work"]


async def test_every_waiter_is_woken_by_one_ring(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    seen = here.read("events")
    waiting = [asyncio.create_task(here.wait("events", seen, 20)) for _ in range(50)]
    while here.waiting < 50:
        await asyncio.sleep(0)
    there.ring("events")
    assert set(await asyncio.gather(*waiting)) == {there.read("events")}


async def test_waiting_again_and_again_hears_each_ring(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    for _ in range(5):
        seen = here.read("work")
        waiting = asyncio.create_task(here.wait("work", seen, 20))
        while not here.waiting:
            await asyncio.sleep(0)
        there.ring("work")
        assert await waiting != seen


async def test_a_cancelled_waiter_is_forgotten(bells: tuple[Bell, Bell]) -> None:
    here, there = bells
    waiting = asyncio.create_task(here.wait("work", here.read("work"), 20))
    while not here.waiting:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not here.waiting
    there.ring("work")


def test_a_bell_serves_one_event_loop_after_another(bells: tuple[Bell, Bell]) -> None:
    here, there = bells

    async def once() -> None:
        seen = here.read("work")
        asyncio.get_running_loop().call_later(0.01, there.ring, "work")
        assert await here.wait("work", seen, 20) != seen

    asyncio.run(once())
    asyncio.run(once())


async def test_another_process_is_heard(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bell")
    seen = bell.read("hosts")
    program = (
        "import sys; from pathlib import Path; from af.core.bell import Bell; Bell(Path(sys.argv[1])).ring('hosts')"
    )
    process = await create_subprocess_exec(sys.executable, "-c", program, str(tmp_path / "bell"))
    assert await bell.wait("hosts", seen, 30) != seen
    await process.wait()
    bell.close()
