from __future__ import annotations

from af.server.parts import Crashes, plan


def test_everything_is_one_worker_and_as_many_edges_as_asked_for_and_the_worker_prepares() -> None:
    specs = plan(frozenset({"gateway", "api", "worker"}), workers=2, port=8787)
    assert [(spec.name, spec.listens, spec.prepares) for spec in specs] == [
        ("worker", False, True),
        ("edge-0", True, False),
        ("edge-1", True, False),
    ]


def test_the_api_alone_prepares_once() -> None:
    specs = plan(frozenset({"api"}), workers=2, port=1)
    assert [(spec.name, spec.targets, spec.prepares) for spec in specs] == [
        ("edge-0", ("api",), True),
        ("edge-1", ("api",), False),
    ]


def test_the_gateway_alone_prepares_nothing() -> None:
    assert [spec.prepares for spec in plan(frozenset({"gateway"}), workers=1, port=1)] == [False]


def test_a_worker_alone_listens_for_probes() -> None:
    assert [(spec.kind, spec.listens) for spec in plan(frozenset({"worker"}), workers=4, port=1)] == [("worker", True)]


def test_delays_double_and_the_fifth_crash_within_a_minute_is_the_last() -> None:
    crashes = Crashes()
    assert [crashes.record(second) for second in (0.0, 1.0, 2.0, 3.0, 4.0)] == [0.1, 0.2, 0.4, 0.8, None]


def test_slow_crashes_go_on_with_at_most_five_seconds_between() -> None:
    crashes = Crashes()
    delays = [crashes.record(20.0 * number) for number in range(12)]
    assert delays[-1] == 5.0
    assert None not in delays


def test_a_quiet_minute_starts_the_delays_anew() -> None:
    crashes = Crashes()
    crashes.record(0.0)
    crashes.record(1.0)
    assert crashes.record(100.0) == 0.1
