"""A least-recently-used cache bounded by bytes: the only kind of cache in the gateway."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteLru(Generic[K, V]):
    """Keeps values while their sizes sum to at most ``bytes_max``; larger ones than a quarter of it are not kept.

    ``on_drop`` is called with each value that leaves (evicted or replaced).
    """

    def __init__(self, bytes_max: int, *, on_drop: Callable[[V], None] | None = None) -> None:
        self.bytes_max = bytes_max
        self.bytes_held = 0
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._on_drop = on_drop

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def admits(self, size_bytes: int) -> bool:
        """Whether a value of this size would be kept."""
        return size_bytes * 4 <= self.bytes_max

    def put(self, key: K, value: V, size_bytes: int) -> None:
        if not self.admits(size_bytes):
            return
        self.drop(key)
        self._values[key] = (value, size_bytes)
        self.bytes_held += size_bytes
        while self.bytes_held > self.bytes_max:
            self.drop(next(iter(self._values)))

    def drop(self, key: K) -> None:
        found = self._values.pop(key, None)
        if found is None:
            return
        self.bytes_held -= found[1]
        if self._on_drop is not None:
            self._on_drop(found[0])
