"""Which token goes where, and a credentials file that several programs change."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from af.cli import config, frame, login
from af.cli.config import Credentials
from af.cli.root import cli

NAMES = ("AF_API_URL", "AF_TOKEN", "AF_PROJECT_ID", "AF_PROFILE", "FLEEK_TOKEN", "FLEEK_PROJECT_ID")


@pytest.fixture(autouse=True)
def local_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    profile = {"apiUrl": "http://localhost:8787", "token": "secret", "projectId": "prj_1"}
    config.save_credentials(Credentials("local", {"local": profile}))


@pytest.mark.parametrize("url", ["https://elsewhere.example", "http://localhost.example:8787", "http://10.0.0.1:8787"])
def test_a_profiles_token_is_not_sent_to_another_host(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_API_URL", url)
    found = config.access()
    assert (found.url, found.token, found.project_id) == (url, "", "")
    assert frame.run(cli, ["sites", "list"]) == 4
    monkeypatch.setenv("AF_TOKEN", "meant-for-it")
    assert config.access().token == "meant-for-it"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9999", "http://[::1]:8787", "http://app.localhost:8787"])
def test_this_machine_has_many_names(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_API_URL", url)
    assert config.access().token == "secret"


def test_login_goes_where_the_environment_or_the_active_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = {"a": {"apiUrl": "http://a"}, "b": {"apiUrl": "http://b"}}
    stored = Credentials("a", profiles)
    assert login._address(stored, "b") == "http://b"
    assert login._address(stored, "new") == "http://a"
    assert login._address(Credentials(), "new") == "http://localhost:8787"
    monkeypatch.setenv("AF_API_URL", "http://env")
    assert login._address(stored, "b") == "http://env"


def _add(number: int) -> None:
    for step in range(10):
        with config.editing() as credentials:
            credentials.profiles[f"p{number}-{step}"] = {"token": "t"}


def test_two_programs_that_change_the_credentials_lose_nothing() -> None:
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=_add, args=(number,)) for number in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(30)
    assert len(config.load_credentials().profiles) == 1 + 30


def test_a_change_that_fails_changes_nothing() -> None:
    with pytest.raises(RuntimeError), config.editing() as credentials:
        credentials.profiles.clear()
        raise RuntimeError
    assert "local" in config.load_credentials().profiles


def test_content_and_json_do_not_share_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["storage", "get", "bafy", "--json"]) == 2
    assert "--output" in capsys.readouterr().out


def test_jsonl_is_one_object_where_there_is_no_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.run(cli, ["explain", "AF1002", "--jsonl"]) == 0
    assert capsys.readouterr().out.startswith('{"reference": "AF1002"')


def test_settings_inside_a_published_folder_are_read_but_never_run(tmp_path: Path) -> None:
    (tmp_path / "af.config.js").write_text("throw new Error('run')")
    assert config.project_file(tmp_path, programs=False).site is None
    (tmp_path / "af.toml").write_text('site = "named"')
    assert config.project_file(tmp_path, programs=False).site == "named"
