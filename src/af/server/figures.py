"""The gauges of ``/metrics``: what is there rather than what happened, looked up when somebody asks, now and then."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

from af import replication, storage
from af.core.clock import monotonic
from af.core.context import SYSTEM, Platform
from af.core.errors import Error
from af.core.metrics import Gauges
from af.core.settings import Settings

_KEPT_SECONDS = 30.0
"""Counting blocks reads the whole index: not at every scrape."""
_PATIENCE_SECONDS = 2.0
_log = structlog.get_logger()


class Figures:
    """One process's view. A scrape waits `_PATIENCE_SECONDS` at most; it then shows what is known from before."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: Gauges = {}
        self._until = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def gauges(self) -> Gauges:
        if monotonic() >= self._until and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=_PATIENCE_SECONDS)
        return {**self._known, "af_disk_free_bytes": {(): free_bytes(self._platform.settings.data)}}

    async def _look(self) -> None:
        ctx = self._platform.context(SYSTEM)
        try:
            found = {**await storage.figures(ctx), **await replication.figures(ctx)}
        except Error as error:
            _log.warning("figures could not be read", reason=error.message, detail=error.detail)
            found = {}  # no figures rather than old ones
        self._known = found
        self._until = monotonic() + _KEPT_SECONDS


def free_bytes(data: Path) -> int:
    """What a process without special rights may still write on the data folder's disk."""
    room = os.statvfs(data)
    return room.f_bavail * room.f_frsize


def warning_bytes(settings: Settings) -> int:
    """Below this much free disk people are warned; always before writes are refused."""
    return max(settings.disk_warn_bytes, 2 * settings.disk_free_bytes_min)
