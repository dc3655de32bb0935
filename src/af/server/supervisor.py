"""The keeper: starts the parts, restarts what crashes, ends everything in order or, when the front is gone, at once.

It is a plain single-threaded loop over file descriptors and deadlines, and imports neither the database nor asyncio:
its memory counts, and a keeper that cannot block cannot hang.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from af.core.clock import monotonic
from af.server import journal, offspring, parts
from af.server.channel import Channel, Message
from af.server.errors import Failure, NotStartedInTime, PartCrashed
from af.server.parts import Crashes, PartSpec

PREPARE_SECONDS = 600.0
START_SECONDS = 120.0
_DRAIN_SLACK_SECONDS = 1.5
_KILL_SECONDS = 5.0
_FOREIGN_DELAY_SECONDS = 30.0
"""Between the starts of another's program that crashes all the time: the platform does without it meanwhile."""
_RELOAD_SECONDS = 1.0
_SOURCE_CHECK_SECONDS = 1.0

State = Literal["down", "starting", "ready", "stopping"]


class Ending(NamedTuple):
    """How the keeper ended: the exit code, and the error to show unless it was a wish."""

    code: int
    failure: Failure | None


@dataclass(slots=True)
class Part:
    """One part as it is now. ``due`` is the moment of its next restart (down) or its deadline (otherwise)."""

    spec: PartSpec
    state: State = "down"
    pid: int = 0
    channel: Channel | None = None
    due: float = 0.0
    crashes: Crashes = field(default_factory=Crashes)
    failure: Failure | None = None


class Keeper:
    """Runs the parts until it is told to stop; see `run`."""

    def __init__(
        self,
        specs: list[PartSpec],
        *,
        front: Channel,
        environment: Mapping[str, str],
        listener: int | None,
        log: int,
        drain_seconds: float,
        command: Callable[[PartSpec], list[str]] = parts.command,
        data: Path | None = None,
        sources: Path | None = None,
    ) -> None:
        """``data``: the folder whose log is to be kept small, when the log is a file; ``sources``: restart the parts
        when a Python file below changes (``--reload``)."""
        self._parts = [Part(spec) for spec in specs]
        self._front = front
        self._environment = environment
        self._listener = listener
        self._log = log
        self._drain_seconds = drain_seconds
        self._command = command
        self._data = data
        self._sources = sources
        self._selector = selectors.DefaultSelector()
        self._prepared = not any(spec.prepares for spec in specs)
        self._announced = False
        self._ending: Ending | None = None
        self._stopping = False
        self._facts: Message = {}
        self._next_chore = monotonic() + journal.LOG_CHECK_SECONDS
        self._newest = _newest_source(sources) if sources else 0.0
        self._next_source_check = monotonic() + _SOURCE_CHECK_SECONDS

    def run(self) -> Ending:
        """Start the parts and look after them. Returns once nothing is left below this process."""
        wakeup = _wake_on_signals()
        self._selector.register(self._front, selectors.EVENT_READ, self._hear_front)
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._hear_signals(wakeup))
        try:
            for part in self._parts:
                self._start(part)
            while not self._done():
                for key, _ in self._selector.select(max(0.0, self._next_due() - monotonic())):
                    key.data()
                self._collect_ended()
                self._keep_time()
        finally:
            offspring.kill_descendants(seconds=_KILL_SECONDS)
        return self._ending or Ending(0, None)

    # What the others say

    def _hear_front(self) -> None:
        for message in self._front.receive():
            if message["do"] == "stop" and not self._stopping:
                self._stop(Ending(0, None))
            elif message["do"] in ("stop", "kill"):
                self._end_now(self._ending or Ending(0, None))
        if self._front.closed:
            self._end_now(Ending(70, None))

    def _hear_signals(self, wakeup: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            if bytes([signal.SIGTERM]) in wakeup.recv(4096) and not self._stopping:
                self._stop(Ending(0, None))

    def _hear_part(self, part: Part) -> None:
        assert part.channel is not None
        for message in part.channel.receive():
            match message["event"]:
                case "prepared":
                    self._prepared = True
                    self._facts.update(message["facts"])
                    for other in self._parts:
                        self._go(other)
                case "ready":
                    self._became_ready(part)
                case "failed":
                    part.failure = Failure(**message["failure"])
        if part.channel.closed:
            self._selector.unregister(part.channel)
            part.channel.close()
            part.channel = None

    def _became_ready(self, part: Part) -> None:
        if part.state != "starting":
            return
        part.state = "ready"
        journal.write(self._log, "part ready", name=part.spec.name, pid=part.pid)
        if not self._announced and all(other.state == "ready" for other in self._parts if not other.spec.is_foreign):
            self._announced = True
            self._front.send({"event": "ready", "facts": self._facts})

    # What the clock says

    def _next_due(self) -> float:
        dues = [part.due for part in self._parts if part.state != "ready"]
        if self._data:
            dues.append(self._next_chore)
        if self._sources:
            dues.append(self._next_source_check)
        return min(dues, default=monotonic() + 3600)

    def _keep_time(self) -> None:
        now = monotonic()
        for part in self._parts:
            if part.state == "ready" or now < part.due:
                continue
            if part.state == "down" and not self._stopping:
                self._start(part)
            elif part.state == "starting":
                journal.write(self._log, "part did not start in time", level="error", name=part.spec.name, pid=part.pid)
                part.failure = Failure.of(NotStartedInTime(f"The {part.spec.name} did not become ready in time."))
                part.due = now + _KILL_SECONDS
                _kill_group(part.pid)
            elif part.state == "stopping":
                journal.write(self._log, "part killed", level="warning", name=part.spec.name, pid=part.pid)
                part.due = now + _KILL_SECONDS
                _kill_group(part.pid)
        if self._data and now >= self._next_chore:
            self._next_chore = now + journal.LOG_CHECK_SECONDS
            journal.rotate(self._data)
        if self._sources and now >= self._next_source_check:
            self._next_source_check = now + _SOURCE_CHECK_SECONDS
            self._restart_if_changed(self._sources)

    def _restart_if_changed(self, sources: Path) -> None:
        newest = _newest_source(sources)
        if newest == self._newest or self._stopping:
            return
        self._newest = newest
        journal.write(self._log, "sources changed: restarting the parts")
        for part in self._parts:
            part.crashes = Crashes()
            part.failure = None
            if part.channel is not None:
                part.state = "stopping"
                part.due = monotonic() + _RELOAD_SECONDS
                part.channel.send({"do": "stop"})

    # Starting, ending

    def _start(self, part: Part) -> None:
        part.failure = None
        part.pid, part.channel = parts.spawn(
            part.spec, self._command(part.spec), environment=self._environment, listener=self._listener, log=self._log
        )
        part.state = "starting"
        part.due = monotonic() + PREPARE_SECONDS
        channel = part.channel
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._hear_part(part))
        journal.write(self._log, "part started", name=part.spec.name, pid=part.pid)
        if self._prepared or part.spec.prepares:
            self._go(part)

    def _go(self, part: Part) -> None:
        """Tell a part that waits for the preparation to go on (the preparing part itself prepares first)."""
        if part.state == "starting" and part.channel is not None:
            if self._prepared:
                part.due = monotonic() + START_SECONDS
            part.channel.send({"do": "go", "prepare": part.spec.prepares and not self._prepared})

    def _collect_ended(self) -> None:
        ended = dict(offspring.reap())
        if not ended:
            return
        for part in self._parts:
            if part.pid in ended:
                self._part_ended(part, ended[part.pid])
        # What a dead part had started came to us: end it too.
        living = frozenset(part.pid for part in self._parts if part.pid)
        offspring.kill_descendants(spare=living, seconds=_KILL_SECONDS)

    def _part_ended(self, part: Part, status: int) -> None:
        if part.channel is not None:
            self._hear_part(part)  # its last words
        if part.channel is not None:
            self._selector.unregister(part.channel)
            part.channel.close()
            part.channel = None
        was, pid = part.state, part.pid
        part.state, part.pid = "down", 0
        how = offspring.describe_status(status)
        if was == "stopping" or self._stopping:
            journal.write(self._log, "part stopped", name=part.spec.name, pid=pid, how=how)
            part.due = monotonic()  # after a change of the sources: start it anew
            if self._stopping:
                self._stop_next()
            return
        delay = part.crashes.record(monotonic())
        if part.failure is not None and not self._announced:
            self._stop(Ending(part.failure.exit_code, part.failure))
        elif delay is None and not part.spec.is_foreign:
            journal.write(self._log, "part gave up", level="error", name=part.spec.name, pid=pid, how=how)
            failure = part.failure or Failure.of(_crashed_too_often(part.spec.name, how))
            self._stop(Ending(failure.exit_code, failure))
        else:
            delay = _FOREIGN_DELAY_SECONDS if delay is None else delay
            part.due = monotonic() + delay
            journal.write(
                self._log, "part crashed", level="error", name=part.spec.name, pid=pid, how=how, restart_seconds=delay
            )

    def _stop(self, ending: Ending) -> None:
        """Stop in reverse: first the edges, which finish their requests, then the worker, then the Kubo node."""
        self._ending = ending
        self._stopping = True
        if self._listener is not None:
            os.close(self._listener)  # once the edges have closed theirs too, new connections are refused
            self._listener = None
        self._stop_next()

    def _stop_next(self) -> None:
        if any(part.state == "stopping" for part in self._parts):
            return
        alive = [part for part in self._parts if part.pid]
        first = min((parts.STOP_ORDER.index(part.spec.kind) for part in alive), default=0)
        for part in [part for part in alive if parts.STOP_ORDER.index(part.spec.kind) == first]:
            part.state = "stopping"
            part.due = monotonic() + self._drain_seconds + _DRAIN_SLACK_SECONDS
            if part.spec.is_foreign:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(part.pid, signal.SIGTERM)
            elif part.channel is not None:
                part.channel.send({"do": "stop"})

    def _end_now(self, ending: Ending) -> None:
        self._ending = ending
        self._stopping = True
        offspring.kill_descendants(seconds=_KILL_SECONDS)
        for part in self._parts:
            part.pid, part.state = 0, "down"

    def _done(self) -> bool:
        return self._stopping and not any(part.pid for part in self._parts)


def _crashed_too_often(name: str, how: str) -> PartCrashed:
    return PartCrashed(
        f"The {name} ended by itself {parts.CRASHES_MAX} times within a minute ({how} the last time).",
        hint="Read its last log lines above (on a terminal: logs/platform.log in the data folder), then `af doctor`.",
    )


def _wake_on_signals() -> socket.socket:
    """A socket that becomes readable when a child ends or SIGTERM arrives. Terminal signals are the front's matter."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    writer_descriptor = writer.detach()  # lives as long as the process
    signal.set_wakeup_fd(writer_descriptor, warn_on_full_buffer=False)
    nothing: Callable[[int, object], None] = lambda _signal, _frame: None  # noqa: E731
    signal.signal(signal.SIGCHLD, nothing)
    signal.signal(signal.SIGTERM, nothing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return reader


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _newest_source(folder: Path) -> float:
    newest = 0.0
    for path in folder.rglob("*.py"):
        with contextlib.suppress(FileNotFoundError):
            newest = max(newest, path.stat().st_mtime)
    return newest
