"""The front: what the user started. Checks, locks, binds, forks the keeper, then relays signals and news until the end.

Front and keeper are two processes so that `kill -9` of either leaves the other to end everything below (`offspring`).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from af.core.errors import Error
from af.core.settings import Settings, declared, load, to_environment
from af.server import journal, kubo, listen, locks, offspring, parts, preflight
from af.server.channel import Channel
from af.server.errors import Failure, PartCrashed, UnknownTarget
from af.server.supervisor import Ending, Keeper

_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """What is known once every part is ready. ``login_url`` is empty when nothing prepared (gateway alone)."""

    url: str
    api: str
    host: str
    pid: int
    login_url: str
    data: Path
    port: int
    log: Path | None
    """The log file, when the log does not go to standard error."""
    token: str
    """An owner's token that the platform's own command line may use now (not shown to anyone)."""


def resolve(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from the environment and the command line; texts given there are checked like those in the environment.

    :raises af.core.settings.InvalidSetting:
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    texts = {d.metadata["env"]: str(given[d.name]) for d in declared() if d.name in given}
    return load({**environment, **texts})


def targets_named(names: tuple[str, ...]) -> frozenset[str]:
    """:raises UnknownTarget: for names that are not a target or ``all``."""
    for name in names:
        if name not in (*parts.TARGETS, "all"):
            raise UnknownTarget(f"{name!r} is not a target.", hint=f"Targets: {', '.join(parts.TARGETS)}, all.")
    return frozenset(parts.TARGETS) if "all" in names else frozenset(names)


def launch(
    settings: Settings,
    targets: frozenset[str],
    *,
    environment: Mapping[str, str],
    on_ready: Callable[[Ready], None],
    sources: Path | None = None,
    command: Callable[[parts.PartSpec], list[str]] = parts.command,
) -> Ending:
    """Run the targets until a signal or a failure ends them; calls ``on_ready`` once, when all of them are ready.

    ``sources``: the parts are restarted when a Python file below that folder changes.
    SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP changes nothing.
    :raises af.core.errors.Error: the platform cannot be started here; nothing was left running.
    """
    settings = replace(settings, data=settings.data.absolute())
    os.umask(0o077)  # what the platform keeps is its owner's, whatever folder it was given
    preflight.check(settings, targets)
    held = locks.take(settings.data, targets | {kubo.LOCK} if settings.kubo else targets, os.getpid())
    try:
        if settings.kubo:
            node = kubo.prepare(settings)
            settings = node.settings
            held.append(node.reserved.detach())  # held and released with the locks
        listener = listen.bind(settings.host, settings.port)
    except BaseException:
        locks.release(held)
        raise
    port = int(listener.getsockname()[1])
    to_file = os.isatty(2)
    log = journal.open_log(settings.data) if to_file else 2
    child_environment = {
        **environment,
        **to_environment(settings),
        "PYTHONUNBUFFERED": "1",
        "PROMETHEUS_MULTIPROC_DIR": str(_metrics_folder(settings.data)),
    }
    specs = parts.plan(targets, workers=settings.workers, port=port, kubo=settings.kubo)

    offspring.adopt_orphans()
    ours, theirs = Channel.pair()
    keeper_pid = os.fork()
    if keeper_pid == 0:
        ours.close()
        os.setsid()  # terminal signals and signals to our group are the front's
        keeper = Keeper(
            specs,
            front=theirs,
            environment=child_environment,
            listener=listener.fileno(),
            log=log,
            drain_seconds=settings.drain_seconds,
            command=command,
            data=settings.data if to_file else None,
            sources=sources,
        )
        _run_keeper(keeper, theirs)
    theirs.close()
    listener.close()  # the keeper's copy lives on
    front = _Front(ours, keeper_pid)
    log_path = journal.log_path(settings.data) if to_file else None
    try:
        return front.run(lambda facts: on_ready(_ready(settings, port, facts, log_path)))
    finally:
        offspring.kill_descendants(seconds=_KILL_SECONDS)
        locks.release(held)


def _metrics_folder(data: Path) -> Path:
    """Where this instance's parts count (`af.core.metrics`); what dead instances left is removed."""
    folder = data / "metrics"
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        if left.name.isdigit() and not locks.is_alive(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    mine = folder / str(os.getpid())
    shutil.rmtree(mine, ignore_errors=True)
    mine.mkdir()
    return mine


def _ready(settings: Settings, port: int, facts: Mapping[str, str], log: Path | None) -> Ready:
    url = settings.url(settings.domain, port)
    login = facts.get("login", "")
    return Ready(
        url=url,
        api=f"{url}/graphql",
        host=settings.host,
        pid=os.getpid(),
        login_url=f"{url}/auth/link?token={login}" if login else "",
        data=settings.data,
        port=port,
        log=log,
        token=facts.get("token", ""),
    )


def _run_keeper(keeper: Keeper, front: Channel) -> None:
    """Never returns: the forked process must not run the caller's code (nor its exit handlers)."""
    code = 70
    try:
        offspring.name_process("af-keeper")
        offspring.adopt_orphans()  # not inherited by fork
        ending = keeper.run()
        code = ending.code
        front.send({"event": "end", "code": code, "failure": asdict(ending.failure) if ending.failure else None})
    except BaseException:  # the edge of a process: say why, then leave
        traceback.print_exc()
    finally:
        os._exit(code)


class _Front:
    """Relays signals to the keeper and news from it."""

    def __init__(self, channel: Channel, keeper_pid: int) -> None:
        self._channel = channel
        self._keeper_pid = keeper_pid
        self._ending: Ending | None = None
        self._signals = 0

    def run(self, on_ready: Callable[[Mapping[str, str]], None]) -> Ending:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        with reader, writer, selectors.DefaultSelector() as selector, self._signals_to(writer):
            selector.register(reader, selectors.EVENT_READ)
            selector.register(self._channel, selectors.EVENT_READ)
            while not self._channel.closed:
                for key, _ in selector.select():
                    if key.fileobj is reader:
                        self._relay(reader)
                        continue
                    for message in self._channel.receive():
                        if message["event"] == "ready":
                            on_ready(message["facts"])
                        elif message["event"] == "end":
                            failure = message["failure"]
                            self._ending = Ending(message["code"], Failure(**failure) if failure else None)
        return self._ending or self._keeper_lost()

    def _relay(self, reader: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in reader.recv(4096):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._signals += 1
                    self._channel.send({"do": "stop" if self._signals == 1 else "kill"})

    def _keeper_lost(self) -> Ending:
        how = "an unknown reason"
        with contextlib.suppress(ChildProcessError):
            how = offspring.describe_status(os.waitpid(self._keeper_pid, 0)[1])
        error: Error = PartCrashed(
            f"The keeper of the platform's processes ended by itself ({how}).", hint="Start it again with `af up`."
        )
        return Ending(error.exit_code, Failure.of(error))

    @contextlib.contextmanager
    def _signals_to(self, writer: socket.socket) -> Iterator[None]:
        def nothing(_signal: int, _frame: object) -> None: ...

        before = {number: signal.signal(number, nothing) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
