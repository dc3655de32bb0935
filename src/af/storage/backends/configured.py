"""The block store that the settings name, opened for a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from af.core.clock import Clock, SystemClock
from af.core.settings import Settings
from af.storage.backends import BlockStore
from af.storage.backends.segments import SegmentStore

_TOUCH_SLACK_SECONDS = 30.0


@asynccontextmanager
async def open_blocks(settings: Settings, clock: Clock | None = None) -> AsyncIterator[BlockStore]:
    """Open the store below ``settings.data``; recovers what a crash left, in a thread.

    :raises StoreFailed:
    """
    store = await asyncio.to_thread(
        partial(
            SegmentStore,
            settings.data / "blocks",
            clock=clock or SystemClock(),
            segment_bytes=settings.segment_bytes,
            free_bytes_min=settings.disk_free_bytes_min,
            touch_slack_seconds=min(_TOUCH_SLACK_SECONDS, settings.collect_grace_seconds),
        )
    )
    try:
        yield store
    finally:
        await store.close()
