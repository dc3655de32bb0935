"""The frame around every verb: shared options, errors and exit codes."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD

import click
import pytest

import alternatefutures
from af.cli import frame
from af.cli.root import VERBS, cli
from alternatefutures.errors import ApiError, SdkError, UsageError
from tests.support.processes import wait_until

AF = Path(sys.executable).with_name("af")
SHARED = {"json", "jsonl", "quiet", "yes", "no_color", "profile", "cwd"}


def _every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in VERBS:
        found = cli.get_command(context, name)
        assert found is not None
        yield name, found
        if isinstance(found, click.Group):
            yield from ((f"{name} {inner}", command) for inner, command in found.commands.items())


COMMANDS = dict(_every_command())


def _group(verb: Callable[..., None]) -> click.Group:
    """A program with one verb, ``go``."""

    @click.group(cls=frame.Noun)
    def program() -> None: ...

    frame.verb(program, "go")(verb)
    return program


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AF_DEBUG", "AF_TOKEN", "FLEEK_TOKEN", "AF_PROFILE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


# --- shared options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_shared_options(name: str) -> None:
    names = [parameter.name for parameter in COMMANDS[name].params]
    assert set(names) >= SHARED
    assert len(names) == len(set(names)), "no option of its own hides a shared one"
    assert COMMANDS[name].get_short_help_str(), "every command has a line of help"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--quiet", "--yes", "--profile", "p", "go"],
        ["go", "--json", "-q", "-y", "--profile", "p"],
        ["-q", "--profile", "p", "go", "--yes", "--json"],
    ],
)
def test_shared_options_hold_before_and_after_the_verb(arguments: list[str]) -> None:
    seen: list[frame.State] = []
    assert frame.run(_group(seen.append), arguments) == 0
    assert seen == [frame.State(json=True, quiet=True, yes=True, profile="p")]


def test_cwd_holds_for_paths_among_the_arguments_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inner/site").mkdir(parents=True)
    (tmp_path / "inner/site/index.html").write_text("x")
    assert frame.run(cli, ["deploy", "site", "--dry-run", "--json", "--cwd", "inner"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 1


def test_an_absent_cwd_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["deploy", "--cwd", "absent"]) == 2
    assert "'absent' does not exist" in capsys.readouterr().err


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["deploy", "--nonsense"],
        ["explain", "a", "b"],
        ["sites", "nonsense"],
        ["up", "--port", "x"],
        ["promote"],
        ["sites"],
        [],
    ],
)
def test_wrong_usage_ends_with_2_and_one_object_under_json(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert frame.run(cli, arguments) == 2
    assert capsys.readouterr().out == "", "stdout is for results"
    assert frame.run(cli, [*arguments, "--json"]) == 2
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["exitCode"] == 2
    assert document["error"]["reference"] == "AF9001"
    assert "--help" in document["error"]["hint"]


def test_af_alone_shows_the_commands_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    frame.run(cli, [])
    shown = capsys.readouterr().err
    assert "Put a folder live." in shown
    assert "error[" not in shown


def test_a_command_that_is_nearly_right_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    frame.run(cli, ["deplyo"])
    assert "Did you mean 'deploy'?" in capsys.readouterr().err


def test_an_sdk_error_ends_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["explain", "AF0", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "There is no error 'AF0'."


def test_without_a_token_it_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["whoami", "--json"]) == 4
    assert "af login" in json.loads(capsys.readouterr().out)["error"]["hint"]


def test_what_nobody_foresaw_is_70(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_state: frame.State) -> None:
        raise ZeroDivisionError("boom")

    assert frame.run(_group(broken), ["go", "--json"]) == 70
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exitCode"] == 70
    assert "boom" in captured.err
    assert "Traceback" not in captured.err


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_state: frame.State) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setenv("AF_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        frame.run(_group(broken), ["go"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_an_interruption_is_130(error: type[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_state: frame.State) -> None:
        raise error

    assert frame.run(_group(interrupted), ["go"]) == 130
    assert "Interrupted." in capsys.readouterr().err


def test_a_verb_may_choose_its_exit_code() -> None:
    def failing(_state: frame.State) -> None:
        click.get_current_context().exit(1)

    assert frame.run(_group(failing), ["go"]) == 1


@pytest.mark.parametrize("text", ["1x", "", "-1d", "999999y", "²d", "1.5h"])
def test_a_life_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TOKEN", "t")
    assert frame.run(cli, ["tokens", "create", "--name", "n", "--expires", text]) == 2


def test_completion_is_an_object_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert "_AF_COMPLETE" in script
    assert frame.run(cli, ["completion", "bash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["script"] + "\n" == script


# --- as a program ---------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([AF, "explain"], stdout=writing, stderr=subprocess.PIPE, timeout=20, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def _hears_ctrl_c() -> None:
    """Shells start background jobs with SIGINT ignored, and programs inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_with_130_and_without_a_traceback() -> None:
    waiting = [str(AF), "login", "--token", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(waiting, **pipes, preexec_fn=_hears_ctrl_c) as process:
        assert process.stdin is not None
        process.stdin.write(b"af_live_")
        process.stdin.flush()
        taken = array("i", [1])
        pipe = process.stdin.fileno()

        def is_reading() -> bool | None:
            ioctl(pipe, FIONREAD, taken)
            return taken[0] == 0 or None

        wait_until(is_reading, seconds=20, what="a command that reads its token")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


def test_a_name_that_is_not_utf8_is_still_an_error_in_json() -> None:
    arguments = [os.fsencode(AF), b"deploy", b"caf\xe9", b"--dry-run", b"--json"]
    done = subprocess.run(arguments, capture_output=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "caf\udce9" in json.loads(done.stdout)["error"]["message"] or "caf\\udce9" in done.stdout.decode()


# --- errors can be explained ----------------------------------------------------------------------------------------


def _sdk_errors() -> list[type[SdkError]]:
    for module in pkgutil.walk_packages(alternatefutures.__path__, "alternatefutures."):
        importlib.import_module(module.name)
    found, left = [], [SdkError]
    while left:
        one = left.pop()
        found.append(one)
        left.extend(one.__subclasses__())
    ours = [error for error in found if error.__module__.startswith("alternatefutures.")]
    return [error for error in ours if error not in (SdkError, ApiError)]  # neither has a number of its own


@pytest.mark.parametrize("error", _sdk_errors(), ids=lambda e: e.__name__)
def test_every_error_of_the_sdk_is_explained_offline(error: type[SdkError], capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["explain", f"AF{error.number}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], document["exitCode"]) == (error.code, error.exit_code)
    assert document["explain"] == error.explain
    assert "explain" in vars(error), "its own text, not an inherited one"


def test_numbers_are_unique() -> None:
    numbers = [error.number for error in _sdk_errors()]
    assert len(numbers) == len(set(numbers))
    assert all(9000 <= number < 9100 for number in numbers)


def test_usage_errors_of_the_frame_have_the_reference_of_the_class() -> None:
    assert UsageError("x").reference == "AF9001"
