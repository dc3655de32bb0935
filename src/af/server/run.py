"""A part from the inside: wait for the keeper's word, prepare if told to, run the edge or the worker, stop in order."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Protocol

import uvloop

from af.core import log, settings
from af.core.errors import Error
from af.core.settings import Settings
from af.server.channel import Channel, Message
from af.server.errors import Failure
from af.server.parts import PartSpec


class Control:
    """The part's end of its channel to the keeper. When the keeper is gone, this process and its group end at once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._go: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.stopping = asyncio.Event()
        asyncio.get_running_loop().add_reader(channel.fileno(), self._hear)

    async def go(self) -> Message:
        """The keeper's word to begin; says whether to prepare."""
        return await self._go

    def send(self, message: Message) -> None:
        self._channel.send(message)

    def _hear(self) -> None:
        for message in self._channel.receive():
            if message["do"] == "stop":
                self.stopping.set()
            elif not self._go.done():
                self._go.set_result(message)
        if self._channel.closed:
            os.killpg(os.getpgrp(), signal.SIGKILL)


class RunPart(Protocol):
    """What `af.server.edge.run` and `af.server.worker.run` are: run until ``stopping`` is set, call ``ready`` once."""

    def __call__(
        self, spec: PartSpec, settings: Settings, *, ready: Callable[[], None], stopping: asyncio.Event
    ) -> Awaitable[None]: ...


def main(spec: PartSpec) -> None:
    """Run the part in this process; ends the process."""
    channel = Channel.from_descriptor(spec.control_descriptor)
    code = 0
    try:
        resolved = settings.load(os.environ)
        log.configure(resolved.log_level, part=spec.name)
        uvloop.run(_run(spec, resolved, channel, _imported(spec)))
    except Error as error:
        channel.send({"event": "failed", "failure": asdict(Failure.of(error))})
        code = error.exit_code
    except Exception:  # the edge of a process: the keeper restarts us, the log keeps the cause
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)  # nothing that still hangs in a thread may keep a stopped part alive


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
    control = Control(channel)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, control.stopping.set)
    go = asyncio.ensure_future(control.go())
    stop = asyncio.ensure_future(control.stopping.wait())
    await asyncio.wait({go, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not go.done():
        return
    if go.result()["prepare"]:
        from af.server import prepare

        facts = await prepare.prepare(resolved, os.environ, port=spec.port, welcomes=spec.welcomes)
        control.send({"event": "prepared", "facts": asdict(facts)})

    def ready() -> None:
        control.send({"event": "ready"})

    await run_part(spec, resolved, ready=ready, stopping=control.stopping)
