"""Who is which worker: a row per worker name, held by one process for a short time and renewed.

A workflow that was begun by worker ``worker-3`` belongs to that name. When the process behind a name dies, its lease
runs out and another process takes the name over, with everything that was begun under it. Taking over raises the row's
``fence``; a process that slept through its lease finds a higher fence, and `Lease.check` (run inside every write
transaction of a worker) refuses its writes. So two processes never both act as one worker, whatever their pauses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import Conflict, Unavailable

LEASE_SECONDS = 15.0
NAMES_MAX = 64

worker_leases = sa.Table(
    "worker_leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
)


class WorkerExists(Conflict):
    """Another worker is alive on a database that allows only one."""

    code = "worker_exists"
    number = 1105
    explain = "SQLite allows one worker process. Stop the other one, or move to PostgreSQL (AF_DATABASE_URL)."


class LeaseLost(Unavailable):
    """This worker was away for so long that another took its place."""

    code = "lease_lost"
    number = 1106
    explain = "A worker was paused for longer than its lease and another took over its work. It restarts by itself."


class NoWorker(Unavailable):
    """No worker process is alive."""

    code = "no_worker"
    number = 1107
    explain = "No worker renews its lease, so queued work stands still. Start one: `af up`, or `af serve worker`."


@dataclass(frozen=True, slots=True)
class Lease:
    """This process's claim on a worker name."""

    name: str
    holder: str
    fence: int
    seconds: float

    async def check(self, connection: AsyncConnection) -> None:
        """Inside a write transaction: still ours, and not to be taken before the transaction ends, or `LeaseLost`."""
        query = sa.select(worker_leases.c.fence).where(worker_leases.c.name == self.name)
        fence = (await connection.execute(query.with_for_update(read=True))).scalar()
        if fence != self.fence:
            raise LeaseLost(f"Another process has taken over {self.name}.")


async def acquire(ctx: Context, *, holder: str, seconds: float = LEASE_SECONDS) -> Lease:
    """Claim a worker name: one whose lease ran out, else a new one (on SQLite there is only one).

    :raises WorkerExists: SQLite, and the one worker is alive.
    """
    async with ctx.transaction() as tx:
        now = await _now(tx, ctx)
        await _exclusive(tx)
        rows = (await tx.execute(sa.select(worker_leases).order_by(worker_leases.c.name))).all()
        for row in rows:
            if row.expires_at <= now or row.holder == holder:
                await _take(tx, row.name, holder, row.fence + 1, now, seconds)
                return Lease(row.name, holder, row.fence + 1, seconds)
        if rows and tx.dialect.name == "sqlite":
            raise WorkerExists(
                "A worker already runs on this SQLite database.", hint="Use PostgreSQL (AF_DATABASE_URL) for several."
            )
        if len(rows) >= NAMES_MAX:
            raise WorkerExists(f"{NAMES_MAX} workers are alive already.")
        name = f"worker-{len(rows) + 1}"
        row_values = {"name": name, "holder": holder, "fence": 1, "expires_at": now + timedelta(seconds=seconds)}
        await tx.execute(worker_leases.insert().values(row_values))
        return Lease(name, holder, 1, seconds)


async def renew(ctx: Context, lease: Lease) -> None:
    """Extend the claim; :raises LeaseLost: it was taken over."""
    async with ctx.transaction() as tx:
        now = await _now(tx, ctx)
        query = sa.update(worker_leases).where(worker_leases.c.name == lease.name, worker_leases.c.fence == lease.fence)
        done = await tx.execute(query.values(expires_at=now + timedelta(seconds=lease.seconds)))
        if done.rowcount == 0:
            raise LeaseLost(f"Another process has taken over {lease.name}.")


async def release(ctx: Context, lease: Lease) -> None:
    """Give the name up at once, so that a successor need not wait."""
    async with ctx.transaction() as tx:
        query = sa.update(worker_leases).where(worker_leases.c.name == lease.name, worker_leases.c.fence == lease.fence)
        await tx.execute(query.values(expires_at=await _now(tx, ctx)))


async def take_expired(ctx: Context, lease: Lease, *, grace_seconds: float) -> list[str]:
    """The names of workers that have been dead for ``grace_seconds`` beyond their lease.

    Their fence is raised, so a sleeper that wakes up finds itself replaced; each death is given to one caller only."""
    async with ctx.transaction() as tx:
        now = await _now(tx, ctx)
        await _exclusive(tx)
        rows = (await tx.execute(sa.select(worker_leases).where(worker_leases.c.name != lease.name))).all()
        dead = [row for row in rows if row.holder and row.expires_at + timedelta(seconds=grace_seconds) <= now]
        for row in dead:
            await _take(tx, row.name, "", row.fence + 1, now, 0)
        return [row.name for row in dead]


async def check_worker(ctx: Context) -> None:
    """Nothing, or `NoWorker` when no worker's lease is fresh; for ``/ready``."""
    async with ctx.reading() as connection:
        latest = (await connection.execute(sa.select(sa.func.max(worker_leases.c.expires_at)))).scalar()
    if latest is None or latest <= ctx.now:
        raise NoWorker("No worker is running.", hint="Start one: `af up`, or `af serve worker`.")


async def _take(tx: AsyncConnection, name: str, holder: str, fence: int, now: datetime, seconds: float) -> None:
    values = {"holder": holder, "fence": fence, "expires_at": now + timedelta(seconds=seconds)}
    await tx.execute(sa.update(worker_leases).where(worker_leases.c.name == name).values(values))


async def _exclusive(tx: AsyncConnection) -> None:
    """Two workers never choose at the same time (SQLite's write lock sees to that by itself)."""
    if tx.dialect.name == "postgresql":
        await tx.execute(sa.text("LOCK TABLE worker_leases IN SHARE ROW EXCLUSIVE MODE"))


async def _now(tx: AsyncConnection, ctx: Context) -> datetime:
    """The time that all workers share: the database server's, where there is one."""
    if tx.dialect.name != "postgresql":
        return ctx.now
    now: datetime = (await tx.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return now
