"""The time that all machines share, near enough: this machine's clock, corrected by what the database's clock says."""

from __future__ import annotations

from datetime import datetime

import structlog

from af.core.clock import Clock, SystemClock, monotonic
from af.storage.backends.s3.store.facts import Facts

MARGIN_MILLISECONDS = 5_000
"""By how much two machines may differ after the correction."""
_CHECK_SECONDS = 300.0
_WARN_MILLISECONDS = 30_000
_log = structlog.get_logger()


class SharedTime:
    """Milliseconds since 1970. With SQLite there is one machine, and nothing is corrected."""

    def __init__(self, clock: Clock, facts: Facts) -> None:
        self._clock = clock
        self._facts = facts
        self._true = SystemClock()  # compared with the database's, so that a test's clock keeps its own time
        self._offset = 0
        self._checked_at: float | None = None
        self.margin = 0

    async def now(self) -> int:
        await self.check()
        return milliseconds(self._clock.now()) + self._offset

    async def at(self, moment: datetime) -> int:
        """A moment on this machine's clock."""
        await self.check()
        return milliseconds(moment) + self._offset

    async def check(self, *, anew: bool = False) -> None:
        """Compare the clocks, unless that was done lately."""
        if not anew and self._checked_at is not None and monotonic() - self._checked_at < _CHECK_SECONDS:
            return
        before = milliseconds(self._true.now())
        theirs = await self._facts.database_time()
        after = milliseconds(self._true.now())
        self._checked_at = monotonic()
        if theirs is None:
            return
        self.margin = MARGIN_MILLISECONDS
        self._offset = milliseconds(theirs) - (before + after) // 2
        if abs(self._offset) > _WARN_MILLISECONDS:
            _log.warning("this machine's clock differs from the database's", seconds=self._offset / 1000)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
