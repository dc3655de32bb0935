"""The processes that the keeper looks after: what each is, how it is started, and when to give up on it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from af.server.channel import Channel

Kind = Literal["edge", "worker", "kubo"]
STOP_ORDER: tuple[Kind, ...] = ("edge", "worker", "kubo")
"""First who answers requests, then who works on their account, then what both use."""
TARGETS: tuple[str, ...] = ("gateway", "api", "worker")
EDGE_TARGETS = frozenset({"gateway", "api"})

CRASHES_MAX = 5
CRASH_WINDOW_SECONDS = 60.0
_DELAY_FIRST_SECONDS = 0.1
_DELAY_MAX_SECONDS = 5.0

_CONTROL_DESCRIPTOR = 3
_LISTEN_DESCRIPTOR = 4
_ENVIRONMENT_KEY = "AF_PART"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """What a part is told at its start. ``listens`` means that descriptor 4 is the listening socket."""

    kind: Kind
    index: int
    targets: tuple[str, ...]
    port: int
    listens: bool
    prepares: bool
    """Whether this part makes the platform's data ready before the others go on (migrations, owner, profile)."""
    welcomes: bool
    """Whether the preparation is also for people: owner, profile and login link. Only where the API is."""
    keeper: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.index}" if self.kind == "edge" else self.kind

    @property
    def is_foreign(self) -> bool:
        """Whether it is another's program: it hears signals only, nobody waits for it, and it is never given up."""
        return self.kind == "kubo"

    @property
    def control_descriptor(self) -> int:
        return _CONTROL_DESCRIPTOR

    @property
    def listen_descriptor(self) -> int:
        return _LISTEN_DESCRIPTOR

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PartSpec:
        values = json.loads(environment[_ENVIRONMENT_KEY])
        return cls(**{**values, "targets": tuple(values["targets"])})


def plan(targets: frozenset[str], *, workers: int, port: int, kubo: bool = False) -> list[PartSpec]:
    """The parts that run these targets, and a Kubo node beside them. The worker prepares when there is one that can,
    else the first edge does; the gateway alone only reads, so nothing prepares."""
    edge_targets = tuple(sorted(targets & EDGE_TARGETS))
    has_worker, has_api = "worker" in targets, "api" in targets
    parts = []
    if has_worker:
        parts.append(
            PartSpec(
                kind="worker",
                index=0,
                targets=("worker",),
                port=port,
                listens=not edge_targets,
                prepares=True,
                welcomes=has_api,
            )
        )
    for index in range(workers if edge_targets else 0):
        prepares = has_api and not has_worker and index == 0
        parts.append(
            PartSpec(
                kind="edge",
                index=index,
                targets=edge_targets,
                port=port,
                listens=True,
                prepares=prepares,
                welcomes=has_api,
            )
        )
    if kubo:
        parts.append(
            PartSpec(kind="kubo", index=0, targets=(), port=port, listens=False, prepares=False, welcomes=False)
        )
    return parts


@dataclass(slots=True)
class Crashes:
    """When a part ended by itself, and so how long to wait before it is started again."""

    times: deque[float] = field(default_factory=deque)
    in_a_row: int = 0

    def record(self, now: float) -> float | None:
        """Seconds to wait before the restart; `None` after five crashes within a minute: give up."""
        if self.times and now - self.times[-1] > CRASH_WINDOW_SECONDS:
            self.in_a_row = 0
        self.times.append(now)
        self.in_a_row += 1
        while now - self.times[0] > CRASH_WINDOW_SECONDS:
            self.times.popleft()
        if len(self.times) >= CRASHES_MAX:
            return None
        delay: float = _DELAY_FIRST_SECONDS * 2 ** (self.in_a_row - 1)
        return min(delay, _DELAY_MAX_SECONDS)


def command(spec: PartSpec) -> list[str]:
    """The part's own interpreter. ``-P`` keeps the working folder, which may hold anything, off its import path."""
    return [sys.executable, "-P", "-m", "af.server.child", spec.name]


def spawn(
    spec: PartSpec, arguments: list[str], *, environment: Mapping[str, str], listener: int | None, log: int
) -> tuple[int, Channel]:
    """Start the part's program in its own session; returns its pid and our end of its control channel.

    It inherits the control channel, the listening socket if it listens, and ``log`` as standard output and error;
    nothing else.
    """
    ours, theirs = Channel.pair()
    high = [_above(theirs.fileno())]  # dup2 to 3 and 4 must not overwrite a source
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
        (os.POSIX_SPAWN_DUP2, high[0], _CONTROL_DESCRIPTOR),
    ]
    if spec.listens and listener is not None:
        high.append(_above(listener))
        actions.append((os.POSIX_SPAWN_DUP2, high[1], _LISTEN_DESCRIPTOR))
    told = {**asdict(spec), "keeper": os.getpid()}
    try:
        pid = os.posix_spawn(
            arguments[0],
            arguments,
            {**environment, _ENVIRONMENT_KEY: json.dumps(told)},
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE],
        )
    finally:
        for descriptor in high:
            os.close(descriptor)
        theirs.close()
    return pid, ours


def _above(descriptor: int) -> int:
    """A close-on-exec duplicate numbered beyond those that the part will use."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
