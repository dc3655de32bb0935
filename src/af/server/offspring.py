"""Processes that never outlive their parent (Linux).

Three nets, each catching what the one before lets through: the kernel kills a part when its keeper dies
(``PR_SET_PDEATHSIG``); front and keeper adopt orphans (``PR_SET_CHILD_SUBREAPER``), so whatever a dead part had
started, in whatever session or group, is still below them; and `kill_descendants` ends everything below
until nothing is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import defaultdict

from af.core.clock import monotonic

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.005

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int | bytes) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends, and at once if it already did."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def name_process(name: str) -> None:
    """The name that ``ps`` and ``top`` show; at most 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def descendants(ancestor: int) -> list[int]:
    """Process ids of all living processes below ``ancestor``, zombies apart."""
    children: dict[int, list[int]] = defaultdict(list)
    zombies: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
            state, parent = stat.read().rpartition(")")[2].split()[:2]  # the name before ")" may hold anything
            children[int(parent)].append(int(entry))
            if state in "ZX":
                zombies.add(int(entry))
    found: list[int] = []
    pending = list(children[ancestor])
    while pending:
        pid = pending.pop()
        pending.extend(children[pid])
        if pid not in zombies:
            found.append(pid)
    return found


def kill_descendants(*, spare: frozenset[int] = frozenset(), seconds: float = 5.0) -> bool:
    """SIGKILL everything below this process until nothing is left; whether that succeeded in time.

    ``spare`` are children to leave alone together with what is below them. New children of the dying are found by
    looking again: orphans come to us (`adopt_orphans`).
    """
    deadline = monotonic() + seconds
    while True:
        spared = {pid for root in spare for pid in (root, *descendants(root))}
        targets = [pid for pid in descendants(os.getpid()) if pid not in spared]
        for pid in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not spare:
            reap()
        if not targets:
            return True
        if monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def reap() -> list[tuple[int, int]]:
    """Collect ended children: pairs of process id and raw wait status."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def describe_status(status: int) -> str:
    """A raw wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
