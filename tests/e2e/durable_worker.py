"""A worker process with one kind of work: rows whose steps leave a trace each. For tests of `af.core.workflows`.

``python -m tests.e2e.durable_worker DATABASE_URL DATA_FOLDER HOLDER LEASE_SECONDS`` prints ready, lost, tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import sqlalchemy as sa

from af.core import log
from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import Context, Platform
from af.core.db import Database, async_url
from af.core.errors import Conflict, Error, Unavailable
from af.core.settings import load
from af.core.workflows import Reconciler, Runtime, Schedule, Workflow

tables = sa.MetaData()
jobs = sa.Table(
    "jobs",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="queued"),
    sa.Column("steps", sa.Integer, nullable=False, server_default="1"),
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),
    sa.Column("runs", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.Text),
)
effects = sa.Table(
    "effects", tables, sa.Column("job", sa.Text), sa.Column("step", sa.Integer), sa.Column("pid", sa.Integer)
)
STEP_SECONDS = 0.2
LOST_STATUS = 9


async def run(ctx: Context, name: str) -> None:
    """Takes one step after the other and marks each. A run that was fenced off would mark a step a second time."""
    async with ctx.transaction() as tx:
        await tx.execute(jobs.update().where(jobs.c.name == name).values(runs=jobs.c.runs + 1))
        job = (await tx.execute(sa.select(jobs).where(jobs.c.name == name))).one()
    if job.kind == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.kind == "broken":
        raise Conflict("it can never work")
    if job.kind == "shaky" and job.runs == 1:
        raise Unavailable("not now")
    for step in range(job.step, job.steps):
        await asyncio.sleep(STEP_SECONDS)
        async with ctx.transaction() as tx:
            await tx.execute(effects.insert().values(job=name, step=step, pid=os.getpid()))
            state = "done" if step + 1 == job.steps else "running"
            await tx.execute(jobs.update().where(jobs.c.name == name).values(step=step + 1, state=state))


async def failed(ctx: Context, error: Exception, name: str) -> None:
    async with ctx.transaction() as tx:
        await tx.execute(jobs.update().where(jobs.c.name == name).values(state="failed", error=str(error)))


async def find(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    async with ctx.reading() as connection:
        query = sa.select(jobs.c.name).where(jobs.c.state.in_(["queued", "running"])).order_by(jobs.c.name)
        return [(f"test.job:{name}", (name,)) for name in (await connection.execute(query)).scalars()]


async def tick(ctx: Context) -> None:
    say("tick")


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def lost() -> None:
    say("lost")
    os._exit(LOST_STATUS)


async def main() -> None:
    database_url, data, holder, lease_seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    log.configure("info", part="worker")
    database = Database(async_url(database_url, data / "platform.sqlite"))
    platform = Platform(load({}, data=data, database_url=database_url), database, SystemClock(), Bell(data / "bell"))
    runtime = Runtime(
        platform,
        workflows=[Workflow("test.job", run, failed)],
        reconcilers=[Reconciler("test.unfinished", "test.job", find, every_seconds=0.5)],
        schedules=[Schedule("test.tick", 3600.0, tick)],
        holder=holder,
        lost=lost,
        lease_seconds=lease_seconds,
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await runtime.start()
    say("ready")
    await stopping.wait()
    await runtime.stop(0.1)
    await database.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(main())
        except Error as error:
            sys.exit(f"{error.reference} {error.message}")
