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
    same turn of the event loop become one ``fetch``, and each key is fetched once. Lives as long as one request.

    Each call has a future of its own: when a field of a GraphQL query fails, the engine cancels what its siblings wait
    for, and a shared future would take the same key from the rest of the query.
    """

    def __init__(self, fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._fetch = fetch
        self._done: dict[Key, Value | BaseException | None] = {}
        self._readers: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._asked: list[Key] = []
        self._running: set[asyncio.Task[None]] = set()

    def load(self, key: Key) -> asyncio.Future[Value | None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value | None] = loop.create_future()
        if key in self._done:
            _settle(future, self._done[key])
            return future
        readers = self._readers.get(key)
        if readers is not None:
            readers.append(future)
            return future
        self._readers[key] = [future]
        if not self._asked:
            loop.call_soon(self._dispatch)
        self._asked.append(key)
        return future

    def _dispatch(self) -> None:
        keys, self._asked = self._asked, []
        for start in range(0, len(keys), BATCH_KEYS_MAX):
            task = asyncio.ensure_future(self._answer(keys[start : start + BATCH_KEYS_MAX]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(self, keys: list[Key]) -> None:
        try:
            found: Mapping[Key, Value | BaseException] = await self._fetch(keys)
        except BaseException as error:
            self._tell(dict.fromkeys(keys, error), keys)
            if not isinstance(error, Exception):
                raise
            return
        self._tell(found, keys)

    def _tell(self, found: Mapping[Key, Value | BaseException], keys: list[Key]) -> None:
        for key in keys:
            value = self._done[key] = found.get(key)
            for future in self._readers.pop(key):
                _settle(future, value)


def _settle(future: asyncio.Future[Value | None], value: Value | BaseException | None) -> None:
    if future.done():  # its reader was cancelled
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
        future.exception()  # counts as seen: the reader may be gone already
    else:
        future.set_result(value)
