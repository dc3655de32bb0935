"""What the rule files of a site, ``_redirects`` and ``_headers``, share: lines, limits, and rejections.

Neither file can make a deployment fail, and nothing in them is dropped silently: a line that we do not follow becomes a
`Rejected` with its number, its text and a reason that the author can act on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FILE_BYTES_MAX = 64 << 10
"""https://specs.ipfs.tech/http-gateways/web-redirects-file/#max-file-size; we hold ``_headers`` to it too."""
LINE_CHARACTERS_MAX = 4_096
REJECTED_MAX = 200
"""Rejections kept one by one; the rest are counted in one last entry."""
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that has no effect. ``line`` counts from 1; 0 means the file as a whole."""

    line: int
    text: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "text": self.text, "reason": self.reason}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rejected:
        return cls(value["line"], value["text"], value["reason"])


class LineRejected(ValueError):
    """Raised by a line's parser with the reason; `Rejections.add` turns it into a `Rejected`."""


class Rejections:
    """A bounded list of rejections in file order."""

    def __init__(self) -> None:
        self._kept: list[Rejected] = []
        self._first_left_out = 0
        self._left_out = 0

    def add(self, line: int, text: str, reason: str) -> None:
        if len(self._kept) < REJECTED_MAX:
            self._kept.append(Rejected(line, _shown(text), reason))
            return
        self._first_left_out = self._first_left_out or line
        self._left_out += 1

    def all(self) -> tuple[Rejected, ...]:
        if not self._left_out:
            return tuple(self._kept)
        reason = f"{self._left_out} more lines, from here on, were rejected too"
        return (*self._kept, Rejected(self._first_left_out, "", reason))


def lines(content: str | bytes, rejections: Rejections) -> Iterator[tuple[int, str]]:
    """The lines that say something, as ``(number, text without surrounding space)``.

    Blank lines and comments (``#`` first) are left out. A file that is too large yields nothing; lines that are too
    long, not UTF-8, or hold control characters are rejected here. Lines end with LF or CRLF.
    """
    if len(content) > FILE_BYTES_MAX or _size_bytes(content) > FILE_BYTES_MAX:
        rejections.add(0, "", f"the file is larger than {FILE_BYTES_MAX >> 10} KiB, so none of its lines is used")
        return
    text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        stripped = line.removesuffix("\r").strip(" \t")
        if not stripped or stripped.startswith("#"):
            continue
        if len(stripped) > LINE_CHARACTERS_MAX:
            rejections.add(number, stripped, f"the line is longer than {LINE_CHARACTERS_MAX} characters")
        elif any("\ud800" <= character <= "\udfff" for character in stripped):
            rejections.add(number, stripped, "the line is not UTF-8 text")
        elif not stripped.replace("\t", "").isprintable():
            rejections.add(number, stripped, "the line contains control characters")
        else:
            yield number, stripped


def _size_bytes(content: str | bytes) -> int:
    return len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "replace"))


def _shown(text: str) -> str:
    """``text`` fit to be stored and shown: short and without control characters."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    return "".join(character if character.isprintable() else "\ufffd" for character in short)
