from __future__ import annotations

import json
import os
from pathlib import Path

from af.server import journal


def test_a_line_is_one_json_object_with_time_level_and_part(tmp_path: Path) -> None:
    log = journal.open_log(tmp_path)
    journal.write(log, "part ready", name="edge-0", pid=7)
    os.close(log)
    line = json.loads(journal.log_path(tmp_path).read_text())
    assert line.pop("ts").endswith("Z")
    assert line == {"level": "info", "event": "part ready", "part": "supervisor", "name": "edge-0", "pid": 7}


def test_a_log_that_grew_too_large_is_set_aside_and_those_who_have_it_open_go_on(tmp_path: Path) -> None:
    log = journal.open_log(tmp_path)
    os.truncate(journal.log_path(tmp_path), journal.LOG_BYTES_MAX + 1)
    journal.rotate(tmp_path)
    journal.write(log, "after")
    os.close(log)
    assert json.loads(journal.log_path(tmp_path).read_text())["event"] == "after"
    assert (tmp_path / "logs" / "platform.log.1").stat().st_size == journal.LOG_BYTES_MAX + 1


def test_a_small_log_is_kept(tmp_path: Path) -> None:
    os.close(journal.open_log(tmp_path))
    journal.log_path(tmp_path).write_text("kept\n")
    journal.rotate(tmp_path)
    assert journal.log_path(tmp_path).read_text() == "kept\n"


def test_a_copy_that_cannot_be_made_does_not_end_the_keeper(tmp_path: Path) -> None:
    os.close(journal.open_log(tmp_path))
    path = journal.log_path(tmp_path)
    os.truncate(path, journal.LOG_BYTES_MAX + 1)
    path.with_suffix(".log.1").mkdir()  # in the way, as a full disk would be
    journal.rotate(tmp_path)
    assert path.stat().st_size == 0


def test_a_line_that_cannot_be_written_is_no_error() -> None:
    with open("/dev/full", "wb") as full:
        journal.write(full.fileno(), "lost")
