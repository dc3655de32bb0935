"""Durable work: what must happen even if a process dies in the middle. A thin layer over DBOS, for workers only.

The row is the truth. An edge writes a row and rings ``work``; a `Reconciler` finds rows that want work and starts a
`Workflow` under an id derived from the row, so that starting twice is starting once. DBOS records what has begun and,
after a crash, begins it again. A run is one step: it may run again from its start, so it is idempotent and keeps its
progress in rows.

Domains declare ``WORKFLOWS``, ``RECONCILERS`` and ``SCHEDULES`` in their ``jobs.py``; `Runtime` runs them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from af.core import leases
from af.core.bell import Topic
from af.core.context import SYSTEM, Context, Platform
from af.core.errors import Error
from af.core.leases import Lease, LeaseLost

Run = Callable[..., Awaitable[None]]
"""``async run(ctx, *args)``: the work. Arguments are text, from the row."""
Failed = Callable[..., Awaitable[None]]
"""``async failed(ctx, error, *args)``: bring the row to a final state after a run that ended with an exception."""

APPLICATION_VERSION = "1"
"""DBOS recovers work of the same version only. Raise it when a pending run cannot be continued by the new code."""
RUNNING_MAX = 4
_STATUS_FINAL = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_ATTEMPTS_MAX = 20
_QUEUE_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named piece of durable work."""

    name: str
    run: Run
    failed: Failed | None = None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Finds rows that want ``workflow``: ``find(ctx)`` gives (workflow id, arguments) pairs.

    It looks when ``topic`` rings, and every ``every_seconds`` anyway."""

    name: str
    workflow: str
    find: Callable[[Context], Awaitable[Sequence[tuple[str, tuple[str, ...]]]]]
    every_seconds: float = 5.0
    topic: Topic = "work"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work at regular times, once per period among all workers: ``run(ctx)`` every ``every_seconds``."""

    name: str
    every_seconds: float
    run: Callable[[Context], Awaitable[object]]


class Runtime:
    """The worker process's engine: a lease on a worker name, DBOS, reconcilers and schedules.

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
        self._workflows = {workflow.name: workflow for workflow in workflows}
        for schedule in schedules:
            self._workflows[schedule.name] = Workflow(schedule.name, _ignoring_period(schedule))
        self._reconcilers = reconcilers
        self._schedules = schedules
        self._platform = platform
        self._holder = holder
        self._lost = lost
        self._lease_seconds = lease_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._places = asyncio.Semaphore(RUNNING_MAX)
        self._lease: Lease | None = None

    async def start(self) -> None:
        """Claim a name, start DBOS (which recovers what that name had begun), then look for work.

        :raises leases.WorkerExists: SQLite, and another worker is alive.
        """
        self._loop = asyncio.get_running_loop()
        plain = self._platform.context(SYSTEM)
        self._lease = await leases.acquire(plain, holder=self._holder, seconds=self._lease_seconds)
        self._platform = replace(self._platform, fence=self._lease.check)
        await asyncio.to_thread(self._launch, self._lease.name)
        self._tasks = [
            asyncio.create_task(self._keep_lease(plain, self._lease)),
            *(asyncio.create_task(self._reconcile(reconciler)) for reconciler in self._reconcilers),
            *(asyncio.create_task(self._repeat(schedule)) for schedule in self._schedules),
        ]

    async def stop(self, drain_seconds: float) -> None:
        """Start nothing new, let what runs end within the time, give the name up. What is cut is begun again later."""
        from dbos import DBOS

        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                for _ in range(RUNNING_MAX):
                    await self._places.acquire()
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        if self._lease is not None:
            with contextlib.suppress(Error):
                await leases.release(self._platform.context(SYSTEM), self._lease)

    def _launch(self, executor: str) -> None:
        import logging

        from dbos import DBOS, DBOSConfig

        settings = self._platform.settings
        url = self._platform.database.url
        if url.get_backend_name() == "sqlite":
            system_url = f"sqlite:///{settings.data / 'workflows.sqlite'}"
        else:
            system_url = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        config: DBOSConfig = {
            "name": "alternatefutures",
            "system_database_url": system_url,
            "executor_id": executor,
            "application_version": APPLICATION_VERSION,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": _QUEUE_POLL_SECONDS,
            "scheduler_polling_interval_sec": 3600.0,
        }
        DBOS(config=config)
        logging.getLogger("dbos").handlers.clear()  # our root handler prints its warnings
        logging.getLogger("dbos").propagate = True

        def run(name: str, args: list[str]) -> None:
            self._run_durably(name, args)

        self._dbos_run = DBOS.workflow(name="af.run", max_recovery_attempts=_ATTEMPTS_MAX)(run)
        DBOS.launch()

    def _run_durably(self, name: str, args: list[str]) -> None:
        """In a DBOS thread: run the workflow on the platform's event loop, as one recorded step."""
        from dbos import DBOS

        def step() -> None:
            asyncio.run_coroutine_threadsafe(self._perform(name, args), self._loop).result()

        DBOS.run_step({"name": name}, step)

    async def _perform(self, name: str, args: list[str]) -> None:
        workflow = self._workflows[name]
        ctx = self._platform.context(SYSTEM, request_id=f"{name}:{args[0] if args else ''}")
        async with self._places:
            try:
                await workflow.run(ctx, *args)
            except LeaseLost:
                self._lost()
            except Exception as error:  # a job runner: the failure goes to the row and to the log
                ctx.log.error("workflow failed", workflow=name, arguments=args, exc_info=error)
                if workflow.failed is not None:
                    await workflow.failed(ctx, error, *args)

    async def _reconcile(self, reconciler: Reconciler) -> None:
        ctx = self._platform.context(SYSTEM, request_id=reconciler.name)
        bell = self._platform.bell
        while True:
            seen = bell.read(reconciler.topic)
            try:
                for workflow_id, args in await reconciler.find(ctx):
                    await self._begin(ctx, reconciler.workflow, workflow_id, list(args))
            except LeaseLost:
                self._lost()
            except Exception as error:  # a job runner: the next look may succeed
                ctx.log.error("reconciler failed", reconciler=reconciler.name, exc_info=error)
                await asyncio.sleep(min(1.0, reconciler.every_seconds))
            await bell.wait(reconciler.topic, seen, reconciler.every_seconds)

    async def _begin(self, ctx: Context, name: str, workflow_id: str, args: list[str]) -> None:
        """Start a workflow unless it has begun; a row whose workflow has ended is finished by ``failed``."""
        from dbos import DBOS, SetWorkflowID

        status = await asyncio.to_thread(DBOS.get_workflow_status, workflow_id)
        if status is None:

            def start() -> None:
                with SetWorkflowID(workflow_id):
                    DBOS.start_workflow(self._dbos_run, name, args)

            await asyncio.to_thread(start)
        elif status.status in _STATUS_FINAL:
            failed = self._workflows[name].failed
            ctx.log.error("workflow ended before its row did", workflow=name, id=workflow_id, status=status.status)
            if failed is not None:
                await failed(ctx, RuntimeError(f"the workflow ended as {status.status}"), *args)

    async def _repeat(self, schedule: Schedule) -> None:
        ctx = self._platform.context(SYSTEM, request_id=schedule.name)
        while True:
            since = self._platform.clock.now().timestamp()
            period = int(since // schedule.every_seconds)
            try:
                from dbos import DBOS

                workflow_id = f"{schedule.name}-{period}"
                if await asyncio.to_thread(DBOS.get_workflow_status, workflow_id) is None:
                    await self._begin(ctx, schedule.name, workflow_id, [str(period)])
            except Exception as error:  # a job runner: the next period may succeed
                ctx.log.error("schedule failed", schedule=schedule.name, exc_info=error)
            await asyncio.sleep(schedule.every_seconds - since % schedule.every_seconds)

    async def _keep_lease(self, ctx: Context, lease: Lease) -> None:
        """Renew our lease, and adopt the work of workers whose lease ran out (several workers: PostgreSQL)."""
        from dbos import DBOS

        while True:
            await asyncio.sleep(lease.seconds / 3)
            try:
                await leases.renew(ctx, lease)
                dead = await leases.take_expired(ctx, lease, grace_seconds=0)
                if dead:
                    ctx.log.warning("taking over", workers=dead)
                    await asyncio.to_thread(partial(DBOS._recover_pending_workflows, dead))
            except LeaseLost:
                self._lost()
            except Error as error:
                ctx.log.error("lease not renewed", reason=error.message, detail=error.detail)


def _ignoring_period(schedule: Schedule) -> Run:
    async def run(ctx: Context, _period: str, *_rest: Any) -> None:
        await schedule.run(ctx)

    return run
