"""A part from the inside: wait for the keeper's word, prepare if told to, run the edge or the worker, stop in order."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Protocol

import uvloop

from af.core import log, metrics, settings
from af.core.errors import Error
from af.core.settings import Settings
from af.server import offspring
from af.server.channel import Channel, Message
from af.server.errors import Failure
from af.server.parts import PartSpec


class RunPart(Protocol):
    """What `af.server.edge.run` and `af.server.worker.run` are: run until ``stopping`` is set, call ``ready`` once."""

    def __call__(
        self, spec: PartSpec, settings: Settings, *, ready: Callable[[], None], stopping: asyncio.Event
    ) -> Awaitable[None]: ...


def main(spec: PartSpec) -> None:
    """Run the part in this process; ends the process."""
    channel = Channel.from_descriptor(spec.control_descriptor)

    def work() -> None:
        resolved = settings.load(os.environ)
        log.configure(resolved.log_level, part=spec.name)
        metrics.join()
        run_part = _imported(spec)
        messages = _wait(channel)
        if messages[0].get("prepare"):
            _in_a_fork(channel, lambda: _prepare(spec, resolved, channel))
        if not any(message["do"] == "stop" for message in messages):
            uvloop.run(_run(spec, resolved, channel, run_part))

    os._exit(_code_of(channel, work))  # nothing that still hangs in a thread may keep a stopped part alive


def _code_of(channel: Channel, work: Callable[[], None]) -> int:
    """Do the work; its failure goes to the keeper if it has a type, else to the log. Returns the exit status."""
    try:
        work()
    except Error as error:
        channel.send({"event": "failed", "failure": asdict(Failure.of(error))})
        return error.exit_code
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # the edge of a process: the keeper restarts us, the log keeps the cause
        traceback.print_exc()
        return 70
    return 0


def _wait(channel: Channel) -> list[Message]:
    """The keeper's word to begin or to stop, for which imports need not wait."""
    while True:
        select.select([channel], [], [])
        if messages := channel.receive():
            return messages
        if channel.closed:
            _end_at_once()


def _in_a_fork(channel: Channel, work: Callable[[], None]) -> None:
    """Do the work in a copy of this process, made before there are threads: what it imports and fills (25 MB at the
    first start) is gone with it.

    :raises SystemExit: with its status, if that is not 0; it has told why.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        offspring.die_with_parent(parent)
        os._exit(_code_of(channel, work))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        raise SystemExit(code if code > 0 else 70)


def _prepare(spec: PartSpec, resolved: Settings, channel: Channel) -> None:
    from af.server import prepare

    facts = uvloop.run(prepare.prepare(resolved, os.environ, port=spec.port, welcomes=spec.welcomes))
    channel.send({"event": "prepared", "facts": asdict(facts)})


def _imported(spec: PartSpec) -> RunPart:
    """The part's code. An edge never imports the workflow engine, nor a worker the HTTP edge."""
    if spec.prepares:
        from af.server import prepare  # noqa: F401 - imported while nobody waits for it yet
    if spec.kind == "edge":
        from af.server import edge

        return edge.run
    from af.server import worker

    return worker.run


async def _run(spec: PartSpec, resolved: Settings, channel: Channel, run_part: RunPart) -> None:
    """The part itself, until the keeper or SIGTERM wants it to stop."""
    stopping = asyncio.Event()

    def hear() -> None:
        if any(message["do"] == "stop" for message in channel.receive()):
            stopping.set()
        if channel.closed:
            _end_at_once()

    loop = asyncio.get_running_loop()
    loop.add_reader(channel.fileno(), hear)
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    await run_part(spec, resolved, ready=lambda: channel.send({"event": "ready"}), stopping=stopping)


def _end_at_once() -> None:
    """The keeper is gone: so are we, and our process group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
