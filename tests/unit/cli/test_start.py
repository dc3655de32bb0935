"""Starting af stays cheap: what is imported before a verb runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import af

HEAVY = ("urllib3", "ssl", "asyncio", "sqlalchemy", "aiohttp", "starlette", "ariadne", "cryptography", "dbos")
_PROGRAM = """
import json, sys
sys.argv = ["af", *json.loads(sys.argv[1])]
from af.cli.__main__ import main
try:
    main()
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""


def _imported(*arguments: str) -> tuple[str, set[str]]:
    """What af printed, and the modules that were imported when it had."""
    command = [sys.executable, "-c", _PROGRAM, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    shown, _, modules = done.stdout.rstrip("\n").rpartition("\n")
    return shown, set(json.loads(modules))


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_needs_neither_click_nor_the_platform(flag: str) -> None:
    shown, modules = _imported(flag)
    assert shown.strip() == f"af {af.__version__}"
    assert not modules & {"click", "alternatefutures", *HEAVY}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("deploy", "--help"), ("sites", "list", "--help"), ("up", "--help")]
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    shown, modules = _imported(*arguments)
    assert "Usage: af" in shown
    assert not modules & set(HEAVY)
    assert not any(name.startswith(("af.server", "af.core", "af.protocols")) for name in modules)


def test_help_of_one_verb_imports_no_other() -> None:
    _, modules = _imported("explain", "--help")
    assert {name for name in modules if name.startswith("af.cli.")} == {
        "af.cli.__main__",
        "af.cli.explain",
        "af.cli.frame",
        "af.cli.output",
        "af.cli.root",
    }


def test_the_version_beside_other_options_is_the_same() -> None:
    assert _imported("--json", "--version")[0].strip() == f"af {af.__version__}"
