"""Reading a folder as content: what is taken, what is refused, and the CID of the whole."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.unixfs import PROFILES
from alternatefutures.errors import FolderChanged, FolderError
from alternatefutures.folder import Plan, plan, scan
from tests.conformance.vectors import unixfs_shapes

VECTORS = json.loads(Path(unixfs_shapes.__file__).with_name("unixfs.json").read_text("utf-8"))
MODERN = PROFILES["unixfs-v1-2025"]


def _plan(folder: Path, *, hidden: bool = False) -> Plan:
    return plan(folder, profile=MODERN, hidden=hidden)


def _paths(folder: Path, *, hidden: bool = False) -> list[str]:
    return [item.path for item in scan(folder, hidden=hidden)]


def _write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


# --- the CID --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["unixfs-v1-2025", "kubo-default", "v0-2015"])
@pytest.mark.parametrize(
    "name", ["file-0", "file-256KiB+1", "file-1MiB+1", "nested-empty", "unicode", "long-names", "sort-order", "site"]
)
def test_a_folder_on_disk_has_the_cid_that_kubo_gives_it(tmp_path: Path, name: str, profile: str) -> None:
    known = VECTORS[profile]
    if name not in known:
        pytest.skip(f"Kubo's {profile} makes no {name}")
    shape = next(shape for shape in unixfs_shapes.SHAPES if shape.name == name)
    unixfs_shapes.write(shape, tmp_path / "shape")
    planned = plan(tmp_path / "shape", profile=PROFILES[profile], hidden=True)
    assert cids.to_text(planned.root) == known[name]


def test_a_single_file_is_a_folder_that_holds_it(tmp_path: Path) -> None:
    _write(tmp_path, "page/index.html")
    alone, inside = _plan(tmp_path / "page/index.html"), _plan(tmp_path / "page")
    assert alone.root == inside.root
    assert alone.files == 1


def test_an_empty_subfolder_is_kept_and_is_not_counted_as_a_file(tmp_path: Path) -> None:
    _write(tmp_path, "index.html")
    without = _plan(tmp_path).root
    (tmp_path / "empty").mkdir()
    planned = _plan(tmp_path)
    assert planned.root != without
    assert planned.files == 1
    assert [item.path for item in planned.items if item.directory] == ["empty"]


def test_blocks_of_the_plan_are_all_that_a_send_gives(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b/c", "b/d")
    (tmp_path / "same").write_text("a")
    planned = _plan(tmp_path)
    given: dict[CID, bytes] = {}
    files = planned.send(set(planned.blocks()), lambda cid, data: given.__setitem__(cid, data))
    assert set(given) == set(planned.blocks())
    assert planned.root in given
    assert files == 3, "two files are equal, so one of them suffices"


def test_only_what_is_wanted_is_sent(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b")
    planned = _plan(tmp_path)
    given: list[CID] = []
    assert planned.send({planned.root}, lambda cid, _data: given.append(cid)) == 0
    assert given == [planned.root]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bell\x07.txt", "line\nbreak", "esc\x1b[31m", "del\x7f", "c1\x9b"])
def test_a_name_with_a_control_character_is_refused_and_shown_escaped(tmp_path: Path, name: str) -> None:
    _write(tmp_path, f"sub/{name}")
    with pytest.raises(FolderError) as caught:
        _plan(tmp_path)
    assert repr(f"sub/{name}") in caught.value.message
    assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in caught.value.message)
    assert "control character" in caught.value.cause


def test_a_name_of_255_bytes_is_taken(tmp_path: Path) -> None:
    name = "é" * 127 + "x"
    assert len(name.encode()) == 255
    assert _paths(_write(tmp_path, name)) == [name]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.html", "wb"):
        pass
    with pytest.raises(FolderError) as caught:
        _plan(tmp_path)
    assert "UTF-8" in caught.value.cause
    caught.value.message.encode("utf-8")  # fit to be printed


def test_order_is_that_of_the_bytes_of_the_names(tmp_path: Path) -> None:
    assert _paths(_write(tmp_path, "b", "B", "ä", "z", "a")) == ["B", "a", "b", "z", "ä"]


# --- hidden names ---------------------------------------------------------------------------------------------------


def test_hidden_names_are_left_out_and_counted_but_for_well_known(tmp_path: Path) -> None:
    _write(tmp_path, "index.html", ".env", ".git/config", ".well-known/security.txt", "sub/.cache/x", ".DS_Store")
    planned = _plan(tmp_path)
    kept = [item.path for item in planned.items]
    assert kept == [".well-known/security.txt", "index.html"] + [item.path for item in planned.items if item.directory]
    assert planned.hidden_skipped == 4


def test_hidden_takes_all_but_version_control(tmp_path: Path) -> None:
    _write(tmp_path, ".env", ".git/config", ".hg/x", "a/.svn/x", "a/b", ".DS_Store")
    assert _paths(tmp_path, hidden=True) == [".env", "a/b"]


def test_symlinks_have_the_cid_that_the_importer_gives_them(tmp_path: Path) -> None:
    _write(tmp_path, "target.txt")
    (tmp_path / "link").symlink_to("target.txt")
    put = dict[CID, bytes]().__setitem__
    leaves = [
        ("link", unixfs.symlink(b"target.txt", put, MODERN)),
        ("target.txt", unixfs.import_file(io.BytesIO(b"target.txt").read, put, MODERN)),
    ]
    assert _plan(tmp_path).root == unixfs.build_tree(leaves, put, MODERN).cid


# --- symlinks and special files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["index.html", "sub/../index.html", "sub", "absent.html", "."])
def test_a_symlink_within_the_folder_is_kept_as_it_is(tmp_path: Path, target: str) -> None:
    _write(tmp_path, "index.html", "sub/page.html")
    (tmp_path / "link").symlink_to(target)
    item = next(item for item in scan(tmp_path, hidden=False) if item.path == "link")
    assert item.target == os.fsencode(target)
    assert item.size_bytes == 0


@pytest.mark.parametrize("target", ["../secret", "sub/../../secret", "/etc/passwd", "..", "../site-2/x"])
def test_a_symlink_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    site = tmp_path / "site"
    _write(site, "sub/page.html")
    _write(tmp_path, "secret", "site-2/x")
    (site / "link").symlink_to(target)
    with pytest.raises(FolderError, match=r"link is a symlink that leaves"):
        _plan(site)


def test_an_absolute_symlink_is_refused_even_when_it_stays_inside(tmp_path: Path) -> None:
    _write(tmp_path, "index.html")
    (tmp_path / "link").symlink_to(tmp_path / "index.html")
    with pytest.raises(FolderError):
        _plan(tmp_path)


def test_a_symlink_to_the_folder_itself_names_its_content(tmp_path: Path) -> None:
    _write(tmp_path / "v2", "index.html")
    (tmp_path / "current").symlink_to("v2")
    assert _plan(tmp_path / "current").root == _plan(tmp_path / "v2").root


def test_a_pipe_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FolderError, match="pipe is a socket, pipe or device"):
        _plan(tmp_path)
    with pytest.raises(FolderError, match="neither a folder nor a file"):
        _plan(tmp_path / "pipe")


# --- what cannot be a site ------------------------------------------------------------------------------------------


def test_an_empty_an_all_hidden_and_an_absent_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nothing to deploy"):
        _plan(tmp_path)
    _write(tmp_path, ".env")
    with pytest.raises(FolderError, match="nothing to deploy"):
        _plan(tmp_path)
    with pytest.raises(FolderError, match="does not exist"):
        _plan(tmp_path / "absent")


def test_folders_nested_too_deep_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, "d/" * 127 + "x")
    assert _plan(tmp_path).files == 1
    _write(tmp_path, "d/" * 129 + "x")
    with pytest.raises(FolderError, match="nested more than"):
        _plan(tmp_path)


def test_a_path_longer_than_the_system_allows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(17):
        os.mkdir("n" * 250)
        os.chdir("n" * 250)
    _write(Path(), "index.html")
    with pytest.raises(FolderError) as caught:
        _plan(tmp_path)
    assert "too long" in (caught.value.cause + caught.value.message)


# --- a folder that changes ------------------------------------------------------------------------------------------


def _send(planned: Plan) -> dict[CID, bytes]:
    given: dict[CID, bytes] = {}
    planned.send(set(planned.blocks()), lambda cid, data: given.__setitem__(cid, data))
    return given


def test_a_file_that_changed_since_it_was_hashed_ends_the_send(tmp_path: Path) -> None:
    planned = _plan(_write(tmp_path, "index.html", "other.html"))
    (tmp_path / "index.html").write_text("changed")
    with pytest.raises(FolderChanged, match=r"index\.html changed"):
        _send(planned)


def test_a_file_that_was_deleted_since_ends_the_send_as_changed(tmp_path: Path) -> None:
    planned = _plan(_write(tmp_path, "index.html"))
    (tmp_path / "index.html").unlink()
    with pytest.raises(FolderChanged, match=r"index\.html"):
        _send(planned)


def test_a_file_that_became_a_symlink_is_not_followed(tmp_path: Path) -> None:
    planned = _plan(_write(tmp_path / "site", "index.html"))
    (tmp_path / "copy").write_text("index.html")  # the same bytes, so that the CID would not tell
    (tmp_path / "site/index.html").unlink()
    (tmp_path / "site/index.html").symlink_to("../copy")
    with pytest.raises(FolderChanged):
        _send(planned)


def test_a_file_that_became_a_pipe_does_not_hang(tmp_path: Path) -> None:
    planned = _plan(_write(tmp_path, "index.html"))
    (tmp_path / "index.html").unlink()
    os.mkfifo(tmp_path / "index.html")
    with pytest.raises(FolderChanged):
        _send(planned)


# --- names that are one on other systems ----------------------------------------------------------------------------


def test_names_that_differ_by_case_only_are_reported(tmp_path: Path) -> None:
    _write(tmp_path, "Logo.png", "logo.png", "other.png")
    assert _plan(tmp_path).case_clashes == [("Logo.png", "logo.png")]


def test_folders_that_differ_by_case_only_are_reported_once(tmp_path: Path) -> None:
    _write(tmp_path, "Assets/a.css", "assets/b.css", "assets/c.css")
    assert _plan(tmp_path).case_clashes == [("Assets", "assets")]


def test_a_folder_without_clashes_reports_none(tmp_path: Path) -> None:
    assert _plan(_write(tmp_path, "a/index.html", "b/index.html")).case_clashes == []
