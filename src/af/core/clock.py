"""The one place that reads the time. Everything else receives a `Clock`, so that tests can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The time of day, always in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved; for tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        self._now += step


def monotonic() -> float:
    """Seconds on a clock that never goes back; for durations and deadlines only."""
    return time.monotonic()


def iso(moment: datetime) -> str:
    """A moment as our JSON writes it: ``2026-01-31T14:05:00.000Z`` (RFC 3339). ``moment`` is in UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
