"""The page's own JavaScript, run by Node: what it uploads is what Python's tarfile reads."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

import af
from tests.support.node import node

_PAGES = Path(af.__file__).parent / "server" / "pages"
_PACK = """
const { tar } = await import(process.argv[1]);
const files = JSON.parse(process.argv[2]).map(([path, text]) => ({ path, file: new Blob([text]) }));
process.stdout.write(Buffer.from(await tar(files).arrayBuffer()));
"""


def _pack(files: list[tuple[str, str]]) -> bytes:
    import json

    command = [str(node()), "--input-type=module", "-e", _PACK, str(_PAGES / "tar.js"), json.dumps(files)]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


@pytest.mark.parametrize(
    "path",
    ["index.html", "a/b/c.css", "x" * 100, "y" * 101, "d/" * 70 + "deep.txt", "grüße/日本語 ☃.html", "z" * 98 + "é"],
)
def test_a_packed_file_comes_out_with_its_name_and_bytes(path: str) -> None:
    packed = _pack([(path, "hello"), ("after", "x" * 513)])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == [path, "after"]
        members = [archive.extractfile(member) for member in archive]
        assert [member.read() for member in members if member] == [b"hello", b"x" * 513]


def test_empty_files_and_no_files_are_whole_archives() -> None:
    with tarfile.open(fileobj=io.BytesIO(_pack([("empty", "")]))) as archive:
        assert archive.getmember("empty").size == 0
    with tarfile.open(fileobj=io.BytesIO(_pack([]))) as archive:
        assert archive.getnames() == []


def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline() -> None:
    html = (_PAGES / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for file in _PAGES.iterdir():
        if file.suffix in (".html", ".css", ".js"):
            text = file.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "innerHTML" not in text
            assert not re.search(r"(src|href)=\"(https?:)?//|@import|url\(", text), file.name
