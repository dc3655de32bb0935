"""What `af deploy` says before anything is sent, and which site a verb means."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from af.cli import frame
from af.cli.root import cli
from tests.support.answering import Server, json_reply, running

SITE = {"id": "sit_1", "slug": "my-blog", "name": "My Blog", "url": "http://my-blog.localhost", "createdAt": ""}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("AF_TOKEN", "af_live_x")
    monkeypatch.setenv("AF_PROJECT_ID", "prj_1")
    monkeypatch.delenv("AF_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    with running() as made:
        monkeypatch.setenv("AF_API_URL", made.url)
        yield made


def _asked_slugs(server: Server) -> list[str]:
    return [json.loads(asked.body)["variables"]["slug"] for asked in server.requests]


def test_names_that_differ_by_case_are_mentioned_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Logo.png", "logo.png", "index.html"):
        (tmp_path / name).touch()
    assert frame.run(cli, ["deploy", str(tmp_path), "--dry-run", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: Logo.png and logo.png differ by case only")
    assert json.loads(captured.out)["files"] == 3


def test_many_such_names_are_mentioned_in_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(10):
        (tmp_path / f"A{number}").touch()
        (tmp_path / f"a{number}").touch()
    frame.run(cli, ["deploy", str(tmp_path), "--dry-run"])
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(notes) == 4
    assert notes[-1].startswith("note: 7 more")


def test_quiet_mentions_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "A").touch()
    (tmp_path / "a").touch()
    frame.run(cli, ["deploy", str(tmp_path), "--dry-run", "--quiet", "--json"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["My Blog", "my-blog"])
def test_a_site_is_found_by_the_name_that_deploy_made_it_of(
    server: Server, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    server.answers = [json_reply({"data": {"siteBySlug": SITE}})]
    assert frame.run(cli, ["open", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"url": SITE["url"]}
    assert _asked_slugs(server) == ["my-blog"]


def test_the_project_file_names_the_site(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "af.json").write_text('{"site": "docs"}')
    server.answers = [json_reply({"data": {"siteBySlug": SITE}})]
    assert frame.run(cli, ["open", "--json"]) == 0
    assert _asked_slugs(server) == ["docs"]


def test_a_site_that_does_not_exist_is_5(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [json_reply({"data": {"siteBySlug": None}})]
    assert frame.run(cli, ["open", "absent", "--json"]) == 5
    assert "'absent'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_folder_whose_name_is_not_utf8_still_names_a_site(server: Server, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9-site"
    os.mkdir(folder)
    server.answers = [json_reply({"data": {"siteBySlug": SITE}})]
    assert frame.run(cli, ["open", "--json", "--cwd", os.fsdecode(folder)]) == 0
    assert _asked_slugs(server) == ["caf-site"]
