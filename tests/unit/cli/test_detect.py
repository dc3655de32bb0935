"""What `af deploy` without a folder publishes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from af.cli.config import ProjectFile
from af.cli.detect import BUILT, detect
from alternatefutures.errors import BuildNeeded, FolderError

NONE = ProjectFile()


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _sources(folder: Path, scripts: object = None) -> Path:
    (folder / "package.json").write_text(json.dumps({"scripts": {"build": "x"} if scripts is None else scripts}))
    return folder


@pytest.mark.parametrize("name", BUILT)
def test_the_output_of_a_builder_is_found_beside_its_sources(tmp_path: Path, name: str) -> None:
    _touch(_sources(tmp_path), f"{name}/index.html", "index.html")
    found = detect(tmp_path, NONE)
    assert found.folder == tmp_path / name
    assert name in found.what


def test_the_most_common_output_wins(tmp_path: Path) -> None:
    _touch(tmp_path, *(f"{name}/index.html" for name in reversed(BUILT)))
    assert detect(tmp_path, NONE).folder == tmp_path / BUILT[0]


def test_an_output_folder_without_an_index_is_none(tmp_path: Path) -> None:
    _touch(_sources(tmp_path), "dist/library.js")
    with pytest.raises(BuildNeeded):
        detect(tmp_path, NONE)


def test_angular_puts_its_output_two_levels_down(tmp_path: Path) -> None:
    _touch(_sources(tmp_path), "dist/app/browser/index.html")
    assert detect(tmp_path, NONE).folder == tmp_path / "dist/app/browser"


@pytest.mark.parametrize(
    "settings",
    ["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml", "gatsby-config.js", "gatsby-config.ts"],
)
def test_public_is_output_of_hugo_and_gatsby(tmp_path: Path, settings: str) -> None:
    _touch(tmp_path, settings, "public/index.html")
    assert detect(tmp_path, NONE).folder == tmp_path / "public"


def test_public_is_a_source_folder_elsewhere(tmp_path: Path) -> None:
    _touch(_sources(tmp_path), "public/index.html")
    with pytest.raises(BuildNeeded):
        detect(tmp_path, NONE)


@pytest.mark.parametrize("page", ["index.html", "about.html"])
def test_static_files_are_published_from_where_they_are(tmp_path: Path, page: str) -> None:
    assert detect(_touch(tmp_path, page), NONE).folder == tmp_path


def test_a_package_without_a_build_script_may_be_a_static_site(tmp_path: Path) -> None:
    assert detect(_touch(_sources(tmp_path, {"test": "x"}), "index.html"), NONE).folder == tmp_path


@pytest.mark.parametrize("scripts", ["prebuild", 5, ["build"], False])
def test_scripts_that_are_none_are_no_build(tmp_path: Path, scripts: object) -> None:
    assert detect(_touch(_sources(tmp_path, scripts), "index.html"), NONE).folder == tmp_path


@pytest.mark.parametrize(
    "lock, command",
    [
        ("package-lock.json", "npm run build"),
        ("pnpm-lock.yaml", "pnpm run build"),
        ("yarn.lock", "yarn build"),
        ("bun.lock", "bun run build"),
        ("bun.lockb", "bun run build"),
    ],
)
def test_sources_without_output_name_the_command_that_builds_them(tmp_path: Path, lock: str, command: str) -> None:
    with pytest.raises(BuildNeeded) as caught:
        detect(_touch(_sources(tmp_path), lock, "index.html"), NONE)
    assert f"`{command}`" in caught.value.hint
    assert caught.value.exit_code == 3


def test_hugo_sources_name_hugo(tmp_path: Path) -> None:
    with pytest.raises(BuildNeeded) as caught:
        detect(_touch(tmp_path, "hugo.toml"), NONE)
    assert "`hugo`" in caught.value.hint


@pytest.mark.parametrize("package", [b"{", b"[]", b"\xff", b"null"])
def test_a_broken_package_file_is_not_in_the_way(tmp_path: Path, package: bytes) -> None:
    (tmp_path / "package.json").write_bytes(package)
    assert detect(_touch(tmp_path, "index.html"), NONE).folder == tmp_path


def test_nothing_like_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="Nothing here looks like a site"):
        detect(_touch(tmp_path, "notes.txt"), NONE)


def test_the_home_folder_is_never_published_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(_touch(tmp_path, "index.html")))
    with pytest.raises(FolderError, match="home"):
        detect(tmp_path, NONE)


def test_a_configured_output_is_taken_before_all_others(tmp_path: Path) -> None:
    _touch(tmp_path, "dist/index.html", "made/page.txt")
    found = detect(tmp_path, ProjectFile(output="made", source="af.json"))
    assert found.folder == tmp_path / "made"
    assert "af.json" in found.what


def test_a_configured_output_that_is_absent_is_an_error_with_the_command(tmp_path: Path) -> None:
    _touch(_sources(tmp_path), "yarn.lock", "dist/index.html")
    with pytest.raises(FolderError, match="'made', which does not exist") as caught:
        detect(tmp_path, ProjectFile(output="made", source="af.json"))
    assert "yarn build" in caught.value.hint
