"""The block store that the settings name, opened for a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from af.core.clock import Clock, SystemClock
from af.core.db import Database
from af.core.http import Client
from af.core.settings import InvalidSetting, Settings
from af.storage.backends import BlockStore
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.backends.segments import SegmentStore

if TYPE_CHECKING:
    from af.storage.backends.kubo import KuboStore

_TOUCH_SLACK_SECONDS = 30.0


@asynccontextmanager
async def open_blocks(
    settings: Settings, clock: Clock | None = None, *, database: Database | None = None
) -> AsyncIterator[BlockStore]:
    """Open the store below ``settings.data``; recovers what a crash left, in a thread. A store that many machines share
    has its index in ``database`` (by default: connections of its own).

    :raises StoreFailed: it cannot be opened. :raises InvalidSetting: Kubo without its address, S3 without bucket or key
    """
    clock = clock or SystemClock()
    directory = settings.data / "blocks"
    slack = min(_TOUCH_SLACK_SECONDS, settings.collect_grace_seconds)
    if settings.block_backend == "s3":
        from af.storage.backends.s3.configured import open_s3

        async with open_s3(settings, clock, slack, database) as shared:
            yield shared
        return
    if settings.block_backend == "kubo":
        store: SegmentStore | KuboStore = _kubo(settings, clock, slack)
    else:
        store = await asyncio.to_thread(
            partial(
                SegmentStore,
                directory,
                clock=clock,
                segment_bytes=settings.segment_bytes,
                free_bytes_min=settings.disk_free_bytes_min,
                touch_slack_seconds=slack,
            )
        )
    try:
        yield store
    finally:
        await store.close()


def open_kubo(settings: Settings, client: Client) -> KuboRpc | None:
    """The Kubo node that the settings name, if they name one."""
    if not settings.kubo_rpc_url:
        return None
    return KuboRpc(settings.kubo_rpc_url, client, token=settings.kubo_rpc_token)


def _kubo(settings: Settings, clock: Clock, slack: float) -> KuboStore:
    from af.storage.backends.kubo import KuboStore

    rpc = open_kubo(settings, Client())
    if rpc is None:
        raise InvalidSetting("AF_BLOCK_BACKEND is kubo, but AF_KUBO_RPC_URL is empty.", field="AF_KUBO_RPC_URL")
    # Its own folder: the two indexes mean different things.
    return KuboStore(settings.data / "blocks-kubo", rpc=rpc, clock=clock, touch_slack_seconds=slack)
