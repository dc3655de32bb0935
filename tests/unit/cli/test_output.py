"""What af prints: the result on stdout, everything else on stderr, and nothing that steers a terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest

from af.cli import output
from alternatefutures.errors import NotFoundHere


@pytest.mark.parametrize(
    "count, text",
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (22_000_000, "22.0 MB"),
        (1_500_000_000, "1.5 GB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes_are_in_decimal_units(count: int | None, text: str) -> None:
    assert output.size(count) == text


def test_a_table_is_aligned_and_without_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A", "LONGER"), [("long cell", "x"), ("s", "")], empty="none")
    assert capsys.readouterr().out == "A          LONGER\nlong cell  x\ns\n"


def test_an_empty_table_says_so_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A",), [], empty="Nothing yet.")
    assert capsys.readouterr() == ("", "Nothing yet.\n")


@pytest.mark.parametrize("evil", ["\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "a\rb", "\x08", "\x7f"])
def test_control_characters_of_others_are_written_out(capsys: pytest.CaptureFixture[str], evil: str) -> None:
    output.result(evil)
    output.note(evil)
    output.table(("A",), [(evil + "\n",)], empty="")
    output.document({"name": evil})
    captured = capsys.readouterr()
    assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in captured.out + captured.err)
    assert len(captured.out.splitlines()) == 4, "a name with a line break stays in its row"
    assert json.loads(captured.out.splitlines()[-1]) == {"name": evil}


def test_our_own_colours_are_not_written_out() -> None:
    assert output.harmless("\x1b[1;31merror\x1b[0m ä → 漢\n\tx") == "\x1b[1;31merror\x1b[0m ä → 漢\n\tx"


def test_json_is_one_line_of_utf8_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"name": "ä漢🚀", "list": [1, None]})
    assert capsys.readouterr().out == '{"name": "ä漢🚀", "list": [1, null]}\n'


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_need_a_terminal_and_no_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.colored("31", "x", io.StringIO()) == "x"
    assert output.colored("31", "x", _Terminal()) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.colored("31", "x", _Terminal()) == "x"


def test_an_error_says_what_why_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFoundHere("No site 'x'.", cause="It was deleted.", hint="Look.")
    assert output.fail_with(error, as_json=False) == 5
    assert capsys.readouterr() == ("", "error[AF9008]: No site 'x'.\ncause: It was deleted.\nfix: Look.\n")


def test_an_error_without_a_hint_points_to_explain(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail_with(NotFoundHere("No."), as_json=False)
    assert capsys.readouterr().err == "error[AF9008]: No.\nfix: af explain AF9008\n"


def test_an_error_under_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail_with(NotFoundHere("No.", hint="Look."), as_json=True)
    document = json.loads(capsys.readouterr().out)
    shown = {"reference": "AF9008", "code": "not_found_here", "message": "No.", "cause": "", "hint": "Look."}
    assert document == {"error": shown, "exitCode": 5}


def test_what_nobody_foresaw_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.fail_with(ZeroDivisionError("division"), as_json=False) == 70
    assert "ZeroDivisionError: division" in capsys.readouterr().err


def test_steps_are_silent_when_quiet_and_lines_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.Steps(quiet=True).done("Live", "now")
    assert capsys.readouterr() == ("", "")
    steps = output.Steps(quiet=False)
    steps.going("Upload", "1 of 2")
    steps.done("Live", "now")
    assert capsys.readouterr() == ("", "  Live      now\n")


def test_a_step_under_way_is_redrawn_in_place_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    steps = output.Steps(quiet=False)
    steps.going("Upload", "1\x1b[2J")
    steps.going("Upload", "too soon to be drawn")
    steps.done("Live", "now")
    assert terminal.getvalue() == "\r\x1b[K  Upload    1\\x1b[2J\r\x1b[K  Live      now\n"
