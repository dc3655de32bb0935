"""One lock per target and data folder: ``data/locks/<target>.lock``, held by flock, with the holder's pid inside.

The kernel frees a lock when its last holder ends, in whatever way. Front and keeper share it (fork), the parts do not
(close-on-exec): it is free exactly when nothing of the instance can write any more.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from af.core.clock import monotonic
from af.server.errors import AlreadyRunning

_DYING_SECONDS = 2.0
_POLL_SECONDS = 0.02


def folder(data: Path) -> Path:
    return data / "locks"


def take(data: Path, targets: Iterable[str], pid: int) -> list[int]:
    """Lock the targets and write ``pid`` into each; returns the descriptors, which hold the locks while open.

    A holder whose process is gone may still be ending its parts: that is waited for, two seconds at most.

    :raises AlreadyRunning: naming the holder's pid.
    """
    folder(data).mkdir(parents=True, exist_ok=True)
    held: list[int] = []
    deadline = monotonic() + _DYING_SECONDS
    try:
        for target in sorted(targets):
            held.append(_take_one(data, target, pid, deadline))
    except BaseException:
        release(held)
        raise
    return held


def release(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def holder(data: Path, target: str) -> int | None:
    """The pid written by the instance that holds the target's lock now; `None` when it is free."""
    path = folder(data) / f"{target}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written_pid(descriptor) or 0
        return None
    finally:
        os.close(descriptor)


def _take_one(data: Path, target: str, pid: int, deadline: float) -> int:
    path = folder(data) / f"{target}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                other = _written_pid(descriptor)
                living = other is not None and is_alive(other)  # no pid: its holder is about to write it
                if living or monotonic() > deadline:
                    raise _refusal(data, target, other) from None
                time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{pid}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refusal(data: Path, target: str, pid: int | None) -> AlreadyRunning:
    who = f"process {pid}" if pid else "another process"
    return AlreadyRunning(
        f"The {target} of {data} already runs as {who}.",
        hint=f"Use that instance, stop it with `kill {pid}`, or choose another folder with --data."
        if pid
        else "Stop that instance, or choose another folder with --data.",
    )


def _written_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
