"""Conditional requests and ranges (RFC 9110 §13, §14), as pure decisions over header values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

HEADER_BYTES_MAX = 8_192
RANGES_MAX = 16

_TAG = re.compile(rb'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_RANGE = re.compile(rb"\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


def _tags(header: bytes) -> list[tuple[bool, bytes]]:
    """The ``(weak, tag)`` pairs of a list header; what is malformed is left out."""
    found = []
    position = 0
    while position < len(header) and (match := _TAG.match(header, position)):
        found.append((match[1] is not None, match[2]))
        position = match.end()
    return found


def none_match(header: bytes, etag: bytes) -> bool:
    """Whether If-None-Match is met by ``etag``, so that the answer is 304. Weak comparison (§13.1.2)."""
    if len(header) > HEADER_BYTES_MAX:
        return False
    if header.strip() == b"*":
        return True
    opaque = etag.removeprefix(b"W/")
    return any(tag == opaque for _, tag in _tags(header))


def match_fails(header: bytes, etag: bytes) -> bool:
    """Whether If-Match forbids the answer, so that it is 412. Strong comparison (§13.1.1)."""
    if header.strip() == b"*":
        return False
    return etag.startswith(b"W/") or not any(not weak and tag == etag for weak, tag in _tags(header))


def range_applies(if_range: bytes | None, etag: bytes) -> bool:
    """Whether Range counts: no If-Range, or one that is strongly equal. We send no Last-Modified, so a date never
    is."""
    return if_range is None or (if_range.strip() == etag and not etag.startswith(b"W/"))


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes ``start`` up to, not including, ``stop``."""

    start: int
    stop: int

    def content_range(self, size: int) -> bytes:
        return b"bytes %d-%d/%d" % (self.start, self.stop - 1, size)


class Unsatisfiable(ValueError):
    """The ranges are well-formed but all outside of the content: 416."""


def ranges(header: bytes, size: int) -> tuple[Span, ...]:
    """The spans that a Range header asks for, in its order; empty means: ignore it and send everything.

    Ignored are other units, malformed lists, more than `RANGES_MAX` ranges, and ranges that overlap or together exceed
    the content (§14.2 lets servers refuse such, and they are how a small request asks for a huge answer).

    :raises Unsatisfiable: no range touches the content.
    """
    unit, _, listed = header.partition(b"=")
    if unit.strip().lower() != b"bytes" or len(header) > HEADER_BYTES_MAX:
        return ()
    specs = listed.split(b",", RANGES_MAX + 1)
    if len(specs) > RANGES_MAX:
        return ()
    spans: list[Span] = []
    for spec in specs:
        match = _RANGE.fullmatch(spec)
        if match is None or not (match[1] or match[2]):
            return ()
        if not match[1]:
            start, stop = max(0, size - int(match[2])), size
        else:
            start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
            if match[2] and int(match[2]) < start:
                return ()
        if start < stop:
            spans.append(Span(start, stop))
    if not spans:
        raise Unsatisfiable
    ordered = sorted(spans, key=lambda span: span.start)
    if any(after.start < before.stop for before, after in pairwise(ordered)):
        return ()
    return tuple(spans)
