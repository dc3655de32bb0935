"""A look at tokens of others, and of ours, before anything of them is verified: to choose whom to ask or which key."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

T = TypeVar("T")

HEADER, CLAIMS = 0, 1


def part_of(token: str, which: int, shape: type[T]) -> T:
    """The `HEADER` or the `CLAIMS` of a compact JWS (RFC 7515 §3.1) as ``shape``; nothing of it is true yet.

    :raises ValueError: not three parts, or the part is not base64url of JSON of that shape.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a compact JWS")
    text = parts[which]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:  # msgspec counts the levels, so nothing overflows
        raise ValueError(str(error)) from error
