"""How many requests a caller may make: per user when signed in, else per network address (`af.core.networks`).

A bucket that leaks (the generic cell rate algorithm, ITU-T I.371): a caller may use its whole minute at once and then
gets it back evenly. One number per caller, so memory is bounded and a check costs under a microsecond; each HTTP
process counts for itself. (The ``limits`` package's memory storage starts a thread for each request and scans all its
keys.)
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from af.core.context import ActorKind, Context
from af.core.errors import RateLimited

WINDOW_SECONDS = 60.0
CALLERS_MAX = 50_000


class TooManyRequests(RateLimited):
    code = "too_many_requests"
    number = 6010
    explain = "More requests than AF_RATE_PER_MINUTE (or AF_RATE_PER_MINUTE_ANONYMOUS) allows. See Retry-After."


def headers(limit: int, remaining: int, reset_seconds: float, now: datetime) -> dict[str, str]:
    """Both families: ``RateLimit-*`` (draft-ietf-httpapi-ratelimit-headers-03) and the original's ``X-``."""
    reset = math.ceil(reset_seconds)
    moment = now + timedelta(seconds=reset)
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(reset),
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """``allowed``, and the numbers that the response's headers show."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    retry_after_seconds: float
    now: datetime

    def require(self) -> None:
        """:raises TooManyRequests: the caller must wait."""
        if not self.allowed:
            wait = self.retry_after_seconds
            raise TooManyRequests(f"More than {self.limit} requests a minute.", retry_after_seconds=wait)

    def headers(self) -> dict[str, str]:
        """Those of every answer, and of a refusal when to come back."""
        shown = headers(self.limit, self.remaining, self.reset_seconds, self.now)
        if not self.allowed:
            shown["Retry-After"] = str(max(1, math.ceil(self.retry_after_seconds)))
        return shown


class Rates:
    """The callers of one process."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when the caller's bucket will be empty again

    def count(self, ctx: Context) -> Verdict:
        """Count one request of the caller."""
        settings, actor = ctx.settings, ctx.actor
        if actor.kind is ActorKind.ANONYMOUS:
            key, limit = f"network:{actor.network}", settings.rate_per_minute_anonymous
        else:
            key, limit = f"user:{actor.user_id}", settings.rate_per_minute
        now = ctx.now
        step, time = WINDOW_SECONDS / limit, now.timestamp()
        drained = max(time, self._full_at.get(key, time))
        after = drained + step
        allowed = after - time <= WINDOW_SECONDS + step / 1000  # a hair: sums of floats
        if allowed:
            self._full_at[key] = after
            self._full_at.move_to_end(key)
            self._forget(time)
        used = (after if allowed else drained) - time
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(0, math.floor((WINDOW_SECONDS - used) / step + 0.001)),
            reset_seconds=used,
            retry_after_seconds=0.0 if allowed else after - time - WINDOW_SECONDS,
            now=now,
        )

    def _forget(self, time: float) -> None:
        """Callers that have all of their minute back, and beyond the bound the one that was away longest."""
        while self._full_at:
            key, drained = next(iter(self._full_at.items()))
            if drained > time and len(self._full_at) <= CALLERS_MAX:
                return
            del self._full_at[key]
