"""What ``af`` prints. stdout carries the result and nothing else; progress and errors go to stderr."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from typing import IO, Any

_KILO = 1000
# All but tab, line break and the colours of `colored`: what others named must not steer this terminal.
_STEERING = re.compile(r"(?!\x1b\[[0-9;]*m)[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """``text`` with control characters written out, as ``\\x1b``."""
    return _STEERING.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def result(text: str) -> None:
    """The result of a verb, for people or for a pipe."""
    print(harmless(text), flush=True)


def document(value: Any) -> None:
    """The result of a verb under ``--json``."""
    print(_json(value, indent=2 if sys.stdout.isatty() else None), flush=True)


def line(value: Any) -> None:
    """One event under ``--jsonl``."""
    print(_json(value, indent=None), flush=True)


def _json(value: Any, *, indent: int | None) -> str:
    import json  # here, because `af --version` needs none

    unicode = (sys.stdout.encoding or "").lower() in ("utf-8", "utf8")
    text = json.dumps(value, ensure_ascii=not unicode, indent=indent)
    return re.sub(r"[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", text)


def note(text: str) -> None:
    """A word to the person at the terminal."""
    print(harmless(text), file=sys.stderr, flush=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Rows in aligned columns; ``empty`` is said when there are none."""
    if not rows:
        note(empty)
        return
    rows = [[harmless(cell).replace("\n", "\\n").replace("\t", "\\t") for cell in row] for row in rows]
    widths = [max(len(header), *(len(row[i]) for row in rows)) for i, header in enumerate(headers)]
    for row in (headers, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def size(count: int | None) -> str:
    """Bytes for people: ``22.0 MB``."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if round(value, 1) < _KILO or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KILO
    raise AssertionError("unreachable")


def colored(code: str, text: str, stream: IO[str] | None = None) -> str:
    """``text`` in an ANSI colour when the stream (standard error by default) shows them and NO_COLOR is not set."""
    target = stream or sys.stderr
    if not target.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


class Steps:
    """Labelled lines of progress on stderr; on a terminal the present line is redrawn in place."""

    _LABEL_WIDTH = 9
    _REDRAW_SECONDS = 0.1

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._drawn_at = 0.0

    def done(self, label: str, text: str) -> None:
        """A step that is over."""
        if self.quiet:
            return
        self.clear()
        note(f"  {colored('1', label.ljust(self._LABEL_WIDTH))} {text}")

    def going(self, label: str, text: str) -> None:
        """A step under way; drawn only on a terminal, a few times a second."""
        now = time.monotonic()
        if not self._live or now - self._drawn_at < self._REDRAW_SECONDS:
            return
        self._drawn_at = now
        sys.stderr.write(f"\r\x1b[K  {label.ljust(self._LABEL_WIDTH)} {harmless(text)}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line of what was under way."""
        if self._live:
            sys.stderr.write("\r\x1b[K")


def fail_with(error: Exception, *, as_json: bool) -> int:
    """Print any exception as an error and return its exit code; what nobody foresaw is a bug (70)."""
    exit_code = getattr(error, "exit_code", None)
    if exit_code is None or not hasattr(error, "message"):
        return fail(
            reference="AF9099",
            code="bug",
            message=f"af failed in a way that it did not foresee: {type(error).__name__}: {error}",
            cause="This is a bug in af.",
            hint="Run it again with AF_DEBUG=1 and report what it prints.",
            exit_code=70,
            as_json=as_json,
        )
    return fail(
        reference=error.reference,  # type: ignore[attr-defined]
        code=error.code,  # type: ignore[attr-defined]
        message=error.message,
        cause=getattr(error, "cause", "") or "",
        hint=getattr(error, "hint", "") or "",
        exit_code=exit_code,
        as_json=as_json,
    )


def fail(*, reference: str, code: str, message: str, cause: str, hint: str, exit_code: int, as_json: bool) -> int:
    """Print one error: what, why, and the next command. Returns ``exit_code``."""
    if as_json:
        shown = {"reference": reference, "code": code, "message": message, "cause": cause, "hint": hint}
        document({"error": shown, "exitCode": exit_code})
    note(f"{colored('1;31', f'error[{reference}]')}: {message}")
    if cause:
        note(f"cause: {cause}")
    note(f"fix: {hint or f'af explain {reference}'}")
    return exit_code
