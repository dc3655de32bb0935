"""Structured logs: one JSON object a line on stderr, with the part that wrote it and the request it belongs to.

Keys that name secrets are blanked, and so is the text of our own tokens wherever it stands, so a token that gets into a
log call by mistake does not get into the log.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SECRET_WORDS = ("token", "password", "secret", "authorization", "cookie", "master_key", "private_key")
_HARMLESS = frozenset({"token_id"})
_HIDDEN = "[hidden]"
_TOKEN = re.compile(r"af_live_[0-9A-Za-z]+")


def configure(level: str, *, part: str) -> None:
    """Set up logging for this process; ``part`` (edge, worker, …) is in every line.

    Libraries that use the standard `logging` come out in the same form, at warning and above.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _naming(part),
        structlog.processors.format_exc_info,
        _redact,  # after it: a traceback may quote a token
    ]
    sink = cast(TextIO, _Sink(sys.stderr))
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False, default=str)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sink),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)


class _Sink:
    """A stream that loses what it cannot write: on a full disk a log line must not make a request fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            pass


def _naming(part: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["part"] = part
        return event

    return add


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        lowered = key.lower()
        if lowered not in _HARMLESS and any(word in lowered for word in _SECRET_WORDS):
            event[key] = _HIDDEN
        elif isinstance(value, str):
            if "af_live_" in value:
                event[key] = _TOKEN.sub(_HIDDEN, value)
        elif isinstance(value, dict):
            event[key] = _redact(_logger, _method, dict(value))
    return event
