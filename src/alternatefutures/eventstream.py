"""Reading ``text/event-stream`` (HTML Living Standard §9.2.6, "Interpreting an event stream")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from alternatefutures.errors import NetworkError

EVENT_BYTES_MAX = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a CR at the very end may be half of CR LF


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: ``data`` is decoded when it is JSON, else the text."""

    id: str
    kind: str
    data: Any


def parse(pieces: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of a body that comes in pieces of any size; an unfinished last one is dropped.

    :raises NetworkError: one event is larger than 1 MiB.
    """
    pending = b""
    identifier, kind, lines, held = "", "message", list[str](), 0
    for piece in pieces:
        pending += piece
        *complete, pending = _LINE_END.split(pending)
        if held + len(pending) > EVENT_BYTES_MAX:
            raise NetworkError("The platform sent an event that is too large.")
        for raw in complete:
            line = raw.decode("utf-8", "replace").removeprefix("\ufeff")
            if not line:
                if lines:
                    yield ServerEvent(identifier, kind, _decoded("\n".join(lines)))
                kind, lines, held = "message", [], 0
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id" and "\0" not in value:
                identifier = value
            elif name == "event":
                kind = value
            elif name == "data":
                lines.append(value)
                held += len(value)
                if held > EVENT_BYTES_MAX:
                    raise NetworkError("The platform sent an event that is too large.")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
