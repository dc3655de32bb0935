"""CARs written out as files: what is right is whole, what is hostile leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from af.protocols.ipfs import car, dagpb, unixfs
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from alternatefutures.errors import ContentWrong, UsageError
from alternatefutures.unpack import ENTRIES_MAX, Blocks, Written, write_out
from tests.support.blocks import MemoryBlocks

FILES: Mapping[str, bytes] = {
    "index.html": b"<h1>hello</h1>",
    "a/b/c.txt": b"deep",
    "empty": b"",
    "big": b"x" * 3_000_000,
}


def fetched(
    memory: MemoryBlocks,
    root: CID,
    target: Path,
    *,
    without: CID | None = None,
    forged: bool = False,
    entries_max: int = ENTRIES_MAX,
) -> Written:
    frames = [car.frame(c, b"forged" if forged and c != root else d) for c, d in memory.data.items() if c != without]
    with Blocks(target.parent) as blocks:
        blocks.receive(root, iter([car.header([root]), *frames]), lambda _bytes: None)
        return write_out(blocks, root, target, entries_max=entries_max)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def named(memory: MemoryBlocks, *entries: tuple[bytes, CID]) -> CID:
    """A folder with any names."""
    links = [dagpb.Link(cid, name, 10) for name, cid in entries]
    block = dagpb.encode_node(links, dagpb.encode_unixfs(dagpb.UnixFS(kind=dagpb.Kind.DIRECTORY)))
    cid = cids.of(cids.DAG_PB, block)
    memory.data[cid] = block
    return cid


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    root = memory.folder(FILES)
    assert fetched(memory, root, tmp_path / "out") == Written(files=4, bytes=sum(map(len, FILES.values())))
    assert tree(tmp_path / "out") == FILES
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_comes_back_and_replaces_one(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    entry = memory.file(b"y" * 2_000_000)
    (tmp_path / "out").write_bytes(b"old")
    assert fetched(memory, entry.cid, tmp_path / "out").bytes == 2_000_000
    assert (tmp_path / "out").read_bytes() == b"y" * 2_000_000


def test_symlinks_inside_are_kept(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    links = {"a/up": memory.symlink(b"../index.html"), "here": memory.symlink(b"./a"), "self": memory.symlink(b".")}
    root = memory.folder({"index.html": b"x", "a/b": b"y", **links})
    fetched(memory, root, tmp_path / "out")
    assert (tmp_path / "out/a/up").read_bytes() == b"x"
    assert (tmp_path / "out/here/b").read_bytes() == b"y"


@pytest.mark.parametrize("target", [b"..", b"/etc/passwd", b"a/../..", b"self/self/../../..", b"a/../x", b"", b"a\0b"])
def test_symlinks_that_may_leave_are_refused_and_leave_nothing(tmp_path: Path, target: bytes) -> None:
    memory = MemoryBlocks()
    root = memory.folder({"self": memory.symlink(b"."), "a/b": b"x", "link": memory.symlink(target)})
    with pytest.raises(ContentWrong, match="symlink"):
        fetched(memory, root, tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/etc", b"x\0", b"\xff", b"a\n"])
def test_names_that_mean_another_place_are_refused(tmp_path: Path, name: bytes) -> None:
    memory = MemoryBlocks()
    file = memory.file(b"x").cid
    with pytest.raises(ContentWrong):
        fetched(memory, named(memory, (b"good", file), (name, file)), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    file, link = memory.file(b"x").cid, memory.symlink(b"elsewhere").cid
    for second in (file, link):
        with pytest.raises((ContentWrong, UsageError)):
            fetched(memory, named(memory, (b"a", file), (b"a", second)), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_what_is_missing_or_wrong_leaves_nothing(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    root = memory.folder(FILES)
    leaf = cids.of(cids.RAW, b"deep")
    with pytest.raises(ContentWrong, match="did not come"):
        fetched(memory, root, tmp_path / "out", without=leaf)
    with pytest.raises(ContentWrong, match="wrong bytes"):
        fetched(memory, root, tmp_path / "out", forged=True)
    with pytest.raises(ContentWrong, match="something else"), Blocks(tmp_path) as blocks:
        blocks.receive(root, iter([car.header([leaf])]), lambda _bytes: None)
    with pytest.raises(ContentWrong, match="no CAR"), Blocks(tmp_path) as blocks:
        blocks.receive(root, iter([car.header([root]), b"\x50cut"]), lambda _bytes: None)
    assert os.listdir(tmp_path) == []


def test_nothing_is_written_over_a_folder(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    root = memory.folder(FILES)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(UsageError):
            fetched(memory, root, tmp_path / name)
    fetched(memory, root, tmp_path / "empty")
    assert tree(tmp_path / "empty") == FILES
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "full"]


def test_a_tree_that_says_more_than_the_disk_holds_is_refused(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    file = memory.file(b"z" * 1_000_000)
    cid, size = file.cid, 1_000_000
    for _ in range(5):  # each level is the one below a thousand times: 10^21 bytes in a few small blocks
        links = [dagpb.Link(cid, b"", size)] * 1000
        message = dagpb.UnixFS(kind=dagpb.Kind.FILE, block_sizes=(size,) * 1000)
        block = dagpb.encode_node(links, dagpb.encode_unixfs(message))
        cid, size = cids.of(cids.DAG_PB, block), size * 1000
        memory.data[cid] = block
    with pytest.raises((UsageError, ContentWrong)):
        fetched(memory, cid, tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_shared_folder_that_multiplies_is_refused(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    cid = memory.file(b"").cid
    for _ in range(4):
        cid = named(memory, *[(f"{n:02}".encode(), cid) for n in range(100)])
    with pytest.raises(ContentWrong, match="more than 10,000 files"):
        fetched(memory, cid, tmp_path / "out", entries_max=10_000)
    assert os.listdir(tmp_path) == []


def test_importing_is_not_needed_to_know_a_profile(tmp_path: Path) -> None:
    memory = MemoryBlocks()
    root = memory.folder(FILES, unixfs.PROFILES["v0-2015"])
    fetched(memory, root, tmp_path / "out")
    assert tree(tmp_path / "out") == FILES
