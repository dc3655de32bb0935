"""Which workers are alive: a row per worker process, renewed while it lives.

Each process gets an executor id of its own, never used again; what it begins is recorded under that id. When a process
dies its lease runs out, the row is removed, and another worker begins its work anew. A process that slept through its
lease finds no row: `Lease.check`, run inside every write transaction of a worker, refuses its writes. The check also
locks the row until the commit, so a lease is never taken from under a write: two processes never both act on one piece
of work, whatever their pauses.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import Conflict, Unavailable

LEASE_SECONDS = 15.0

worker_leases = sa.Table(
    "worker_leases",
    metadata,
    sa.Column("executor", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
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
    """This process's claim to act as ``executor``."""

    executor: str
    holder: str
    seconds: float

    async def check(self, connection: AsyncConnection) -> None:
        """Inside a write transaction: still ours, and not to be taken before the transaction ends, or `LeaseLost`.

        A process that stops in the middle of a transaction keeps its locks only until the server ends its session."""
        query = sa.select(worker_leases.c.executor).where(worker_leases.c.executor == self.executor)
        if connection.dialect.name == "postgresql":
            milliseconds = str(int(self.seconds * 2000))
            limit = sa.func.set_config("idle_in_transaction_session_timeout", milliseconds, True)
            query = query.add_columns(limit).with_for_update(read=True)
        if (await connection.execute(query)).first() is None:
            raise LeaseLost("Another process has taken over this worker's work.")


async def acquire(ctx: Context, *, holder: str, seconds: float = LEASE_SECONDS) -> Lease:
    """Become a worker. ``holder`` names the place that has at most one (a data folder): its last process is dead.

    :raises WorkerExists: SQLite, and the one worker is alive.
    """
    async with ctx.transaction() as tx:
        now = await _now(tx, ctx)
        gone = sa.or_(worker_leases.c.holder == holder, worker_leases.c.expires_at <= now)
        if tx.dialect.name == "postgresql":
            gone = worker_leases.c.holder == holder  # the others have work to be taken over: see `live`
        await tx.execute(sa.delete(worker_leases).where(gone))
        if tx.dialect.name == "sqlite" and (await tx.execute(sa.select(worker_leases))).first() is not None:
            raise WorkerExists(
                "A worker already runs on this SQLite database.", hint="Use PostgreSQL (AF_DATABASE_URL) for several."
            )
        lease = Lease(f"worker-{secrets.token_hex(8)}", holder, seconds)
        row = {"executor": lease.executor, "holder": holder, "expires_at": now + timedelta(seconds=seconds)}
        await tx.execute(worker_leases.insert().values(row))
        return lease


async def renew(ctx: Context, lease: Lease) -> None:
    """Extend the claim; :raises LeaseLost: it was taken over."""
    async with ctx.transaction() as tx:
        expires_at = await _now(tx, ctx) + timedelta(seconds=lease.seconds)
        query = sa.update(worker_leases).where(worker_leases.c.executor == lease.executor)
        if (await tx.execute(query.values(expires_at=expires_at))).rowcount == 0:
            raise LeaseLost("Another process has taken over this worker's work.")


async def release(ctx: Context, lease: Lease) -> None:
    """Give the claim up at once, so that others need not wait for it to run out."""
    async with ctx.transaction() as tx:
        await tx.execute(sa.delete(worker_leases).where(worker_leases.c.executor == lease.executor))


async def live(ctx: Context) -> frozenset[str]:
    """The executors that are alive. Leases that ran out end here, so what is not in the answer never writes again."""
    async with ctx.transaction() as tx:
        expired = sa.select(worker_leases.c.executor).where(worker_leases.c.expires_at <= await _now(tx, ctx))
        # A dead worker's open transaction still holds its row: it counts as alive until the server has ended it.
        dead = (await tx.execute(expired.with_for_update(skip_locked=True))).scalars().all()
        if dead:
            await tx.execute(sa.delete(worker_leases).where(worker_leases.c.executor.in_(dead)))
        return frozenset((await tx.execute(sa.select(worker_leases.c.executor))).scalars())


async def check_worker(ctx: Context) -> None:
    """Nothing, or `NoWorker` when no worker's lease is fresh; for ``/ready``."""
    async with ctx.reading() as connection:
        latest = (await connection.execute(sa.select(sa.func.max(worker_leases.c.expires_at)))).scalar()
        now = await _now(connection, ctx)
    if latest is None or latest <= now:
        raise NoWorker("No worker is running.", hint="Start one: `af up`, or `af serve worker`.")


async def _now(connection: AsyncConnection, ctx: Context) -> datetime:
    """The time that all workers share: the database server's, where there is one."""
    if connection.dialect.name != "postgresql":
        return ctx.now
    now: datetime = (await connection.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return now
