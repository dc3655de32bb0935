"""Batches: values that are asked for one by one and fetched together, so that a list never costs a query per row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
BATCH_KEYS_MAX = 1_000


class Batch(Generic[Key, Value]):
    """``load(key)`` is an awaitable for the key's value (`None` when there is none); keys that are asked for in the
    same turn of the event loop become one ``fetch``, and each key is fetched once. Lives as long as one request."""

    def __init__(self, fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._fetch = fetch
        self._known: dict[Key, asyncio.Future[Value | None]] = {}
        self._waiting: list[Key] = []
        self._running: set[asyncio.Task[None]] = set()

    def load(self, key: Key) -> asyncio.Future[Value | None]:
        future = self._known.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._known[key] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._dispatch)
            self._waiting.append(key)
        return future

    def _dispatch(self) -> None:
        keys, self._waiting = self._waiting, []
        for start in range(0, len(keys), BATCH_KEYS_MAX):
            task = asyncio.ensure_future(self._answer(keys[start : start + BATCH_KEYS_MAX]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(self, keys: list[Key]) -> None:
        try:
            found = await self._fetch(keys)
        except BaseException as error:
            for key in keys:
                future = self._known[key]
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # several fields may wait for one failure: it counts as seen
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        for key in keys:
            future = self._known[key]
            if not future.done():  # its reader may have been cancelled
                future.set_result(found.get(key))
