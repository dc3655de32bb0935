"""Import and export together: what goes in comes out, from every range and by every name."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.ipfs import cid, dagpb, export, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, UnixFS
from af.protocols.ipfs.errors import BlockMissing, InvalidName, NotFound, PathConflict
from af.protocols.ipfs.unixfs import Entry, Profile

PROFILES = list(unixfs.PROFILES.values())
SMALL = [replace(profile, chunk_bytes=8, max_links=3, directory_max_bytes=500) for profile in PROFILES]
TINY_HAMT = [replace(profile, fanout=8, directory_max_bytes=0) for profile in PROFILES]

names = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


class Blocks(dict[CID, bytes]):
    """A block store that counts what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[CID] = []

    def put(self, found: CID, block: bytes) -> None:
        assert cid.verify(found, block)
        self[found] = block

    async def get(self, found: CID) -> bytes:
        self.asked.append(found)
        if found not in self:
            raise BlockMissing(found)
        return self[found]

    def file(self, content: bytes, profile: Profile = unixfs.DEFAULT_PROFILE) -> Entry:
        return unixfs.import_file(io.BytesIO(content).read, self.put, profile)

    async def read(self, root: CID, start: int = 0, end: int | None = None) -> bytes:
        return b"".join([part async for part in export.read_file(self.get, root, start, end)])


profiles = st.sampled_from([*PROFILES, *SMALL, *TINY_HAMT])


# --- files ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=600), profiles, st.integers(0, 700), st.none() | st.integers(0, 700))
async def test_any_range_of_any_file_reads_back(content: bytes, profile: Profile, start: int, end: int | None) -> None:
    blocks = Blocks()
    root = blocks.file(content, profile)

    assert await blocks.read(root.cid) == content
    assert await blocks.read(root.cid, start, end) == content[start:end]
    found = await export.stat(blocks.get, root.cid)
    assert (found.kind, found.size_bytes, found.tsize) == ("file", len(content), root.tsize)
    assert root.size_bytes == len(content)


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=50), st.sampled_from(SMALL))
def test_short_reads_do_not_change_the_cid(content: bytes, sizes: list[int], profile: Profile) -> None:
    source, lengths = io.BytesIO(content), iter(sizes)
    whole = unixfs.import_file(io.BytesIO(content).read, unixfs.discard, profile)
    assert unixfs.import_file(lambda n: source.read(min(n, next(lengths, n))), unixfs.discard, profile) == whole


async def test_a_range_fetches_only_the_blocks_it_needs() -> None:
    blocks = Blocks()
    content = bytes(range(256)) * 10
    profile = replace(SMALL[0], chunk_bytes=16, max_links=4)
    root = blocks.file(content, profile)

    assert await blocks.read(root.cid, 1000, 1001) == content[1000:1001]
    assert len(blocks.asked) == 5  # four levels of nodes and one leaf
    blocks.asked.clear()
    assert await blocks.read(root.cid, 0, 0) == b""
    assert len(blocks.asked) == 1


async def test_a_missing_block_ends_the_read_after_what_came_before_it() -> None:
    blocks = Blocks()
    root = blocks.file(bytes(range(24)), SMALL[0])
    missing = cid.of(cid.RAW, bytes(range(8, 16)))
    del blocks[missing]
    parts = []
    with pytest.raises(BlockMissing) as caught:
        async for part in export.read_file(blocks.get, root.cid):
            parts.append(part)
    assert caught.value.cid == missing
    assert parts == [bytes(range(8))]


def test_importing_a_large_file_keeps_only_one_level_of_links() -> None:
    profile = replace(unixfs.DEFAULT_PROFILE, chunk_bytes=1, max_links=100)
    tree = unixfs._FileTree(unixfs.discard, profile)
    leaf = Entry(cid.of(cid.RAW, b"x"), 1, 1)
    for _ in range(20_000):
        tree.add(leaf)
        assert all(len(level) <= 100 for level in tree._levels)
    assert tree.finish().size_bytes == 20_000


# --- symlinks and directories --------------------------------------------------------------------------------------


@given(st.binary(max_size=100), st.sampled_from(PROFILES))
async def test_a_symlink_keeps_its_target(target: bytes, profile: Profile) -> None:
    blocks = Blocks()
    root = unixfs.symlink(target, blocks.put, profile)
    assert await export.read_symlink(blocks.get, root.cid) == target
    found = await export.stat(blocks.get, root.cid)
    assert (found.kind, found.size_bytes) == ("symlink", len(target))


@settings(max_examples=50)
@given(st.sets(names, max_size=60), profiles, names)
async def test_every_name_is_found_and_no_other(chosen: set[str], profile: Profile, other: str) -> None:
    blocks = Blocks()
    made = {name: blocks.file(name.encode(), profile) for name in chosen}
    root = unixfs.directory(((name.encode(), entry) for name, entry in made.items()), blocks.put, profile)

    for name, entry in made.items():
        assert (await export.resolve(blocks.get, root.cid, [name])).cid == entry.cid
    listed = await export.list_directory(blocks.get, root.cid)
    expected = sorted((name.encode(), entry.cid, entry.tsize) for name, entry in made.items())
    assert listed == expected
    if other not in chosen:
        with pytest.raises(NotFound):
            await export.resolve(blocks.get, root.cid, [other])


async def test_a_name_in_a_sharded_directory_costs_only_the_shards_on_its_path() -> None:
    blocks = Blocks()
    leaf = blocks.file(b"x")
    root = unixfs.directory(((b"%020d" % n, leaf) for n in range(20_000)), blocks.put)
    shards = len(blocks) - 1

    found = await export.resolve(blocks.get, root.cid, [b"%020d" % 12_345])
    assert found.cid == leaf.cid
    assert found.roots == (root.cid, leaf.cid)
    assert found.path_cids == tuple(blocks.asked)
    assert 3 <= len(blocks.asked) <= 5 < shards
    assert len(await export.list_directory(blocks.get, root.cid)) == 20_000


def test_the_order_of_entries_does_not_matter() -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    one = unixfs.directory([(b"a", leaf), (b"b", leaf)], unixfs.discard)
    assert unixfs.directory([(b"b", leaf), (b"a", leaf)], unixfs.discard) == one
    assert one.size_bytes == 2


def test_a_name_given_twice_is_refused() -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    with pytest.raises(PathConflict, match="two entries are named 'a'"):
        unixfs.directory([(b"a", leaf), (b"b", leaf), (b"a", leaf)], unixfs.discard)


def test_a_refused_name_is_refused_by_directory_too() -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    with pytest.raises(InvalidName):
        unixfs.directory([(b"a/b", leaf)], unixfs.discard)


# --- trees ---------------------------------------------------------------------------------------------------------


async def test_a_tree_is_the_directories_its_paths_name() -> None:
    blocks = Blocks()
    one, two = blocks.file(b"1"), blocks.file(b"2")
    empty = unixfs.directory([], blocks.put)
    link = unixfs.symlink(b"../one", blocks.put)
    root = unixfs.build_tree([("x/y/two", two), ("one", one), ("x/link", link), ("x/empty", empty)], blocks.put)

    y = unixfs.directory([(b"two", two)], unixfs.discard)
    x = unixfs.directory([(b"y", y), (b"link", link), (b"empty", empty)], unixfs.discard)
    assert root == unixfs.directory([(b"one", one), (b"x", x)], unixfs.discard)
    found = await export.resolve(blocks.get, root.cid, ["x", "y", "two"])
    assert found.roots == (root.cid, x.cid, y.cid, two.cid)
    assert found.stat.block == b"2"
    assert {cid async for cid, _ in export.walk(blocks.get, root.cid)} == set(blocks)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_an_empty_tree_is_the_empty_directory(profile: Profile) -> None:
    root = unixfs.build_tree([], unixfs.discard, profile)
    assert cid.as_v1(root.cid) == cid.EMPTY_DIRECTORY


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_directory_may_be_named_and_also_have_files(profile: Profile) -> None:
    one = unixfs.import_file(io.BytesIO(b"1").read, unixfs.discard, profile)
    empty = unixfs.directory([], unixfs.discard, profile)
    expected = unixfs.build_tree([("a/one", one)], unixfs.discard, profile)
    for paths in (["a", "a/one"], ["a/one", "a"], ["a", "a", "a/one"]):
        found = [(path, one if path == "a/one" else empty) for path in paths]
        assert unixfs.build_tree(found, unixfs.discard, profile) == expected


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a", "a"], "given twice"),
        (["a", "a/b"], "to be a directory, but it is a file"),
        (["a/b", "a"], "both a file and a directory"),
        (["a/b/c", "a/b"], "both a file and a directory"),
    ],
)
def test_paths_that_conflict_are_refused_before_anything_is_put(paths: list[str], message: str) -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    put: list[CID] = []
    with pytest.raises(PathConflict, match=message):
        unixfs.build_tree([(path, leaf) for path in paths], lambda found, _: put.append(found))
    assert put == []


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", "a/" * 256 + "b", "x" * 5000]
)
def test_paths_that_are_no_clean_relative_paths_are_refused(path: str) -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    with pytest.raises(InvalidName):
        unixfs.build_tree([(path, leaf)], unixfs.discard)


def test_a_hundred_thousand_files_make_a_tree() -> None:
    leaf = unixfs.import_file(io.BytesIO(b"x").read, unixfs.discard)
    paths = ((f"d{index % 97}/e{index % 89}/file{index}", leaf) for index in range(100_000))
    assert unixfs.build_tree(paths, unixfs.discard).size_bytes == 100_000


def test_a_leaf_of_the_old_profile_is_a_file_node() -> None:
    blocks = Blocks()
    root = blocks.file(b"hi", unixfs.PROFILES["v0-2015"])
    node = dagpb.decode_node(blocks[root.cid])
    assert dagpb.decode_unixfs(node.data) == UnixFS(kind=Kind.FILE, data=b"hi", size_bytes=2)
