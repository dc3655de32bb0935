"""Logs: one JSON object a line, with what one needs to find it and without secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from af.core import log

_PROGRAM = """
import logging, structlog
from af.core import log
log.configure({level!r}, part="edge")
{body}
"""


def lines(body: str, level: str = "info") -> list[dict[str, Any]]:
    """What a process that runs ``body`` logs. A process of its own: logging is set up once for each."""
    program = _PROGRAM.format(level=level, body=body)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_names_time_level_part_and_what_is_bound() -> None:
    [line] = lines("structlog.get_logger().bind(request_id='r1').info('it happened', count=3, text='a\\nb')")
    assert line.pop("ts").endswith("Z")
    expected = {"level": "info", "part": "edge", "event": "it happened", "request_id": "r1", "count": 3, "text": "a\nb"}
    assert line == expected


@pytest.mark.parametrize("level", list(log.LEVELS))
def test_the_level_decides_what_is_written(level: str) -> None:
    names = list(log.LEVELS)
    body = "\n".join(f"structlog.get_logger().{name}('x')" for name in names)
    assert [line["level"] for line in lines(body, level)] == names[names.index(level) :]


def test_secrets_are_blanked_by_their_key_and_tokens_wherever_they_are() -> None:
    body = """
structlog.get_logger().info("got af_live_abc123", token="t", Authorization="Bearer t", db_password="p",
    token_id="tok_1", path="/x?token=af_live_abc123",
    nested={"cookie": "c", "name": "n", "deep": {"client_secret": "s"}})
"""
    [line] = lines(body)
    assert line["event"] == "got [hidden]"
    assert line["path"] == "/x?token=[hidden]"
    assert line["token_id"] == "tok_1"
    assert [line[key] for key in ("token", "Authorization", "db_password")] == ["[hidden]"] * 3
    assert line["nested"] == {"cookie": "[hidden]", "name": "n", "deep": {"client_secret": "[hidden]"}}


def test_a_traceback_is_in_the_line_without_tokens() -> None:
    [line] = lines("""
try:
    raise ValueError("bad af_live_abc123")
except ValueError as error:
    structlog.get_logger().error("failed", exc_info=error)
""")
    assert "ValueError: bad [hidden]" in line["exception"]


def test_libraries_log_in_the_same_form_from_warning_on() -> None:
    [line] = lines("logging.getLogger('lib').info('no'); logging.getLogger('lib').warning('look: %s', 'here')")
    assert (line["event"], line["level"], line["logger"], line["part"]) == ("look: here", "warning", "lib", "edge")


def test_what_is_not_json_is_written_as_text() -> None:
    [line] = lines("from pathlib import Path; structlog.get_logger().info('x', where=Path('/a'), name='é')")
    assert (line["where"], line["name"]) == ("/a", "é")


def test_a_log_on_a_full_disk_loses_lines_and_nothing_else() -> None:
    body = "\n".join(
        [
            "for n in range(1000): structlog.get_logger().error('x' * 100)",
            "logging.getLogger('library').error('y')",
            "print('went on', flush=True)",
        ]
    )
    program = _PROGRAM.format(level="info", body=body)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, timeout=60)
    assert done.stdout == b"went on\n"
