"""Subprocesses with captured output, deadlines instead of sleeps, and nothing left behind.

A started process leads its own process group, so that whatever it starts is found and ended with it, and the kernel
ends it when the test process dies in any way (Ctrl-C, kill -9, a crashed xdist worker).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.02
_LOG_TAIL_CHARS = 4000


class NotInTime(AssertionError):
    """What was waited for did not happen before the deadline, or the process ended first."""


def wait_until(look: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """Polls ``look`` until it returns something true and returns that; `NotInTime` naming ``what`` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if seen := look():
            return seen
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {seconds} s: {what}")
        time.sleep(_POLL_SECONDS)


@dataclass(slots=True)
class Process:
    """A running program; ``log`` is the file with all that it prints (standard output and standard error)."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, look: Callable[[], T | None], *, seconds: float = 20, what: str) -> T:
        """As the function `wait_until`, and fails at once with the log's end when the process exits first."""

        def look_or_fail() -> T | None:
            if seen := look():
                return seen
            if (status := self.popen.poll()) is not None:
                raise NotInTime(f"exited with {status} before: {what}")
            return None

        try:
            return wait_until(look_or_fail, seconds=seconds, what=what)
        except NotInTime as error:
            raise NotInTime(f"{error}\n--- end of {self.log}:\n{self.output()[-_LOG_TAIL_CHARS:]}") from None

    def wait_for_line(self, pattern: str, *, seconds: float = 20) -> re.Match[str]:
        """The first match of the regular expression (multi-line) in the output."""
        return self.wait_until(
            lambda: re.search(pattern, self.output(), re.MULTILINE),
            seconds=seconds,
            what=f"output matching {pattern!r}",
        )

    def wait_for_exit(self, *, seconds: float = 20) -> int:
        """The exit status (negative signal number when a signal ended it)."""
        wait_until(lambda: self.popen.poll() is not None, seconds=seconds, what=f"exit of {self.popen.args!r}")
        return self.popen.returncode

    def send(self, signal_number: int) -> None:
        """Sends a signal to the process alone, not to what it started."""
        self.popen.send_signal(signal_number)

    def group_remains(self) -> bool:
        """Whether the process or anything it started (in its group) still runs."""
        self.popen.poll()
        return bool(_living_members(self.pid))

    def stop(self, *, signal_number: int = signal.SIGTERM, seconds: float = 10) -> int:
        """Asks it to end and waits; kills its whole group when it does not. Returns the exit status; raises
        `NotInTime` when it had to be killed or left children behind. Harmless when it has ended already."""
        if self.popen.poll() is None:
            self.send(signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        late = self.popen.poll() is None
        left = _living_members(self.pid)
        if late or left:
            self.kill()
        if late:
            raise NotInTime(f"did not end within {seconds} s of signal {signal_number}: {self.popen.args!r}")
        if left:
            raise NotInTime(f"left processes behind: {sorted(left)} of {self.popen.args!r}")
        return self.popen.returncode

    def kill(self) -> None:
        """kill -9 for the whole group: the crash that recovery tests are about."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(10)
        wait_until(lambda: not _living_members(self.pid), seconds=10, what=f"end of process group {self.pid}")


def start(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    death_signal: str = "KILL",
    as_user: str | None = None,
) -> Process:
    """Starts a program with no standard input. ``env`` is the whole environment (None: ours); ``death_signal`` is what
    the kernel sends it when we die; ``as_user`` changes the user, for programs that refuse to be root."""
    user = ["--reuid", as_user, "--regid", as_user, "--init-groups"] if as_user else []
    command = ["setpriv", *user, "--pdeathsig", death_signal, "--", *map(str, arguments)]
    with log.open("ab") as sink:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, cwd=cwd, start_new_session=True
        )
    return Process(popen, log)


@contextlib.contextmanager
def running(arguments: Sequence[str | Path], *, log: Path, **options: object) -> Iterator[Process]:
    """`start` for a block; at its end the process is stopped, and killed when the block failed."""
    process = start(arguments, log=log, **options)  # type: ignore[arg-type]
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    process.stop()


def _living_members(group: int) -> set[int]:
    """Process ids in the group, zombies apart (they hold nothing, and only their parent can remove them)."""
    living = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _parent, process_group = stat.rpartition(")")[2].split()[:3]  # the name before ")" may hold anything
        if int(process_group) == group and state not in "ZX":
            living.add(int(entry.name))
    return living
