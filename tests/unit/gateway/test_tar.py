"""TAR archives of UnixFS: the same bytes each time, everything inside of one directory, nothing that reaches out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.gateway.errors import NotAcceptable
from af.gateway.formats import tar as tars
from af.gateway.tree import Found, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, hamt, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.protocols.ipfs.errors import BlockMissing, InvalidBlock, UnsupportedCodec
from tests.support.blocks import MemoryBlocks

CHUNKED = unixfs.Profile(name="chunked", chunk_bytes=1_000, max_links=3, directory_estimate="block")
SHARDED = unixfs.Profile(
    name="sharded", chunk_bytes=1_000, max_links=3, fanout=16, directory_max_bytes=1, directory_estimate="block"
)


async def found(blocks: MemoryBlocks, root: CID, path: str = "") -> tuple[Tree, Found]:
    tree = Tree(blocks, cache_bytes=1 << 20)
    there = await tree.find(root, [part.encode() for part in path.split("/") if part], public=False)
    assert there is not None
    return tree, there


async def archive(blocks: MemoryBlocks, root: CID, path: str = "") -> bytes:
    stream = await tars.tar(*await found(blocks, root, path), public=False)
    return b"".join([piece async for piece in stream()])


async def read(blocks: MemoryBlocks, root: CID, path: str = "") -> dict[str, bytes | str | None]:
    """Names without the root's: contents of files, targets of symlinks, `None` for directories."""
    data = await archive(blocks, root, path)
    assert len(data) % 512 == 0
    entries: dict[str, bytes | str | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as opened:
        for member in opened:
            name = member.name.removeprefix(cids.to_text(root)).removeprefix("/")
            content = opened.extractfile(member) if member.isreg() else None
            entries[name] = content.read() if content else member.linkname if member.issym() else None
    return entries


def put(blocks: MemoryBlocks, block: bytes) -> CID:
    cid = cids.of(cids.DAG_PB, block)
    blocks.add(cid, block)
    return cid


def directory(blocks: MemoryBlocks, entries: Mapping[bytes, CID] | list[tuple[bytes, CID]]) -> CID:
    """Names as they are: the importer would refuse most of these."""
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    return put(blocks, dagpb.encode_node([Link(cid, name, 1) for name, cid in pairs], b"\x08\x01"))


def link(blocks: MemoryBlocks, target: bytes) -> CID:
    return blocks.symlink(target).cid


def raw(blocks: MemoryBlocks, data: bytes = b"x") -> CID:
    return blocks.file(data).cid


async def test_a_folder_comes_back_as_it_was() -> None:
    blocks = MemoryBlocks()
    large = bytes(range(256)) * 40
    root = blocks.folder(
        {
            "index.html": b"<h1>",
            "empty": b"",
            "a/large": blocks.file(large, CHUNKED),
            "a/wrapped": blocks.file(b"in dag-pb", unixfs.PROFILES["v0-2015"]),
            "a/b/exact": b"x" * 512,
            "ą/ę/źł.txt": b"utf-8",
            "up": blocks.symlink(b"a/b/exact"),
            "a/b/back": blocks.symlink(b"../../index.html"),
        }
    )
    assert await read(blocks, root) == {
        "": None,
        "a": None,
        "a/b": None,
        "a/b/back": "../../index.html",
        "a/b/exact": b"x" * 512,
        "a/large": large,
        "a/wrapped": b"in dag-pb",
        "empty": b"",
        "index.html": b"<h1>",
        "up": "a/b/exact",
        "ą": None,
        "ą/ę": None,
        "ą/ę/źł.txt": b"utf-8",
    }


async def test_a_file_is_an_archive_of_one_entry_named_like_the_cid() -> None:
    blocks = MemoryBlocks()
    file = blocks.file(b"content")
    root = blocks.folder({"x": file})
    with tarfile.open(fileobj=io.BytesIO(await archive(blocks, root, "x"))) as opened:
        assert opened.getnames() == [cids.to_text(file.cid)]


async def test_the_bytes_are_the_same_each_time_and_times_are_those_of_unixfs() -> None:
    blocks = MemoryBlocks()
    message = UnixFS(kind=Kind.FILE, data=b"x", size_bytes=1, mode=0o106_755, mtime=(1_700_000_000, 5))
    dated = put(blocks, dagpb.encode_node([], dagpb.encode_unixfs(message)))
    root = directory(blocks, {b"b": dated, b"a": raw(blocks)})
    data = await archive(blocks, root)
    assert data == await archive(blocks, root)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        top, plain, other = opened.getmembers()
    assert (top.mtime, top.mode, plain.mtime, plain.mode) == (0, 0o755, 0, 0o644)
    assert (other.mtime, other.mode) == (1_700_000_000, 0o755), "no set-user-id"
    assert {member.uid for member in (top, plain, other)} == {0}


@pytest.mark.parametrize("length", [1, 99, 100, 101, 155, 156, 255])
async def test_names_of_any_length_survive(length: int) -> None:
    blocks = MemoryBlocks()
    name = "n" * length
    assert name in await read(blocks, blocks.folder({name: b"x", f"{name}d/{name}"[:250]: b"y"}))


async def test_bytes_that_are_not_utf_8_survive_as_a_name() -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {b"\xff\xfe": raw(blocks)})
    assert set(await read(blocks, root)) == {"", "\udcff\udcfe"}


async def test_a_sharded_directory_is_an_ordinary_one_in_the_archive() -> None:
    blocks = MemoryBlocks()
    names = {f"f{number}": str(number).encode() for number in range(300)}
    root = blocks.folder(names, SHARDED)
    assert await read(blocks, root) == {"": None, **names}


segment = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8
).filter(lambda text: text not in (".", ".."))


@given(st.dictionaries(st.lists(segment, min_size=1, max_size=3).map("/".join), st.binary(max_size=2_000), max_size=8))
@settings(max_examples=60)
async def test_any_tree_unpacks_to_itself(files: dict[str, bytes]) -> None:
    kept = {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    blocks = MemoryBlocks()
    entries = await read(blocks, blocks.folder(kept, CHUNKED))
    assert {path: data for path, data in entries.items() if data is not None} == kept


async def test_system_tar_and_python_unpack_it(tmp_path: Path) -> None:
    blocks = MemoryBlocks()
    root = blocks.folder({"a/b": b"content", "l": blocks.symlink(b"a/b"), "ü" * 90: b"long"})
    with tarfile.open(fileobj=io.BytesIO(await archive(blocks, root))) as opened:
        opened.extractall(tmp_path, filter="data")
    top = tmp_path / cids.to_text(root)
    assert (top / "l").read_bytes() == (top / "a" / "b").read_bytes() == b"content"
    assert (top / ("ü" * 90)).read_bytes() == b"long"


# --- hostile -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        b"", b".", b"..", b"/", b"/etc/passwd", b"../x", b"../../x", b"a/b", b"a/../x", b"a/", b"../", b"../..", b"./x",
        b"x\0y", b"..\\x", b"a\\..\\..\\x", b"../a/b",
    ],
)  # fmt: skip
async def test_a_name_that_leads_out_of_the_root_is_refused_before_the_first_byte(name: bytes) -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {name: raw(blocks)})
    with pytest.raises(NotAcceptable):
        await tars.tar(*await found(blocks, root), public=False)


async def test_an_old_name_with_dots_ends_up_where_kubo_puts_it() -> None:
    blocks = MemoryBlocks()
    inner = directory(blocks, {b"../file": raw(blocks, b"hello")})
    root = directory(blocks, {b"foobar": directory(blocks, {b"directory": inner})})
    assert await read(blocks, root) == {"": None, "foobar": None, "foobar/directory": None, "foobar/file": b"hello"}
    far = directory(blocks, {b"a": directory(blocks, {b"../../file": raw(blocks)})})
    with pytest.raises(NotAcceptable):
        await archive(blocks, far)


async def test_only_files_may_have_such_names() -> None:
    blocks = MemoryBlocks()
    for entry in (link(blocks, b"x"), directory(blocks, {})):
        root = directory(blocks, {b"a": directory(blocks, {b"../b": entry})})
        with pytest.raises(NotAcceptable):
            await archive(blocks, root)


@pytest.mark.parametrize(
    ("target", "depth"),
    [
        (b"/etc/passwd", 5),
        (b"..", 0),
        (b"../x", 0),
        (b"./../x", 0),
        (b"../../x", 1),
        (b"a/../../x", 1),
        (b"a/../b", 3),
        (b"", 1),
        (b"C:\\x", 1),
        (b"c:/x", 1),
        (b"\\\\server\\x", 1),
        (b"..\\..\\x", 1),
        (b"x\0y", 1),
    ],
)
async def test_a_symlink_that_may_point_out_of_the_root_is_refused(target: bytes, depth: int) -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {b"l": link(blocks, target)})
    for _ in range(depth):
        root = directory(blocks, {b"d": root})
    with pytest.raises(NotAcceptable):
        await archive(blocks, root)


@pytest.mark.parametrize(("target", "depth"), [(b"x", 0), (b"./x/y", 0), (b"..", 1), (b"../../x", 2), (b"..x/...", 0)])
async def test_a_symlink_within_the_root_is_kept(target: bytes, depth: int) -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {b"l": link(blocks, target)})
    for _ in range(depth):
        root = directory(blocks, {b"d": root})
    assert (await read(blocks, root))["d/" * depth + "l"] == target.decode()


async def test_a_symlink_alone_makes_no_archive() -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {b"l": link(blocks, b"x"), b"x": raw(blocks)})
    blocks.publish()
    tree = Tree(blocks, cache_bytes=1 << 20)
    there = await tree.find(root, (b"l",), public=True)
    assert there is not None
    with pytest.raises(NotAcceptable):
        await tars.tar(tree, there, public=True)


async def test_a_directory_is_judged_by_each_place_it_is_in() -> None:
    blocks = MemoryBlocks()
    shared = directory(blocks, {b"l": link(blocks, b"../../x")})
    deep = directory(blocks, {b"b": directory(blocks, {b"c": shared})})
    assert "a/b/c/l" in await read(blocks, directory(blocks, {b"a": deep}))
    with pytest.raises(NotAcceptable):  # the same directory, looked at deep down first, then close to the root
        await archive(blocks, directory(blocks, {b"a": deep, b"z": shared}))


async def test_of_two_entries_with_one_name_the_first_counts() -> None:
    blocks = MemoryBlocks()
    inner = directory(blocks, {b"x": raw(blocks)})
    root = directory(blocks, [(b"a", link(blocks, b"b")), (b"a", inner)])
    assert await read(blocks, root) == {"": None, "a": "b"}


async def test_a_sharded_directory_cannot_hide_a_second_entry_of_a_name() -> None:
    blocks = MemoryBlocks()
    slot = hamt.slot_at(hamt.hash_name(b"a"), 0, 16)
    wrong = (slot + 1) % 16
    links = sorted(
        [Link(link(blocks, b"b"), b"%X%b" % (slot, b"a"), 1), Link(raw(blocks), b"%X%b" % (wrong, b"a"), 1)],
        key=lambda entry: entry.name,
    )
    message = UnixFS(
        kind=Kind.HAMT_SHARD,
        data=(1 << slot | 1 << wrong).to_bytes(2, "big"),
        hash_type=hamt.MURMUR3_X64_64,
        fanout=16,
    )
    root = put(blocks, dagpb.encode_node(links, dagpb.encode_unixfs(message)))
    with pytest.raises(InvalidBlock):
        await archive(blocks, root)


async def test_a_small_graph_with_very_many_names_is_refused_at_once() -> None:
    blocks = MemoryBlocks()
    root = raw(blocks)
    for _ in range(60):
        root = directory(blocks, {b"a": root, b"b": root})
    with pytest.raises(NotAcceptable):
        await archive(blocks, root)
    assert blocks.reads < 1_000


async def test_depth_is_bounded_however_it_comes_about() -> None:
    blocks = MemoryBlocks()
    chains, root = [], directory(blocks, {})
    for _ in range(4):
        for _ in range(tars.DEPTH_MAX // 2):
            root = directory(blocks, {b"d": root})
        chains.append(root)
    assert await read(blocks, chains[0])
    for top in (chains[-1], directory(blocks, {b"%d" % index: chain for index, chain in enumerate(chains)})):
        with pytest.raises(NotAcceptable):
            await archive(blocks, top)


async def test_what_is_no_unixfs_or_is_missing_is_said_before_the_first_byte() -> None:
    blocks = MemoryBlocks()
    other = cids.of(cids.DAG_CBOR, b"\xa0")
    blocks.add(other, b"\xa0")
    with pytest.raises(UnsupportedCodec):
        await tars.tar(*await found(blocks, directory(blocks, {b"a": other})), public=False)
    gone = cids.of(cids.DAG_PB, b"gone")
    with pytest.raises(BlockMissing):
        await tars.tar(*await found(blocks, directory(blocks, {b"a": gone})), public=False)


async def test_a_file_that_is_missing_breaks_the_stream_off() -> None:
    blocks = MemoryBlocks()
    root = directory(blocks, {b"a": raw(blocks), b"b": cids.of(cids.RAW, b"gone")})
    stream = (await tars.tar(*await found(blocks, root), public=False))()
    pieces: list[bytes] = []
    with pytest.raises(BlockMissing):
        async for piece in stream:
            pieces.append(piece)
    assert pieces
    assert not b"".join(pieces).endswith(bytes(1024))


async def test_only_public_blocks_go_into_a_public_archive() -> None:
    blocks = MemoryBlocks()
    blocks.folder({"a": b"public"})
    blocks.publish()
    root = blocks.folder({"a": b"public", "b": b"private"})
    blocks.public.add(root)
    tree = Tree(blocks, cache_bytes=1 << 20)
    there = await tree.find(root, (), public=True)
    assert there is not None
    stream = (await tars.tar(tree, there, public=True))()
    with pytest.raises(BlockMissing):
        async for piece in stream:
            assert b"private" not in piece
