"""Durable work: what must happen even if a process dies in the middle. For workers; DBOS is behind `af.core.durable`.

The row is the truth. An edge writes a row and rings ``work``; a `Reconciler` finds rows that want work and starts a
`Workflow` under an id derived from the row, so that starting twice is starting once. DBOS records what has begun and,
after a crash, begins it again from its start: a run is idempotent and keeps its progress in rows.

Domains declare ``WORKFLOWS``, ``RECONCILERS`` and ``SCHEDULES`` in their ``jobs.py``; `Runtime` runs them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from af.core import durable, leases, metrics
from af.core.bell import Topic
from af.core.context import SYSTEM, Context, Platform
from af.core.durable import Cut, Durable
from af.core.errors import Error, Internal
from af.core.leases import Lease, LeaseLost

Run = Callable[..., Awaitable[object]]
"""``async run(ctx, *args)``: the work. Arguments are text, from the row."""
Failed = Callable[..., Awaitable[object]]
"""``async failed(ctx, error, *args)``: bring the row to a final state after a run that ended with an exception."""

RUNNING_MAX = 4
"""Runs at the same time in one lane of one process. Rows beyond that wait as rows."""
FOUND_MAX = 500
"""Rows that a reconciler looks at in one turn."""
RETRY_SECONDS = (1.0, 5.0, 25.0)
"""Pauses before a run that failed with a retryable `Error` is tried again; after the last one it has failed."""
_KEEP_RECORDS = timedelta(days=7)


class RunInterrupted(Internal):
    """A run was begun several times and never came to an end."""

    code = "run_interrupted"
    number = 1111
    explain = (
        "Background work was begun several times, and each time the worker process ended before the work did: it "
        "crashed or was stopped. Try again; if it happens again, the log says how the worker ended."
    )


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named piece of durable work. Without ``failed``, a row that still wants work is begun again after a failure.

    Runs take places in their ``lane`` only: what hangs in one (a mail server) or takes long (an archive) does not hold
    up another."""

    name: str
    run: Run
    failed: Failed | None = None
    lane: str = "main"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Finds rows that want ``workflow``: ``find(ctx)`` gives (workflow id, arguments) pairs, the oldest first.

    It looks when ``topic`` rings, and every ``every_seconds`` anyway."""

    name: str
    workflow: str
    find: Callable[[Context], Awaitable[Sequence[tuple[str, tuple[str, ...]]]]]
    every_seconds: float = 5.0
    topic: Topic = "work"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work at regular times, once per period among all workers: ``run(ctx)`` every ``every_seconds`` (counted from
    1970, so that all agree). A period in which no worker was alive at its start is made up for within it."""

    name: str
    every_seconds: float
    run: Callable[[Context], Awaitable[object]]


class Runtime:
    """The worker process's engine: a lease, DBOS, reconcilers and schedules.

    ``lost`` is called when another worker has taken over; it must end the process at once.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        workflows: Sequence[Workflow],
        reconcilers: Sequence[Reconciler],
        schedules: Sequence[Schedule],
        holder: str,
        lost: Callable[[], None],
        lease_seconds: float = leases.LEASE_SECONDS,
    ) -> None:
        self._platform = platform
        self._reconcilers = reconcilers
        self._schedules = [*schedules, Schedule("core.forget_workflows", 6 * 3600.0, self._forget)]
        self._workflows = {workflow.name: workflow for workflow in workflows}
        self._workflows |= {schedule.name: Workflow(schedule.name, _once(schedule)) for schedule in self._schedules}
        assert all(reconciler.workflow in self._workflows for reconciler in reconcilers), "reconcilers name a workflow"
        self._holder = holder
        self._lost = lost
        self._lease_seconds = lease_seconds
        self._loops: list[asyncio.Task[None]] = []
        self._places = {each.lane: asyncio.Semaphore(RUNNING_MAX) for each in self._workflows.values()}
        self._running: dict[str, str] = {}  # id -> lane of workflows begun in this process and not ended
        self._runs: set[asyncio.Task[Any]] = set()
        self._held_back = False
        self._stopping = False

    async def start(self) -> None:
        """Take a lease, start DBOS, begin anew what dead workers left, then look for work.

        :raises leases.WorkerExists: SQLite, and another worker is alive.
        """
        self._loop = asyncio.get_running_loop()
        plain = self._platform.context(SYSTEM)
        self._lease = await leases.acquire(plain, holder=self._holder, seconds=self._lease_seconds)
        self._platform = replace(self._platform, fence=self._lease.check)
        url = durable.system_url(self._platform.database.url, self._platform.settings.data)
        self._durable = Durable(url, self._lease.executor, self._perform_in_loop)
        await asyncio.to_thread(self._durable.launch)
        await self._adopt(plain)
        self._loops = [
            asyncio.create_task(self._keep_lease(plain, self._lease)),
            *(asyncio.create_task(self._reconcile(reconciler)) for reconciler in self._reconcilers),
            *(asyncio.create_task(self._repeat(schedule)) for schedule in self._schedules),
        ]

    async def stop(self, drain_seconds: float) -> None:
        """Start nothing new, let what runs end within the time, give the lease up. What is cut is begun again later."""
        keeping, *others = self._loops
        for loop in others:
            loop.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._runs:
            await asyncio.wait(self._runs, timeout=drain_seconds)
        self._stopping = True
        keeping.cancel()
        for run in self._runs:
            run.cancel()
        await asyncio.gather(keeping, *self._runs, return_exceptions=True)
        await asyncio.to_thread(self._durable.destroy)
        with contextlib.suppress(Error):
            await leases.release(self._platform.context(SYSTEM), self._lease)

    # --- runs

    def _perform_in_loop(self, workflow_id: str, name: str, args: list[str]) -> None:
        """In a thread of DBOS's: run the workflow on the platform's event loop and wait for its end."""
        if self._stopping:
            raise Cut
        work = asyncio.run_coroutine_threadsafe(self._perform(workflow_id, name, args), self._loop)
        try:
            work.result()
        except concurrent.futures.CancelledError:
            raise Cut from None

    async def _perform(self, workflow_id: str, name: str, args: list[str]) -> None:
        ctx = self._platform.context(SYSTEM, request_id=workflow_id)
        task = asyncio.current_task()
        assert task is not None
        self._runs.add(task)
        lane = self._workflows[name].lane
        self._running[workflow_id] = lane
        outcome = "cut"
        try:
            async with self._places[lane]:
                if self._stopping:
                    raise asyncio.CancelledError
                outcome = await self._attempt(ctx, self._workflows[name], args)
        except LeaseLost:
            self._lost()
            raise asyncio.CancelledError from None  # nothing of this run may be recorded
        finally:
            metrics.counter("af_workflows_total").labels(name, outcome).inc()
            self._runs.discard(task)
            self._running.pop(workflow_id, None)
            if self._held_back:
                self._held_back = False
                self._platform.bell.ring("work")

    async def _attempt(self, ctx: Context, workflow: Workflow, args: list[str]) -> str:
        """``ok`` or ``failed``, after retries; the failure is in the row and in the log."""
        pauses = iter(RETRY_SECONDS)
        while True:
            try:
                await workflow.run(ctx, *args)
                return "ok"
            except LeaseLost:
                raise
            except Exception as error:  # a job runner: the failure goes to the row and to the log
                pause = next(pauses, None) if isinstance(error, Error) and error.retryable else None
                if pause is None:
                    ctx.log.error("workflow failed", workflow=workflow.name, arguments=args, exc_info=error)
                    if workflow.failed is not None:
                        await workflow.failed(ctx, error, *args)
                    return "failed"
                ctx.log.warning("workflow will be tried again", workflow=workflow.name, arguments=args, why=str(error))
            await asyncio.sleep(pause)

    # --- finding work

    async def _reconcile(self, reconciler: Reconciler) -> None:
        ctx = self._platform.context(SYSTEM, request_id=reconciler.name)
        bell = self._platform.bell
        ended: set[str] = set()
        while True:
            seen = bell.read(reconciler.topic)
            try:
                ended = await self._look(ctx, reconciler, ended)
            except LeaseLost:
                self._lost()
                return
            except Exception as error:  # a job runner: the next look may succeed
                ctx.log.error("reconciler failed", reconciler=reconciler.name, exc_info=error)
                await asyncio.sleep(min(1.0, reconciler.every_seconds))
            await bell.wait(reconciler.topic, seen, reconciler.every_seconds)

    async def _look(self, ctx: Context, reconciler: Reconciler, ended: set[str]) -> set[str]:
        """Begin what has not begun. A workflow in ``ended`` was over before this look, so if its row still wants work,
        the run did not finish it; one that is over only now may have ended after the rows were read. Returns those."""
        wanted = list(await reconciler.find(ctx))[:FOUND_MAX]
        if not wanted:
            return set()
        known = await asyncio.to_thread(self._durable.statuses, [workflow_id for workflow_id, _ in wanted])
        lane = self._workflows[reconciler.workflow].lane
        for workflow_id, args in wanted:
            if workflow_id in self._running:
                continue
            if workflow_id not in known:
                if list(self._running.values()).count(lane) >= RUNNING_MAX:
                    self._held_back = True
                    continue
                await self._begin(reconciler.workflow, workflow_id, args)
            elif workflow_id in ended:
                await self._end(ctx, self._workflows[reconciler.workflow], workflow_id, known[workflow_id], args)
        return {workflow_id for workflow_id, status in known.items() if status in durable.FINAL}

    async def _begin(self, name: str, workflow_id: str, args: Sequence[str]) -> None:
        self._running[workflow_id] = self._workflows[name].lane
        here = False
        try:
            here = await asyncio.to_thread(self._durable.begin, workflow_id, name, list(args))
        finally:
            if not here:
                self._running.pop(workflow_id, None)

    async def _end(self, ctx: Context, workflow: Workflow, workflow_id: str, status: str, args: Sequence[str]) -> None:
        """The run is over but its row is not: crashed too often, or `failed` itself failed."""
        ctx.log.error("workflow ended before its row did", workflow=workflow.name, id=workflow_id, status=status)
        if workflow.failed is None:
            await asyncio.to_thread(self._durable.delete, [workflow_id])
        else:
            error = RunInterrupted("The work was interrupted too often.", hint="Try again.", detail=status)
            await workflow.failed(ctx, error, *args)

    async def _repeat(self, schedule: Schedule) -> None:
        ctx = self._platform.context(SYSTEM, request_id=schedule.name)
        while True:
            period, since = divmod(self._platform.clock.now().timestamp(), schedule.every_seconds)
            workflow_id = f"{schedule.name}-{period:.0f}"
            try:
                if not await asyncio.to_thread(self._durable.statuses, [workflow_id]):
                    await self._begin(schedule.name, workflow_id, ())
            except Exception as error:  # a job runner: the next period may succeed
                ctx.log.error("schedule failed", schedule=schedule.name, exc_info=error)
            await asyncio.sleep(schedule.every_seconds - since)

    # --- living and dying

    async def _keep_lease(self, ctx: Context, lease: Lease) -> None:
        while True:
            await asyncio.sleep(lease.seconds / 3)
            try:
                await leases.renew(ctx, lease)
                await self._adopt(ctx)
            except LeaseLost:
                self._lost()
                return
            except Exception as error:  # a job runner: the next turn may succeed; meanwhile the fence holds
                ctx.log.error("lease not renewed", exc_info=error)

    async def _adopt(self, ctx: Context) -> None:
        """Begin anew what dead workers left. First who has begun something, then who lives: an executor id is not
        used again, so one that was seen in the first look and is not alive in the second is dead for good."""
        unfinished = await asyncio.to_thread(self._durable.unfinished)
        dead = unfinished.executors and unfinished.executors - await leases.live(ctx)
        if dead:
            count = await asyncio.to_thread(self._durable.recover, dead)
            ctx.log.warning("work of dead workers is begun anew", workers=sorted(dead), count=count)
        await asyncio.to_thread(self._durable.read_queue, bool(dead) or unfinished.queued)

    async def _forget(self, ctx: Context) -> None:
        await asyncio.to_thread(self._durable.forget, ctx.now - _KEEP_RECORDS)


def _once(schedule: Schedule) -> Run:
    async def run(ctx: Context) -> None:
        await schedule.run(ctx)

    return run
