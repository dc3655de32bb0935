"""Supervision with stand-in parts that have stubborn offspring: nothing outlives its supervisor."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from af.server import locks, offspring
from tests.support.processes import Process, start, wait_until

_FRONT = Path(__file__).with_name("standin_front.py")
_OUTLIVE_SECONDS = 1.0


def _start(folder: Path, behaviour: str, *more: str, log: str = "front.log") -> Process:
    return start([sys.executable, _FRONT, folder / "data", behaviour, *more], log=folder / log)


def _below(process: Process, at_least: int) -> list[int]:
    """Everything below the front: keeper, two parts, and three offspring of each part."""
    return process.wait_until(
        lambda: found if len(found := offspring.descendants(process.pid)) >= at_least else None,
        what=f"{at_least} descendants",
    )


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _nothing_left(pids: list[int]) -> None:
    wait_until(
        lambda: not any(map(_alive, pids)), seconds=_OUTLIVE_SECONDS, what=f"end of {[p for p in pids if _alive(p)]}"
    )


def _keeper_of(process: Process) -> int:
    keeper = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(keeper) == 1
    return int(keeper[0])


@pytest.mark.parametrize("round_number", range(3))
def test_kill_9_of_the_front_leaves_no_descendant(tmp_path: Path, round_number: int) -> None:
    front = _start(tmp_path, "good")
    front.wait_for_line(r"^ready \d+")
    below = _below(front, 9)
    front.send(signal.SIGKILL)
    _nothing_left(below)
    assert front.wait_for_exit() == -signal.SIGKILL
    assert locks.holder(tmp_path / "data", "worker") is None


@pytest.mark.parametrize("behaviour", ["good", "stubborn"])
def test_kill_9_of_the_keeper_leaves_no_descendant_and_ends_the_front(tmp_path: Path, behaviour: str) -> None:
    front = _start(tmp_path, behaviour)
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    os.kill(_keeper_of(front), signal.SIGKILL)
    _nothing_left(below)
    assert front.wait_for_exit(seconds=2) == 70
    assert "AF7010" in front.output()


def test_kill_9_while_starting_leaves_no_descendant(tmp_path: Path) -> None:
    front = _start(tmp_path, "good")
    below = _below(front, 2)
    front.send(signal.SIGKILL)
    _nothing_left(below)
    assert front.wait_for_exit() == -signal.SIGKILL


def test_a_killed_part_is_restarted_and_its_offspring_ends(tmp_path: Path) -> None:
    front = _start(tmp_path, "good")
    front.wait_for_line(r"^ready")
    _below(front, 9)
    keeper = _keeper_of(front)
    victim = int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])
    family = [victim, *offspring.descendants(victim)]
    os.kill(victim, signal.SIGKILL)
    _nothing_left(family)
    front.wait_for_line(r'"event": "part crashed".*SIGKILL')
    front.wait_until(lambda: front.output().count('"event": "part ready"') == 3, what="a third ready part")
    front.send(signal.SIGTERM)
    assert front.wait_for_exit() == 0


def test_a_change_of_the_sources_restarts_the_parts_without_a_crash(tmp_path: Path) -> None:
    front = _start(tmp_path, "good")
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    (tmp_path / "data" / "sources" / "module.py").write_text("")
    front.wait_for_line(r'"event": "sources changed')
    front.wait_until(lambda: front.output().count('"event": "part ready"') == 4, what="both parts anew")
    assert '"event": "part crashed"' not in front.output()
    assert not any(map(_alive, set(below) - {_keeper_of(front)}))
    front.send(signal.SIGTERM)
    assert front.wait_for_exit() == 0


def test_sigterm_stops_everything_with_status_0(tmp_path: Path) -> None:
    front = _start(tmp_path, "good")
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    front.send(signal.SIGTERM)
    assert front.wait_for_exit(seconds=5) == 0
    assert not any(map(_alive, below))
    assert locks.holder(tmp_path / "data", "api") is None


def test_a_part_that_ignores_the_wish_to_stop_is_killed_after_the_drain_time(tmp_path: Path) -> None:
    front = _start(tmp_path, "stubborn", "0.2")
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    front.send(signal.SIGTERM)
    assert front.wait_for_exit(seconds=10) == 0
    assert '"event": "part killed"' in front.output()
    assert not any(map(_alive, below))


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    front = _start(tmp_path, "stubborn", "300")
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    front.send(signal.SIGINT)
    front.send(signal.SIGTERM)
    assert front.wait_for_exit(seconds=5) == 0
    assert not any(map(_alive, below))


def test_sighup_changes_nothing(tmp_path: Path) -> None:
    front = _start(tmp_path, "good")
    front.wait_for_line(r"^ready")
    below = _below(front, 9)
    front.send(signal.SIGHUP)
    os.kill(_keeper_of(front), signal.SIGHUP)
    front.send(signal.SIGTERM)
    assert front.wait_for_exit(seconds=5) == 0  # a hang-up would have ended it with -1
    assert not any(map(_alive, below))


def test_five_crashes_within_a_minute_stop_everything_and_say_why(tmp_path: Path) -> None:
    front = _start(tmp_path, "crash")
    assert front.wait_for_exit(seconds=30) == 70
    assert "AF7010" in front.output()
    assert "exit status 3" in front.output()
    assert front.output().count('"event": "part crashed"') >= 4


def test_a_typed_failure_at_the_start_is_shown_without_restarts(tmp_path: Path) -> None:
    front = _start(tmp_path, "refuse")
    assert front.wait_for_exit() == 8
    assert "end 8 AF7003 no" in front.output()
    assert '"event": "part crashed"' not in front.output()


def test_a_second_instance_refuses_and_names_the_first(tmp_path: Path) -> None:
    first = _start(tmp_path, "good")
    first.wait_for_line(r"^ready")
    second = _start(tmp_path, "good", log="second.log")
    assert second.wait_for_exit() == 6
    assert f"refused AF7002 The api of {tmp_path / 'data'} already runs as process {first.pid}." in second.output()
    first.send(signal.SIGKILL)
    third = _start(tmp_path, "good", log="third.log")
    third.wait_for_line(r"^ready")
    third.send(signal.SIGTERM)
    assert third.wait_for_exit() == 0
    assert first.wait_for_exit() == -signal.SIGKILL
