"""DBOS, as far as we use it: a record of which runs have begun and ended, that begins again what a crash cut off.

Everything here blocks and is called from threads. Only workers use it: DBOS is imported when it is launched.
Checked against DBOS 3.4.0: starting an id twice is starting it once; a pending run of another executor is left alone
until someone asks for its recovery, which puts it into DBOS's internal queue, from which exactly one executor takes it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import URL

Perform = Callable[[str, str, list[str]], None]
"""``perform(workflow_id, name, args)`` in a thread of DBOS's. What it raises ends the run; `Cut` leaves it pending."""

FINAL = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
ATTEMPTS_MAX = 3
"""Begun anew this often after crashes; then the run counts as failed: it may be what crashes the worker."""
_VERSION = "1"
"""DBOS recovers runs of the same version only. Runs are a name and texts from a row, so all our versions are one."""
_UNFINISHED_MAX = 1000
_JOIN_SECONDS = 10.0
_FORGET_ROWS = 500
_NOTIFICATION_SECONDS = 0.5  # that thread sleeps in one piece, and stopping waits for it


class Cut(BaseException):
    """Ends a run without a word to DBOS (which records any `Exception`): the run stays pending, to be begun anew."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """``executors``: others that have begun what has not ended. ``queued``: recovered runs wait to be taken."""

    executors: frozenset[str]
    queued: bool


def system_url(database_url: URL, folder: Path) -> str:
    """Where DBOS keeps its records: a file of its own in ``folder``, or schema ``dbos`` of the same database."""
    if database_url.get_backend_name() == "sqlite":
        return f"sqlite:///{folder / 'workflows.sqlite'}"
    return database_url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


class Durable:
    """DBOS in this process (it is a singleton: one at a time)."""

    def __init__(self, url: str, executor: str, perform: Perform) -> None:
        self._url = url
        self._executor = executor
        self._perform = perform
        self._reader: tuple[threading.Thread, threading.Event] | None = None

    def launch(self) -> None:
        from dbos import DBOS, DBOSConfig

        if self._url.startswith("sqlite:///"):
            connection = sqlite3.connect(self._url.removeprefix("sqlite:///"))
            connection.execute("PRAGMA journal_mode = WAL")  # kept in the file; DBOS does not set it: half the fsyncs
            connection.close()
        config: DBOSConfig = {
            "name": "alternatefutures",
            "system_database_url": self._url,
            "sys_db_pool_size": 5,
            "executor_id": self._executor,
            "application_version": _VERSION,
            "log_level": "WARNING",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": _NOTIFICATION_SECONDS,
            "scheduler_polling_interval_sec": 3600.0,
        }
        DBOS(config=config)
        logger = logging.getLogger("dbos")
        logger.handlers.clear()  # our root handler prints its warnings
        logger.propagate = True
        perform = self._perform

        def run(name: str, args: list[str]) -> None:
            workflow_id = DBOS.workflow_id
            assert workflow_id is not None
            perform(workflow_id, name, args)

        self._run = DBOS.workflow(name="af.run", max_recovery_attempts=ATTEMPTS_MAX)(run)
        DBOS.launch()
        _silence()

    def destroy(self) -> None:
        from dbos import DBOS

        self.read_queue(False)
        DBOS.destroy(destroy_registry=True)

    def statuses(self, workflow_ids: Sequence[str]) -> dict[str, str]:
        """The statuses of those that have begun."""
        from dbos import DBOS

        found = DBOS.list_workflows(workflow_ids=list(workflow_ids), load_input=False, load_output=False)
        return {run.workflow_id: run.status for run in found}

    def begin(self, workflow_id: str, name: str, args: list[str]) -> bool:
        """Start a run unless the id has begun before; whether it runs in this process."""
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(workflow_id):
            handle = DBOS.start_workflow(self._run, name, args)
        return handle.get_status().executor_id == self._executor

    def unfinished(self) -> Unfinished:
        """What has begun and not ended, beside our own runs."""
        from dbos import DBOS

        found = DBOS.list_workflows(
            status=["PENDING", "ENQUEUED"], load_input=False, load_output=False, limit=_UNFINISHED_MAX
        )
        executors = {run.executor_id for run in found if run.status == "PENDING" and run.executor_id is not None}
        queued = any(run.status == "ENQUEUED" for run in found)
        return Unfinished(frozenset(executors - {self._executor}), queued)

    def recover(self, executors: Collection[str]) -> int:
        """Queue what these executors left pending; they must be dead for good. Returns how many runs that were."""
        from dbos import DBOS

        return len(DBOS._recover_pending_workflows(sorted(executors)))

    def read_queue(self, wanted: bool) -> None:
        """Whether to take runs from DBOS's internal queue (where recovered ones wait), each second."""
        from dbos._dbos import _get_dbos_instance
        from dbos._queue import queue_worker_thread

        if wanted and self._reader is None:
            dbos = _get_dbos_instance()
            stop = threading.Event()
            arguments = (stop, dbos, dbos._registry.get_internal_queue())
            thread = threading.Thread(target=queue_worker_thread, args=arguments, name="af-recovered", daemon=True)
            thread.start()
            self._reader = (thread, stop)
        elif not wanted and self._reader is not None:
            thread, stop = self._reader
            stop.set()
            thread.join(_JOIN_SECONDS)
            self._reader = None

    def delete(self, workflow_ids: Sequence[str]) -> None:
        """Forget that these were begun."""
        from dbos import DBOS

        DBOS.delete_workflows(list(workflow_ids))

    def forget(self, before: datetime) -> int:
        """Remove the records of runs that ended before a time; returns how many."""
        from dbos import DBOS

        removed = 0
        while True:
            found = DBOS.list_workflows(
                status=sorted(FINAL),
                completed_before=before.isoformat(),
                load_input=False,
                load_output=False,
                limit=_FORGET_ROWS,
            )
            if found:
                DBOS.delete_workflows([run.workflow_id for run in found])
            removed += len(found)
            if len(found) < _FORGET_ROWS:
                return removed


def _silence() -> None:
    """End the DBOS threads that look into the database each second for what we do not use: queues (`read_queue` does
    that when there is something), schedules, delays and time limits. They cost more than an idle worker may."""
    from dbos._dbos import _get_dbos_instance

    dbos = _get_dbos_instance()
    for stop in dbos.background_thread_stop_events:
        stop.set()
    dbos._background_jobs_stop_event.set()
