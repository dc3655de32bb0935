"""What a copy wants next, and when: decisions over rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from af.replication.errors import PolicyInvalid
from af.replication.models import Copy, CopyState

PROVIDERS_MAX = 8
SAMPLE_BLOCKS = 16
"""Blocks that one proof reads back: the root, and others by chance. Content of fewer blocks is read whole."""
PROVE_AFTER = timedelta(seconds=5)
PROVE_EVERY = timedelta(days=1)
POLL_FIRST, POLL_LONGEST = timedelta(seconds=5), timedelta(minutes=15)
RETRY_FIRST, RETRY_LONGEST = timedelta(seconds=15), timedelta(hours=6)
LOST_AFTER = 3
"""Proofs that fail in a row until a stored copy counts as lost and is made anew."""
KEEP_UNWANTED = timedelta(days=7)
"""A root that is no longer live keeps its copies for so long: a rollback finds them."""


class Step(StrEnum):
    STORE = "store"
    POLL = "poll"
    PROVE = "prove"
    REMOVE = "remove"


def next_step(copy: Copy, now: datetime) -> Step:
    """What to do for a copy that is due."""
    if copy.unwanted_at is not None and copy.unwanted_at + KEEP_UNWANTED <= now:
        return Step.REMOVE
    if copy.receipt is None or copy.state in (CopyState.WANTED, CopyState.LOST, CopyState.FAILED):
        return Step.STORE
    return Step.POLL if copy.state is CopyState.WAITING else Step.PROVE


def due_after(state: CopyState, *, proved: bool, attempts: int, now: datetime) -> datetime:
    """When a copy is looked at again, after a run that went well. ``attempts`` counts the looks while it waits."""
    if state is CopyState.WAITING:
        return now + _doubled(POLL_FIRST, POLL_LONGEST, attempts)
    if state in (CopyState.LOST, CopyState.FAILED):
        return now + _doubled(RETRY_FIRST, RETRY_LONGEST, attempts)
    return now + (PROVE_EVERY if proved else PROVE_AFTER)


def due_after_failure(attempts: int, now: datetime) -> datetime:
    """When a run that failed ``attempts`` times in a row is tried again."""
    return now + _doubled(RETRY_FIRST, RETRY_LONGEST, attempts - 1)


def _doubled(first: timedelta, longest: timedelta, times: int) -> timedelta:
    return min(longest, first * (1 << min(times, 20)))


def checked_providers(providers: Sequence[str]) -> tuple[str, ...]:
    """:raises PolicyInvalid: none, one twice, or too many"""
    if not 0 < len(providers) <= PROVIDERS_MAX or len(set(providers)) != len(providers):
        raise PolicyInvalid(f"Name one to {PROVIDERS_MAX} providers, each once.", field="providers")
    return tuple(providers)
