"""Wake-ups between processes on one machine: "something changed, look at the rows".

A bell is a small shared file with one 8-byte cell per topic. To ring is to write fresh random bytes into the topic's
cell *after* the change is committed; to listen is to compare the cell, through a memory map, with what was last seen,
which costs nanoseconds, so the gateway does it on every request. Random values (not a counter) keep two simultaneous
rings from cancelling out. Who waits is woken by inotify, so waiting costs nothing; where that is not to be had, the
cells are looked at now and then. A bell carries no data and may be missed by other machines: every listener also looks
at the rows from time to time, so a lost ring costs delay, never correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import mmap
import os
import secrets
from pathlib import Path
from typing import Literal

Topic = Literal["hosts", "events", "work", "names"]
TOPICS: tuple[Topic, ...] = ("hosts", "events", "work", "names")
_CELL_BYTES = 8
_LOOK_SECONDS = 0.05
"""Without inotify: how often a process looks for all its waiters at once. 20 looks a second cost 0.3 % of a core."""
_IN_MODIFY = 0x2


class Bell:
    """One process's view of the shared bell file at ``path``."""

    def __init__(self, path: Path, *, watch: bool = True) -> None:
        """``watch``: wait by inotify if this machine offers it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = _CELL_BYTES * len(TOPICS)
        if os.fstat(self._descriptor).st_size < size:
            os.ftruncate(self._descriptor, size)
        self._cells = mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ)
        self._watch = _watch(path) if watch else None
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that listens to the watch
        self._waiters: set[tuple[Topic, bytes, asyncio.Future[None]]] = set()
        self._next_look: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many tasks of this process wait."""
        return len(self._waiters)

    def ring(self, topic: Topic) -> None:
        """Tell every listener on this machine to look."""
        os.pwrite(self._descriptor, secrets.token_bytes(_CELL_BYTES), TOPICS.index(topic) * _CELL_BYTES)

    def read(self, topic: Topic) -> bytes:
        """The present value of the topic's cell; it differs from an earlier one if the bell rang since."""
        start = TOPICS.index(topic) * _CELL_BYTES
        return self._cells[start : start + _CELL_BYTES]

    async def wait(self, topic: Topic, seen: bytes, timeout_seconds: float) -> bytes:
        """Sleep until the topic's value differs from ``seen`` or the time is up; returns the present value."""
        self._listen()
        if (value := self.read(topic)) != seen:
            return value
        heard = asyncio.get_running_loop().create_future()
        waiter = (topic, seen, heard)
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_seconds):
                await heard
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)
        return self.read(topic)

    def close(self) -> None:
        """Let go of the file; nobody may wait any more."""
        if self._next_look is not None:
            self._next_look.cancel()
        if self._watch is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._watch)
            os.close(self._watch)
        self._cells.close()
        os.close(self._descriptor)

    def _listen(self) -> None:
        """See to it that the running loop hears the bell."""
        loop = asyncio.get_running_loop()
        if self._watch is None:
            if self._next_look is None or self._loop is not loop:
                self._next_look = loop.call_later(_LOOK_SECONDS, self._look)
        elif self._loop is not loop:
            loop.add_reader(self._watch, self._hear, self._watch)
        self._loop = loop

    def _look(self) -> None:
        self._wake()
        self._next_look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look) if self._waiters else None

    def _hear(self, watch: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(watch, 4096)  # what happened is in the cells
        self._wake()

    def _wake(self) -> None:
        for topic, seen, heard in self._waiters:
            if self.read(topic) != seen and not heard.done():
                heard.set_result(None)


def _watch(path: Path) -> int | None:
    """A descriptor that becomes readable when the file is written to; `None` if the system has none to give."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        return None
    if libc.inotify_add_watch(watch, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(watch)
        return None
    return watch
