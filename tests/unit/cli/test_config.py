"""Credentials, what overrides them, and project files."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from af.cli import config
from af.cli.config import Access, Credentials, ProjectFile
from alternatefutures.client import DEFAULT_URL
from alternatefutures.errors import ConfigError, NotFoundHere
from tests.support.node import node

NAMES = ("AF_API_URL", "AF_TOKEN", "AF_PROJECT_ID", "AF_PROFILE", "FLEEK_TOKEN", "FLEEK_PROJECT_ID", "XDG_CONFIG_HOME")


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration folder and an environment without settings of ours."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def two_profiles() -> None:
    profiles = {
        "local": {"apiUrl": "http://local", "token": "local-token", "projectId": "prj_local"},
        "far": {"apiUrl": "https://far", "token": "far-token", "projectId": "prj_far"},
    }
    config.save_credentials(Credentials("local", profiles))


# --- what applies ---------------------------------------------------------------------------------------------------


def test_without_anything_it_is_this_machine_without_a_token() -> None:
    assert config.access() == Access(url=DEFAULT_URL, token="", project_id="", profile="")


@pytest.mark.usefixtures("two_profiles")
def test_the_active_profile_applies_and_another_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.access() == Access("http://local", "local-token", "prj_local", "local")
    assert config.access("far") == Access("https://far", "far-token", "prj_far", "far")
    monkeypatch.setenv("AF_PROFILE", "far")
    assert config.access().profile == "far"
    assert config.access("local").profile == "local", "an option is stronger than the environment"


@pytest.mark.usefixtures("two_profiles")
def test_the_environment_overrides_the_profile_value_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TOKEN", "env-token")
    assert config.access() == Access("http://local", "env-token", "prj_local", "local", from_environment=True)
    monkeypatch.setenv("AF_API_URL", "http://env")
    monkeypatch.setenv("AF_PROJECT_ID", "prj_env")
    assert config.access() == Access("http://env", "env-token", "prj_env", "local", from_environment=True)


@pytest.mark.usefixtures("two_profiles")
def test_the_older_names_apply_when_the_newer_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEEK_TOKEN", "fleek-token")
    monkeypatch.setenv("FLEEK_PROJECT_ID", "prj_fleek")
    assert config.access() == Access("http://local", "fleek-token", "prj_fleek", "local", from_environment=True)
    monkeypatch.setenv("AF_TOKEN", "af-token")
    monkeypatch.setenv("AF_PROJECT_ID", "prj_af")
    assert config.access() == Access("http://local", "af-token", "prj_af", "local", from_environment=True)


@pytest.mark.usefixtures("two_profiles")
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES[:4]:
        monkeypatch.setenv(name, "")
    assert config.access().token == "local-token"


@pytest.mark.usefixtures("two_profiles")
def test_a_profile_that_does_not_exist_is_an_error_whoever_named_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundHere, match="'nobody'") as caught:
        config.access("nobody")
    assert caught.value.exit_code == 5
    monkeypatch.setenv("AF_PROFILE", "nobody")
    with pytest.raises(NotFoundHere):
        config.access()


# --- the credentials file -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_profiles")
def test_credentials_are_readable_by_their_owner_only(config_folder: Path) -> None:
    path = config.credentials_path()
    path.chmod(0o644)
    config.save_credentials(config.load_credentials())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(config_folder.stat().st_mode) == 0o700
    assert [entry.name for entry in config_folder.iterdir()] == ["credentials.json"], "nothing is left beside it"


@pytest.mark.usefixtures("two_profiles")
def test_credentials_come_back_as_they_were_saved() -> None:
    loaded = config.load_credentials()
    assert loaded.active == "local"
    assert loaded.profiles["far"] == {"apiUrl": "https://far", "token": "far-token", "projectId": "prj_far"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"x"',
        '{"profiles": []}',
        '{"profiles": null}',
        '{"profiles": {"a": "b"}}',
        '{"profiles": {"a": {"apiUrl": 5}}}',
        '{"profiles": {"a": {"token": null}}}',
    ],
)
def test_a_broken_credentials_file_is_named(config_folder: Path, text: str) -> None:
    config_folder.mkdir()
    (config_folder / "credentials.json").write_text(text)
    with pytest.raises(ConfigError, match=r"credentials\.json cannot be read") as caught:
        config.access()
    assert caught.value.exit_code == 2
    assert "af login" in caught.value.hint


def test_where_credentials_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AF_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.credentials_path() == tmp_path / ".config/alternatefutures/credentials.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config.credentials_path() == tmp_path / "xdg/alternatefutures/credentials.json"


# --- project files --------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a #1 100% project?"  # a folder's name need not be an address
    folder.mkdir()
    return folder


OURS, ORIGINAL = {"site": "blog", "output": "dist"}, {"sites": [{"slug": "blog", "distDir": "dist"}, {"slug": "two"}]}


def test_no_project_file_says_nothing(project: Path) -> None:
    assert config.project_file(project) == ProjectFile()


@pytest.mark.parametrize(
    "name, text",
    [
        ("af.json", json.dumps(OURS)),
        ("af.json", json.dumps({"site": "blog", "distDir": "dist"})),
        ("af.config.json", json.dumps(OURS)),
        ("af.toml", 'site = "blog"\noutput = "dist"\n'),
        ("fleek.config.json", json.dumps(ORIGINAL)),
        ("af.toml", '[[sites]]\nslug = "blog"\ndistDir = "dist"\n'),
    ],
)
def test_a_project_file_in_any_of_its_forms(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    assert config.project_file(project) == ProjectFile(site="blog", output="dist", source=name)


def test_ours_is_read_before_the_original_one(project: Path) -> None:
    (project / "fleek.config.json").write_text(json.dumps(ORIGINAL))
    (project / "af.json").write_text('{"site": "ours"}')
    assert config.project_file(project) == ProjectFile(site="ours", source="af.json")


@pytest.mark.parametrize("text", ["{}", '{"sites": []}', '{"sites": {}}', '{"sites": ["x"]}', '{"site": null}'])
def test_a_file_that_names_nothing_is_no_error(project: Path, text: str) -> None:
    (project / "af.json").write_text(text)
    assert config.project_file(project) == ProjectFile(source="af.json")


@pytest.mark.parametrize(
    "name, text",
    [
        ("af.json", "{"),
        ("af.json", "[]"),
        ("af.json", '{"site": 5}'),
        ("af.json", '{"output": ["dist"]}'),
        ("af.json", '{"sites": [{"slug": 5}]}'),
        ("af.toml", "site ="),
    ],
)
def test_a_broken_project_file_is_named(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        config.project_file(project)


def test_a_project_file_that_is_not_utf8_is_named(project: Path) -> None:
    (project / "af.json").write_bytes(b'{"site": "\xff"}')
    with pytest.raises(ConfigError, match=r"af\.json is not valid"):
        config.project_file(project)


def test_a_program_without_node_is_refused_with_a_way_out(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "af.config.js").write_text("export default {}")
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(ConfigError, match="no `node` was found") as caught:
        config.project_file(project)
    assert "af.json" in caught.value.hint


@pytest.mark.parametrize(
    "name, text",
    [
        ("af.config.js", "module.exports = {site: 'blog', output: 'dist'}"),
        ("af.config.js", "console.log('hello'); module.exports = async () => ({site: 'blog', output: 'dist'})"),
        ("af.config.ts", "const s: string = 'blog'; export default {site: s, output: 'dist'}"),
    ],
)
def test_a_program_is_run(project: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv("PATH", str(node().parent))
    (project / name).write_text(text)
    assert config.project_file(project) == ProjectFile(site="blog", output="dist", source=name)


@pytest.mark.parametrize("text", ["throw new Error('mine')", "syntax error", "module.exports = undefined"])
def test_a_program_that_fails_is_named(project: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PATH", str(node().parent))
    (project / "af.config.js").write_text(text)
    with pytest.raises(ConfigError, match=r"af\.config\.js"):
        config.project_file(project)
