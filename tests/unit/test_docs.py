"""Documentation that can be checked: links lead somewhere, the reference is whole, printed commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from af.cli.root import VERBS, cli
from af.core import settings
from af.core.errors import every_error
from af.core.metrics import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_CODE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(af [^|>&#]*)")
_SYNOPSIS = re.compile(r"\[OPTIONS\]|COMMAND")  # of the generated page


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_is_whole() -> None:
    def absent(page: str, names: list[str]) -> list[str]:
        text = (ROOT / "docs" / "reference" / page).read_text("utf-8")
        return [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]

    assert absent("settings.md", [str(one.metadata["env"]) for one in settings.declared()]) == []
    assert absent("errors.md", [error.code for error in every_error()]) == []
    assert absent("metrics.md", list(CATALOGUE)) == []
    assert absent("cli.md", [f"af {verb}" for verb in VERBS]) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_printed_commands_exist(page: Path) -> None:
    for block in _CODE.findall(page.read_text("utf-8")):
        for line in block.splitlines():
            found = _COMMAND.match(line)
            if found and not _SYNOPSIS.search(line):
                parse(shlex.split(found[1].replace("…", "x"))[1:])


def parse(words: list[str]) -> None:
    """What click makes of the words, without running anything. :raises click.UsageError: no such command or option"""
    command: click.Command = cli
    context = click.Context(cli, info_name="af")
    while isinstance(command, click.Group) and words:
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize("line", ["af deploy --nonsense", "af nonsense", "af storage nonsense"])
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(line)[1:])
