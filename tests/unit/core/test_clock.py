"""Clocks: the time is always aware, and a fixed one moves only by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from af.core.clock import FixedClock, SystemClock, monotonic


def test_the_system_clock_is_in_utc_and_goes_on() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.utcoffset() == timedelta(0)
    assert timedelta(0) <= second - first < timedelta(seconds=5)


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = FixedClock(start)
    assert clock.now() == clock.now() == start
    clock.advance(timedelta(minutes=1))
    assert clock.now() == start + timedelta(minutes=1)


def test_the_monotonic_clock_never_goes_back() -> None:
    readings = [monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
