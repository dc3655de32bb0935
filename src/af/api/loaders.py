"""What the resolvers of one request share: ``info.context["loaders"].get("sites", factory)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class Loaders:
    """A cache of one object per key, each made on first use; domains keep their batch loaders here."""

    def __init__(self) -> None:
        self._made: dict[str, object] = {}

    def get(self, key: str, factory: Callable[[], Value]) -> Value:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = factory()
        return found  # type: ignore[return-value] # a key always has the same factory

    def clear(self) -> None:
        """Forget what was loaded; between the events of a subscription."""
        self._made.clear()
