from __future__ import annotations

import os
from pathlib import Path

import pytest

from af.core.settings import InvalidSetting, load
from af.server import preflight
from af.server.errors import DataFolderUnusable, DiskNearlyFull, UnknownTarget
from af.server.launch import resolve, targets_named

ALL = frozenset({"gateway", "api", "worker"})


def test_a_good_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    preflight.check(load({}, data=data), ALL)
    assert list(data.iterdir()) == []
    assert data.stat().st_mode & 0o077 == 0


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataFolderUnusable, match="is not a folder"):
        preflight.check_folder(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataFolderUnusable, match="cannot be written"):
        preflight.check_folder(tmp_path / "data")


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(DataFolderUnusable, match="cannot be written"):
        preflight.check_folder(Path("/proc/af-data"))


def test_too_little_space_is_refused_and_the_hint_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DiskNearlyFull) as caught:
        preflight.check(load({}, data=tmp_path, disk_free_bytes_min=1 << 62), ALL)
    assert "AF_DISK_FREE_BYTES_MIN" in caught.value.hint


def test_a_gateway_alone_starts_on_a_full_disk(tmp_path: Path) -> None:
    preflight.check(load({}, data=tmp_path, disk_free_bytes_min=1 << 62), frozenset({"gateway"}))


def test_options_are_checked_like_the_environment() -> None:
    assert resolve({"AF_PORT": "1"}, port=9000, host=None).port == 9000
    with pytest.raises(Exception, match="AF_DOMAIN"):
        resolve({}, domain="not a name")


@pytest.mark.parametrize("url", ["mysql://x", "postgresql://a:b@[::1", "postgresql://host:port/x", "nothing"])
def test_a_database_address_that_cannot_be_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"AF_DATABASE_URL is \(hidden\)"):
        resolve({}, database_url=url)


def test_unknown_targets_are_refused() -> None:
    assert targets_named(("all",)) == ALL
    with pytest.raises(UnknownTarget, match="'billing'"):
        targets_named(("api", "billing"))
