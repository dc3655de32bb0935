"""Durable work in real worker processes that are killed, stopped and paused: everything happens, and nothing twice."""

from __future__ import annotations

import asyncio
import collections
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from af.core import durable, events, leases
from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import SYSTEM, Context, Platform
from af.core.db import Database, async_url, migration_engine
from af.core.leases import NoWorker
from af.core.settings import load
from tests.e2e.durable_worker import LOST_STATUS, effects, jobs, tables
from tests.support.processes import Process, start

LEASE_SECONDS = 2.0
_NEEDED = (events.events, leases.worker_leases)
StartWorker = Callable[..., Process]


@pytest.fixture
async def ctx(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Context]:
    url = async_url(empty_database_url, Path())
    engine = migration_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(tables.create_all)
        for table in _NEEDED:
            await connection.run_sync(table.create)
    await engine.dispose()
    settings = load({}, data=tmp_path, database_url=empty_database_url)
    database, bell = Database(url), Bell(tmp_path / "bell")
    yield Platform(settings, database, SystemClock(), bell).context(SYSTEM)
    await database.close()
    bell.close()


@pytest.fixture
def start_worker(ctx: Context, empty_database_url: str, tmp_path: Path) -> Iterator[StartWorker]:
    started: list[Process] = []

    def begin(holder: str = "here", *, lease_seconds: float = LEASE_SECONDS) -> Process:
        command = [sys.executable, "-m", "tests.e2e.durable_worker", empty_database_url, tmp_path, holder]
        log = tmp_path / f"worker-{len(started)}.log"
        process = start([*command, str(lease_seconds)], log=log, cwd=Path(__file__).parents[2])
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()


async def ready(process: Process) -> Process:
    await asyncio.to_thread(process.wait_for_line, "^ready$", seconds=30)
    return process


async def add(ctx: Context, name: str, *, kind: str = "plain", steps: int = 1, ring: bool = True) -> None:
    async with ctx.transaction() as tx:
        await tx.execute(jobs.insert().values(name=name, kind=kind, steps=steps))
        if ring:
            ctx.ring("work")


async def job(ctx: Context, name: str) -> Any:
    async with ctx.reading() as connection:
        return (await connection.execute(sa.select(jobs).where(jobs.c.name == name))).one()


async def until(ctx: Context, name: str, wanted: Callable[[Any], bool], *, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not wanted(row := await job(ctx, name)):
        assert time.monotonic() < deadline, f"still {row}"
        await asyncio.sleep(0.02)
    return row


async def until_done(ctx: Context, name: str, *, seconds: float = 30) -> Any:
    return await until(ctx, name, lambda row: row.state == "done", seconds=seconds)


async def marks(ctx: Context) -> list[tuple[str, int, int]]:
    async with ctx.reading() as connection:
        return [
            tuple(row) for row in await connection.execute(sa.select(effects).order_by(effects.c.job, effects.c.step))
        ]


async def assert_each_step_once(ctx: Context, name: str, steps: int) -> None:
    assert [step for where, step, _ in await marks(ctx) if where == name] == list(range(steps))


def postgresql_only(ctx: Context) -> None:
    if ctx.platform.database.dialect != "postgresql":
        pytest.skip("SQLite allows one worker")


async def test_a_killed_worker_s_run_goes_on_after_a_restart(ctx: Context, start_worker: StartWorker) -> None:
    first = await ready(start_worker())
    await add(ctx, "a", steps=6)
    await until(ctx, "a", lambda row: row.step >= 2)
    first.send(signal.SIGKILL)
    start_worker()
    assert (await until_done(ctx, "a")).runs == 2
    await assert_each_step_once(ctx, "a", 6)


async def test_a_stopped_worker_leaves_its_run_to_the_next(ctx: Context, start_worker: StartWorker) -> None:
    first = await ready(start_worker())
    await add(ctx, "a", steps=8)
    await until(ctx, "a", lambda row: row.step >= 1)
    first.send(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait_for_exit, seconds=5) == 0
    assert (await job(ctx, "a")).state == "running"
    start_worker("elsewhere")  # the lease was given up: nothing to wait for
    assert (await until_done(ctx, "a")).runs == 2
    await assert_each_step_once(ctx, "a", 8)


async def test_a_row_that_nobody_rang_for_is_found(ctx: Context, start_worker: StartWorker) -> None:
    await add(ctx, "before", ring=False)
    await ready(start_worker())
    await until_done(ctx, "before")
    await add(ctx, "after", ring=False)
    assert (await until_done(ctx, "after")).runs == 1


async def test_many_rows_run_once_each_however_often_they_are_looked_at(
    ctx: Context, start_worker: StartWorker
) -> None:
    names = [f"job-{number:02d}" for number in range(20)]
    for holder in ("here", "there") if ctx.platform.database.dialect == "postgresql" else ("here",):
        await ready(start_worker(holder, lease_seconds=15))
    for name in names:
        await add(ctx, name)
    for name in names:
        ctx.ring("work")
        assert (await until_done(ctx, name)).runs == 1
    assert collections.Counter(where for where, _, _ in await marks(ctx)) == dict.fromkeys(names, 1)


async def test_a_failing_run_brings_its_row_to_an_end(ctx: Context, start_worker: StartWorker) -> None:
    await ready(start_worker())
    await add(ctx, "a", kind="broken")
    row = await until(ctx, "a", lambda row: row.state == "failed")
    assert (row.runs, row.error) == (1, "it can never work")


async def test_a_run_that_may_be_retried_is(ctx: Context, start_worker: StartWorker) -> None:
    await ready(start_worker())
    await add(ctx, "a", kind="shaky")
    assert (await until_done(ctx, "a")).runs == 2


async def test_a_run_that_kills_its_worker_is_given_up(ctx: Context, start_worker: StartWorker) -> None:
    await add(ctx, "a", kind="poison")
    starts = 0
    while (await job(ctx, "a")).state != "failed":
        starts += 1
        assert starts <= 6
        worker = await ready(start_worker())
        deadline = time.monotonic() + 15
        while worker.popen.poll() is None and (await job(ctx, "a")).state != "failed":
            assert time.monotonic() < deadline, worker.output()
            await asyncio.sleep(0.02)
    assert "interrupted too often" in (await job(ctx, "a")).error
    assert (await job(ctx, "a")).runs == starts - 1 == durable.ATTEMPTS_MAX + 1
    await add(ctx, "b")
    await until_done(ctx, "b")


async def test_scheduled_work_runs_once_a_period_whatever_restarts(ctx: Context, start_worker: StartWorker) -> None:
    if time.time() % 3600 > 3540:
        pytest.skip("the hour is about to change")
    first = start_worker()
    await asyncio.to_thread(first.wait_for_line, "^tick$", seconds=30)
    first.send(signal.SIGTERM)
    await asyncio.to_thread(first.wait_for_exit, seconds=5)
    second = await ready(start_worker())
    await add(ctx, "a")
    await until_done(ctx, "a")
    assert "tick" not in second.output()


async def test_sqlite_refuses_a_second_worker(ctx: Context, start_worker: StartWorker) -> None:
    if ctx.platform.database.dialect != "sqlite":
        pytest.skip("PostgreSQL allows many")
    first = await ready(start_worker("here", lease_seconds=5))
    second = start_worker("there", lease_seconds=5)
    assert await asyncio.to_thread(second.wait_for_exit, seconds=20) == 1
    assert "AF1105" in second.output()
    await add(ctx, "a")
    await until_done(ctx, "a")
    assert first.popen.poll() is None


async def test_readiness_knows_whether_a_worker_lives(ctx: Context, start_worker: StartWorker) -> None:
    with pytest.raises(NoWorker):
        await leases.check_worker(ctx)
    worker = await ready(start_worker())
    await leases.check_worker(ctx)
    worker.send(signal.SIGKILL)
    deadline = time.monotonic() + LEASE_SECONDS + 5
    while time.monotonic() < deadline:
        try:
            await leases.check_worker(ctx)
        except NoWorker:
            return
        await asyncio.sleep(0.05)
    pytest.fail("a dead worker counts as alive")


async def test_another_worker_finishes_a_killed_one_s_work(ctx: Context, start_worker: StartWorker) -> None:
    postgresql_only(ctx)
    first = await ready(start_worker("here"))
    await add(ctx, "a", steps=40)  # far from done when the second worker has started
    await until(ctx, "a", lambda row: row.step >= 1)
    second = await ready(start_worker("there"))
    killed_at = time.monotonic()
    first.send(signal.SIGKILL)
    row = await until_done(ctx, "a", seconds=60)
    work_seconds = 40 * 0.2
    # the lease runs out, the next renewal (a third of a lease) sees it, DBOS's queue is read each second
    assert time.monotonic() - killed_at < LEASE_SECONDS * 4 / 3 + 1.1 + work_seconds + 2.5  # the rest: a busy machine
    assert row.runs == 2
    assert {pid for where, step, pid in await marks(ctx) if step == 39} == {second.pid}
    await assert_each_step_once(ctx, "a", 40)


async def test_a_paused_worker_that_lost_its_lease_does_nothing_more(ctx: Context, start_worker: StartWorker) -> None:
    postgresql_only(ctx)
    first = await ready(start_worker("here"))
    for name in ("a", "b", "c"):
        await add(ctx, name, steps=30)
    await until(ctx, "c", lambda row: row.step >= 1)
    second = await ready(start_worker("there"))
    first.send(signal.SIGSTOP)
    await until(ctx, "a", lambda row: row.runs == 2)
    await until(ctx, "a", lambda row: row.step >= 6)
    first.send(signal.SIGCONT)
    assert await asyncio.to_thread(first.wait_for_exit, seconds=LEASE_SECONDS + 10) == LOST_STATUS
    for name in ("a", "b", "c"):
        assert (await until_done(ctx, name, seconds=60)).runs == 2
        await assert_each_step_once(ctx, name, 30)
    assert second.popen.poll() is None
