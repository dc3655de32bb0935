"""Events: nothing is lost, nothing comes twice, order is the order of commits."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from af.core import events
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.db import Database
from af.core.errors import TooLarge
from af.core.events import Event, EventsGone
from af.core.ids import ProjectId

PROJECT = ProjectId("prj_a")


async def publish(ctx: Context, number: int, *, project: ProjectId = PROJECT, topic: str = "site:1") -> None:
    await events.publish(ctx, project_id=project, topic=topic, kind="site.changed", data={"number": number})


async def collect(ctx: Context, count: int, *, after: int | None = 0, topic: str | None = None) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(20), aclosing(events.stream(ctx, project_id=PROJECT, topic=topic, after=after)) as all_:
        async for event in all_:
            found.append(event)
            if len(found) == count:
                break
    return found


def numbers(found: list[Event]) -> list[int]:
    return [event.data["number"] for event in found]


async def test_a_stream_replays_what_was_stored_and_then_follows(ctx: Context) -> None:
    await publish(ctx, 1)
    await publish(ctx, 2)
    reading = asyncio.create_task(collect(ctx, 4))
    await asyncio.sleep(0)
    await publish(ctx, 3)
    await publish(ctx, 4)
    found = await reading
    assert numbers(found) == [1, 2, 3, 4]
    assert [event.id for event in found] == sorted({event.id for event in found})
    assert found[0] == Event(found[0].id, PROJECT, "site:1", "site.changed", {"number": 1}, ctx.now)


async def test_a_stream_resumes_after_an_id(ctx: Context) -> None:
    for number in range(5):
        await publish(ctx, number)
    first = await collect(ctx, 2)
    assert numbers(await collect(ctx, 3, after=first[-1].id)) == [2, 3, 4]


async def test_without_an_id_a_stream_starts_now(ctx: Context) -> None:
    await publish(ctx, 1)
    stream = events.stream(ctx, project_id=PROJECT)
    async with asyncio.timeout(20), aclosing(stream):
        waiting = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        while not ctx.platform.bell.waiting:
            await asyncio.sleep(0.01)
        await publish(ctx, 2)
        assert (await waiting).data == {"number": 2}


async def test_a_stream_sees_only_its_project_and_topic(ctx: Context) -> None:
    await publish(ctx, 1, project=ProjectId("prj_b"))
    await publish(ctx, 2, topic="site:2")
    await publish(ctx, 3)
    assert numbers(await collect(ctx, 1, topic="site:1")) == [3]
    assert numbers(await collect(ctx, 2)) == [2, 3]


async def test_more_events_than_a_batch_come_in_order(ctx: Context) -> None:
    count = events.BATCH_ROWS * 2 + 7
    async with ctx.transaction():
        for number in range(count):
            await publish(ctx, number)
    assert numbers(await collect(ctx, count)) == list(range(count))


async def test_a_rolled_back_transaction_publishes_nothing_and_does_not_ring(ctx: Context) -> None:
    rung = ctx.platform.bell.read("events")
    with pytest.raises(RuntimeError):
        async with ctx.transaction():
            await publish(ctx, 1)
            raise RuntimeError
    assert await events.recorded(ctx, project_id=PROJECT) == []
    assert ctx.platform.bell.read("events") == rung


async def test_an_event_that_is_too_large_is_refused(ctx: Context) -> None:
    with pytest.raises(TooLarge):
        await events.publish(ctx, project_id=PROJECT, topic="t", kind="k", data={"text": "x" * events.DATA_BYTES_MAX})
    assert await events.recorded(ctx, project_id=PROJECT) == []


async def test_readers_miss_nothing_while_many_publish_in_long_transactions(ctx: Context) -> None:
    """Publishers that take their time between the insert and the commit; readers that resume after each event."""
    publishers, rounds = 8, 10
    readers = [asyncio.create_task(_resuming_reader(ctx, publishers * rounds)) for _ in range(3)]

    async def work(publisher: int) -> None:
        for round_ in range(rounds):
            async with ctx.transaction() as tx:
                await publish(ctx, publisher * 100 + round_)
                await tx.execute(sa.select(sa.func.count()).select_from(events.events))
                await asyncio.sleep(0.001 * (publisher % 3))

    await asyncio.gather(*(work(publisher) for publisher in range(publishers)))
    expected = sorted(publisher * 100 + round_ for publisher in range(publishers) for round_ in range(rounds))
    for found in await asyncio.gather(*readers):
        assert sorted(numbers(found)) == expected
        assert [event.id for event in found] == sorted(event.id for event in found)


async def _resuming_reader(ctx: Context, count: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < count:
        found += await collect(ctx, min(3, count - len(found)), after=found[-1].id if found else 0)
    return found


async def test_ids_rise_in_the_order_of_commits_not_of_publishing(ctx: Context) -> None:
    """A transaction that publishes first and commits last must not leave a lower id behind the readers."""
    if ctx.platform.database.dialect == "sqlite":
        pytest.skip("one writer at a time: there is nothing to interleave")
    published, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with ctx.transaction():
            await publish(ctx, 1)
            published.set()
            await go.wait()

    other = Database(ctx.platform.database.url)
    other_ctx = replace(ctx.platform, database=other).context(ctx.actor)
    late = asyncio.create_task(slow())
    await published.wait()
    await publish(other_ctx, 2)  # a second process, so to speak: would hang here if the first held the lock
    assert numbers(await collect(ctx, 1)) == [2]
    go.set()
    await late
    first, second = await collect(ctx, 2)
    assert (first.data["number"], second.data["number"]) == (2, 1)
    assert first.id < second.id
    await other.close()


async def test_old_events_are_pruned_and_late_readers_are_told(ctx: Context, clock: FixedClock) -> None:
    count = events.PRUNE_ROWS + 5
    async with ctx.transaction():
        for number in range(count):
            await publish(ctx, number)
    clock.advance(timedelta(seconds=ctx.settings.events_keep_seconds + 1))
    await publish(ctx, count)
    await publish(ctx, count + 1)
    assert await events.prune(ctx) == count
    assert await events.prune(ctx) == 0
    kept = await collect(ctx, 2)
    assert numbers(kept) == [count, count + 1]
    with pytest.raises(EventsGone) as gone:
        await collect(ctx, 1, after=3)
    assert gone.value.latest == kept[-1].id
    assert numbers(await collect(ctx, 1, after=kept[0].id)) == [count + 1]


async def test_the_newest_event_survives_pruning_so_that_ids_never_go_back(ctx: Context, clock: FixedClock) -> None:
    await publish(ctx, 1)
    [before] = await collect(ctx, 1)
    clock.advance(timedelta(days=400))
    assert await events.prune(ctx) == 0
    await publish(ctx, 2)
    [after] = await collect(ctx, 1, after=before.id)
    assert after.id > before.id


async def test_an_id_from_the_future_is_not_waited_for(ctx: Context) -> None:
    await publish(ctx, 1)
    with pytest.raises(EventsGone):
        await collect(ctx, 1, after=10_000)
