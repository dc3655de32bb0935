"""A redirect rule as a value, and as JSON in the host table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from af.protocols.sitefiles import Rejected

REDIRECTS = frozenset({301, 302, 303, 307, 308})
REWRITES = frozenset({200, 404, 410, 451})
SPLAT = "splat"
"""The name under which ``*`` is captured."""

PLACEHOLDER = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")
ABSOLUTE = re.compile(r"(https?|ipfs|ipns)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
"""Scheme, authority, the rest."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. ``source`` and ``to`` are as the author wrote them; ``query`` holds ``(name, value or :capture)``."""

    source: str
    to: str
    status: int = 301
    forced: bool = False
    query: tuple[tuple[str, str], ...] = ()
    line: int = 0

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"from": self.source, "to": self.to, "status": self.status, "line": self.line}
        if self.forced:
            value["forced"] = True
        if self.query:
            value["query"] = [list(pair) for pair in self.query]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        query = tuple((name, wanted) for name, wanted in value.get("query", ()))
        return cls(value["from"], value["to"], value["status"], value.get("forced", False), query, value["line"])


@dataclass(frozen=True, slots=True)
class ParsedRedirects:
    rules: tuple[Rule, ...]
    rejected: tuple[Rejected, ...]


def to_json(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [rule.to_json() for rule in rules]


def from_json(values: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    return tuple(Rule.from_json(value) for value in values)
