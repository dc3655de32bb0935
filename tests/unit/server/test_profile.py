from __future__ import annotations

import json
from pathlib import Path

import pytest

from af.server import profile
from af.server.profile import Profile

_LOCAL = Profile("http://localhost:1", "token", "prj")


def test_the_first_profile_becomes_the_active_one_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "config" / "credentials.json"
    profile.write(file, _LOCAL)
    assert json.loads(file.read_text()) == {
        "profiles": {"local": {"apiUrl": "http://localhost:1", "token": "token", "projectId": "prj"}},
        "active": "local",
    }
    assert file.stat().st_mode & 0o777 == 0o600
    assert profile.read(file) == _LOCAL


def test_other_profiles_and_the_choice_between_them_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    other = {"apiUrl": "https://cloud.example", "token": "other", "projectId": "prj_other"}
    file.write_text(json.dumps({"active": "work", "profiles": {"work": other, "local": {"apiUrl": "old"}}}))
    assert profile.read(file) is None
    profile.write(file, _LOCAL)
    stored = json.loads(file.read_text())
    assert stored["active"] == "work"
    assert stored["profiles"]["work"] == other
    assert profile.read(file) == _LOCAL


@pytest.mark.parametrize("text", ["", "{", "[]", '{"profiles": 3}'])
def test_a_damaged_file_is_reported_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text)
    with pytest.raises(ValueError):
        profile.write(file, _LOCAL)
    assert file.read_text() == text


def test_the_file_is_found_as_the_command_line_finds_it() -> None:
    assert profile.path({"AF_CONFIG_DIR": "/a", "HOME": "/h"}) == Path("/a/credentials.json")
    assert profile.path({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/alternatefutures/credentials.json")
    assert profile.path({"HOME": "/h"}) == Path("/h/.config/alternatefutures/credentials.json")
    assert profile.path({}) is None
