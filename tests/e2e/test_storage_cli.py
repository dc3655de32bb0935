"""`af storage` against a platform: in, listed, out again, kept and let go; every mistake says what to run next."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from tests.e2e.hostile import Done, af, car_of, dag, write
from tests.e2e.platform import AF, Running, running

FILES = {"index.html": b"<h1>hello</h1>", "docs/a.txt": b"a", "docs/deep/b.bin": bytes(range(256)) * 5_000}
ELSEWHERE = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("storage")) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write(tmp_path_factory.mktemp("folder") / "site", FILES)
    (made / "link").symlink_to("docs/a.txt")
    return made


@pytest.fixture(scope="module")
def root(platform: Running, folder: Path) -> str:
    return str(ok(platform, "add", folder)["cid"])


def ok(platform: Running, *arguments: str | Path) -> Any:
    done = af(platform, "storage", *arguments, "--json")
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)


def refused(platform: Running, *arguments: str | Path) -> dict[str, Any]:
    """The error, which must say what to do."""
    done: Done = af(platform, "storage", *arguments, "--json")
    assert done.code != 0, done.out
    error: dict[str, Any] = json.loads(done.out)["error"]
    assert error["hint"], error
    return error


def tree(top: Path) -> dict[str, bytes]:
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file() and not p.is_symlink()}


def test_what_is_added_has_its_cid_at_the_top_and_where_it_was(platform: Running, folder: Path, root: str) -> None:
    again = ok(platform, "add", folder, "--name", "twice")
    assert again["cid"] == again["pin"]["cid"] == root
    assert (again["name"], again["uploadedFiles"], again["uploadedBytes"]) == ("twice", 0, 0)
    dry = af(platform, "deploy", folder, "--dry-run", "--json").json
    assert dry["cid"] == root
    plain = af(platform, "storage", "add", folder)
    assert plain.out.strip() == root


def test_a_file_has_the_cid_of_its_content_or_is_in_a_folder(platform: Running, tmp_path: Path) -> None:
    file = write(tmp_path, {"a.txt": b"hello"}) / "a.txt"
    alone = ok(platform, "add", file)
    assert alone["cid"] == cids.to_text(cids.of(cids.RAW, b"hello"))
    assert platform.request(f"/ipfs/{alone['cid']}").status in (200, 301, 302, 307, 308)
    assert af(platform, "storage", "get", alone["cid"]).out == "hello"
    wrapped = ok(platform, "add", file, "--wrap")
    assert wrapped["cid"] != alone["cid"]
    assert af(platform, "storage", "get", wrapped["cid"], "a.txt").out == "hello"
    assert [e["cid"] for e in ok(platform, "ls", wrapped["cid"])["data"]] == [alone["cid"]]


def test_folders_are_listed_by_path(platform: Running, root: str) -> None:
    top = ok(platform, "ls", root)
    assert [(e["name"], e["kind"]) for e in top["data"]] == [
        ("docs", "folder"),
        ("index.html", "file"),
        ("link", "symlink"),
    ]
    deep = ok(platform, "ls", f"/ipfs/{root}/docs/deep")["data"]
    assert [(e["name"], e["size"]) for e in deep] == [("b.bin", len(FILES["docs/deep/b.bin"]))]
    assert ok(platform, "ls", f"{root}/docs/a.txt")["data"] == [
        {"name": "a.txt", "cid": cids.to_text(cids.of(cids.RAW, b"a")), "kind": "file", "size": 1}
    ]
    shown = af(platform, "storage", "ls", f"ipfs://{root}").out
    assert "docs/" in shown
    assert "14 B" in shown
    assert root in [pin["cid"] for pin in ok(platform, "ls")["data"]]


def test_files_and_folders_come_back(platform: Running, root: str, folder: Path, tmp_path: Path) -> None:
    got = ok(platform, "get", root, "-o", tmp_path / "all")
    assert (got["files"], got["bytes"]) == (4, sum(map(len, FILES.values())))
    assert tree(tmp_path / "all") == FILES
    assert os.readlink(tmp_path / "all/link") == "docs/a.txt"
    assert ok(platform, "get", f"{root}/docs", "-o", tmp_path / "docs")["files"] == 2
    assert (tmp_path / "docs/deep/b.bin").read_bytes() == FILES["docs/deep/b.bin"]
    assert ok(platform, "get", root, "docs/deep/b.bin", "-o", tmp_path / "docs")["file"].endswith("docs/b.bin")
    assert (tmp_path / "docs/b.bin").read_bytes() == FILES["docs/deep/b.bin"]
    ok(platform, "get", root, "index.html", "-o", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes() == FILES["index.html"]
    assert sorted(os.listdir(tmp_path)) == ["all", "docs", "page.html"]
    assert ok(platform, "add", tmp_path / "all")["cid"] == root


def test_cars_go_out_and_in(platform: Running, root: str, tmp_path: Path) -> None:
    file = tmp_path / "site.car"
    exported = ok(platform, "export", root, "-o", file)
    assert exported["bytes"] == file.stat().st_size
    reader = car.CarReader()
    assert len(list(reader.feed(file.read_bytes()))) == exported["blocks"]
    assert reader.roots == (cids.parse(root),)
    ok(platform, "rm", root)
    assert root not in [pin["cid"] for pin in ok(platform, "list")["data"]]
    assert ok(platform, "import", file)["complete"] is True
    assert root in [pin["cid"] for pin in ok(platform, "list")["data"]]
    piped = subprocess.run(
        [AF, "storage", "export", root], env=platform.environment, capture_output=True, timeout=60, check=True
    )
    assert piped.stdout == file.read_bytes()


def test_what_is_here_can_be_pinned_and_let_go(platform: Running, tmp_path: Path) -> None:
    content, blocks = dag({"private.txt": os.urandom(100)})
    (tmp_path / "p.car").write_bytes(car_of(content, blocks.items()))
    root = ok(platform, "import", tmp_path / "p.car", "--private")["roots"][0]
    ok(platform, "delete", root)
    assert ok(platform, "pin", root, "--name", "kept", "--private")["name"] == "kept"
    host = f"{root}.ipfs.localhost"
    assert platform.request("/private.txt", host=host).status == 404
    ok(platform, "pin", root)
    assert platform.request("/private.txt", host=host).status == 200
    assert ok(platform, "rm", root) == {"cid": root, "deleted": True}


def test_mistakes_say_what_to_run(platform: Running, root: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    assert "is not a CID" in refused(platform, "ls", "nonsense")["message"]
    assert "is not a CID" in refused(platform, "get", "nonsense", "-o", tmp_path / "x")["message"]
    assert "is not a CID" in refused(platform, "export", "nonsense", "-o", tmp_path / "x")["message"]
    assert "af pins add" in refused(platform, "pin", ELSEWHERE)["hint"]
    assert "af pins add" in refused(platform, "get", ELSEWHERE, "-o", tmp_path / "x")["hint"]
    assert "af storage ls" in refused(platform, "get", root, "nothing.txt", "-o", tmp_path / "x")["hint"]
    assert "af storage list" in refused(platform, "rm", ELSEWHERE)["hint"]
    assert "not empty" in refused(platform, "get", root, "-o", tmp_path / "full")["message"]
    assert "cannot be written" in refused(platform, "get", root, "-o", tmp_path / "no/where")["message"]
    assert "cannot be written" in refused(platform, "export", root, "-o", tmp_path / "no/where")["message"]
    folder = af(platform, "storage", "get", root)
    assert folder.code == 2
    assert f"af storage get {root} -o FOLDER" in folder.err
    assert refused(platform, "add", tmp_path / "absent")["code"] == "usage"
    assert sorted(os.listdir(tmp_path)) == ["full"]
    assert os.listdir(tmp_path / "full") == ["mine"]
