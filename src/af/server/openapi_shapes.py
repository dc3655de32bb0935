"""The words that the table of REST routes is written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

JSON = "application/json"
TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
FLAG: dict[str, Any] = {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Operation:
    """``takes`` and ``gives`` are a content type and a schema; ``open`` means that no credentials are needed."""

    method: str
    path: str
    tag: str
    summary: str
    takes: tuple[str, dict[str, Any]] | None = None
    gives: tuple[int, str, dict[str, Any]] = (200, JSON, {})
    query: tuple[tuple[str, str], ...] = ()
    open: bool = False


def object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
