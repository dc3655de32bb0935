"""Wake-ups between processes on one machine: "something changed, look at the rows".

A bell is a small memory-mapped file with one 8-byte cell per topic. To ring is to write fresh random bytes into the
topic's cell *after* the change is committed; to listen is to compare the cell with what was last seen, which costs
nanoseconds, so the gateway does it on every request. Random values (not a counter) keep two simultaneous rings
from cancelling out. A bell carries no data and may be missed by other machines: every listener also looks at the
rows from time to time, so a lost ring costs delay, never correctness.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import secrets
from pathlib import Path
from typing import Literal

from af.core.clock import monotonic

Topic = Literal["hosts", "events", "work"]
TOPICS: tuple[Topic, ...] = ("hosts", "events", "work")
_CELL_BYTES = 8
_POLL_SECONDS = 0.02


class Bell:
    """One process's view of the shared bell file at ``path``."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = _CELL_BYTES * len(TOPICS)
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._cells = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def ring(self, topic: Topic) -> None:
        """Tell every listener on this machine to look."""
        start = TOPICS.index(topic) * _CELL_BYTES
        self._cells[start : start + _CELL_BYTES] = secrets.token_bytes(_CELL_BYTES)

    def read(self, topic: Topic) -> bytes:
        """The present value of the topic's cell; it differs from an earlier one if the bell rang since."""
        start = TOPICS.index(topic) * _CELL_BYTES
        return self._cells[start : start + _CELL_BYTES]

    async def wait(self, topic: Topic, seen: bytes, timeout_seconds: float) -> bytes:
        """Sleep until the topic's value differs from ``seen`` or the time is up; returns the present value."""
        deadline = monotonic() + timeout_seconds
        while (value := self.read(topic)) == seen and (left := deadline - monotonic()) > 0:
            await asyncio.sleep(min(_POLL_SECONDS, left))
        return value

    def close(self) -> None:
        self._cells.close()
