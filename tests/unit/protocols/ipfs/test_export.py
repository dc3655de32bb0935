"""Reading DAGs that are not what they should be, and walking those that are."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import cbrrr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import cid, dagpb, export, hamt, unixfs, varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.protocols.ipfs.errors import (
    BlockMissing,
    InvalidBlock,
    IpfsError,
    LimitExceeded,
    NotADirectory,
    NotAFile,
    NotASymlink,
    NotFound,
    UnsupportedCodec,
)


class Blocks(dict[CID, bytes]):
    def __init__(self) -> None:
        self.asked: list[CID] = []

    def add(self, codec: int, block: bytes) -> CID:
        found = cid.of(codec, block)
        self[found] = block
        return found

    def node(self, links: Sequence[Link], message: UnixFS) -> CID:
        return self.add(cid.DAG_PB, dagpb.encode_node(links, dagpb.encode_unixfs(message)))

    def file(self, children: Sequence[tuple[CID, int]], **fields: int) -> CID:
        links = [Link(child, b"", 0) for child, _ in children]
        return self.node(links, UnixFS(kind=Kind.FILE, block_sizes=tuple(size for _, size in children), **fields))

    async def get(self, found: CID) -> bytes:
        self.asked.append(found)
        if found not in self:
            raise BlockMissing(found)
        return self[found]

    async def read(self, root: CID, start: int = 0, end: int | None = None) -> bytes:
        return b"".join([part async for part in export.read_file(self.get, root, start, end)])


@pytest.fixture
def blocks() -> Blocks:
    return Blocks()


# --- paths ---------------------------------------------------------------------------------------------------------


async def test_a_path_below_a_file_or_symlink_is_refused(blocks: Blocks) -> None:
    leaf = blocks.add(cid.RAW, b"x")
    link = blocks.node([], UnixFS(kind=Kind.SYMLINK, data=b"leaf"))
    root = blocks.node([Link(leaf, b"leaf", 1), Link(link, b"link", 1)], UnixFS(kind=Kind.DIRECTORY))
    for name in ("leaf", "link"):
        with pytest.raises(NotADirectory, match="'below'"):
            await export.resolve(blocks.get, root, [name, "below"])


async def test_what_is_not_there_is_not_found(blocks: Blocks) -> None:
    root = blocks.node([], UnixFS(kind=Kind.DIRECTORY))
    with pytest.raises(NotFound, match=r"'café\\x1b'"):
        await export.resolve(blocks.get, root, ["caf\u00e9\x1b"])


async def test_a_missing_block_is_named(blocks: Blocks) -> None:
    gone = cid.of(cid.RAW, b"gone")
    root = blocks.node([Link(gone, b"gone", 1)], UnixFS(kind=Kind.DIRECTORY))
    with pytest.raises(BlockMissing) as caught:
        await export.resolve(blocks.get, root, ["gone"])
    assert caught.value.cid == gone


async def test_a_path_of_too_many_segments_is_refused_unread(blocks: Blocks) -> None:
    with pytest.raises(LimitExceeded):
        await export.resolve(blocks.get, cid.EMPTY_DIRECTORY, ["a"] * 1000)
    assert blocks.asked == []


async def test_other_codecs_are_not_unixfs(blocks: Blocks) -> None:
    root = blocks.add(cid.DAG_CBOR, cbrrr.encode_dag_cbor({}))
    with pytest.raises(UnsupportedCodec):
        await export.resolve(blocks.get, root)


async def test_things_asked_for_as_what_they_are_not(blocks: Blocks) -> None:
    leaf = blocks.add(cid.RAW, b"x")
    folder = blocks.add(cid.DAG_PB, b"\x0a\x02\x08\x01")
    with pytest.raises(NotADirectory):
        await export.list_directory(blocks.get, leaf)
    with pytest.raises(NotAFile):
        await blocks.read(folder)
    with pytest.raises(NotASymlink):
        await export.read_symlink(blocks.get, leaf)


async def test_an_identity_cid_carries_its_own_block(blocks: Blocks) -> None:
    inline = CID(b"\x01\x55\x00" + varint.encode(5) + b"hello")
    root = blocks.node([Link(inline, b"inline", 5)], UnixFS(kind=Kind.DIRECTORY))
    found = await export.resolve(blocks.get, root, ["inline"])
    assert (found.size_bytes, await blocks.read(inline)) == (5, b"hello")
    assert [block async for block in export.walk(blocks.get, root)] == [(root, blocks[root]), (inline, b"hello")]
    assert set(blocks.asked) == {root}


# --- files ---------------------------------------------------------------------------------------------------------


async def test_sizes_that_do_not_add_up_are_refused(blocks: Blocks) -> None:
    leaf = blocks.add(cid.RAW, b"four")
    with pytest.raises(InvalidBlock, match="holds 4 bytes where its parent declares 5"):
        await blocks.read(blocks.file([(leaf, 5)]))
    with pytest.raises(InvalidBlock, match="filesize 9"):
        await blocks.read(blocks.file([(leaf, 4)], size_bytes=9))
    with pytest.raises(InvalidBlock, match="one block size for each link"):
        await blocks.read(blocks.node([Link(leaf, b"", 4)], UnixFS(kind=Kind.FILE)))


async def test_a_file_with_a_directory_inside_is_refused(blocks: Blocks) -> None:
    folder = blocks.add(cid.DAG_PB, b"\x0a\x02\x08\x01")
    with pytest.raises(InvalidBlock, match="not part of a file"):
        await blocks.read(blocks.file([(folder, 4)]))


async def test_a_node_with_bytes_of_its_own_and_children_reads_in_order(blocks: Blocks) -> None:
    leaf = blocks.add(cid.RAW, b"four")
    inner = blocks.node([Link(leaf, b"", 4)], UnixFS(kind=Kind.FILE, data=b"in", block_sizes=(4,), size_bytes=6))
    root = blocks.node(
        [Link(inner, b"", 6), Link(leaf, b"", 4)], UnixFS(kind=Kind.FILE, data=b"root", block_sizes=(6, 4))
    )
    whole = b"rootinfourfour"
    assert await blocks.read(root) == whole
    for start in range(len(whole) + 2):
        for end in range(len(whole) + 2):
            assert await blocks.read(root, start, end) == whole[start:end]


async def test_a_file_deeper_than_any_real_one_is_refused(blocks: Blocks) -> None:
    root = blocks.add(cid.RAW, b"four")
    for _ in range(export.MAX_FILE_DEPTH + 1):
        root = blocks.file([(root, 4)])
    with pytest.raises(LimitExceeded):
        await blocks.read(root)


async def test_empty_children_by_the_million_are_not_fetched(blocks: Blocks) -> None:
    root = blocks.add(cid.RAW, b"")
    for _ in range(20):
        root = blocks.file([(root, 0)] * 1000)
    one = blocks.add(cid.RAW, b"x")
    assert await blocks.read(blocks.file([(root, 0), (one, 1), (root, 0), (one, 1), (root, 0)])) == b"xx"
    assert len(blocks.asked) == 3


async def test_a_file_that_repeats_itself_reads_only_what_is_asked(blocks: Blocks) -> None:
    """2**60 bytes from 21 blocks: sizes are honest, so only the reader's range bounds the work."""
    root, size = blocks.add(cid.RAW, b"x"), 1
    for _ in range(20):
        root, size = blocks.file([(root, size)] * 8), size * 8
    assert (await export.stat(blocks.get, root)).size_bytes == 2**60
    assert await blocks.read(root, 2**59, 2**59 + 3) == b"xxx"
    assert len(blocks.asked) < 30


# --- sharded directories -------------------------------------------------------------------------------------------


def shard(bitfield: bytes, *, fanout: int = 256, hash_type: int = hamt.MURMUR3_X64_64) -> UnixFS:
    return UnixFS(kind=Kind.HAMT_SHARD, data=bitfield, hash_type=hash_type, fanout=fanout)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"00a"], shard(b"\x03")),  # two slots taken, one link
        ([b"00a", b"01b"], shard(b"\x01")),
        ([b"01a"], shard(b"\x01")),  # in slot 0, named for slot 1
        ([b"0"], shard(b"\x01")),
        ([b""], shard(b"\x01")),
        ([b"0aa"], shard(b"\x04\x00")),  # lower-case digits
        ([b"00a"], shard(b"\x01" + bytes(32))),  # slot 256 of 256
        ([b"00a"], shard(b"\x01", fanout=100)),
        ([b"00a"], shard(b"\x01", fanout=1 << 20)),
        ([b"00a"], shard(b"\x01", hash_type=0x12)),
        ([], UnixFS(kind=Kind.HAMT_SHARD)),
    ],
)
async def test_malformed_shards_are_refused(blocks: Blocks, names: list[bytes], message: UnixFS) -> None:
    root = blocks.node([Link(cid.EMPTY_DIRECTORY, name, 4) for name in names], message)
    with pytest.raises(InvalidBlock):
        await export.list_directory(blocks.get, root)
    with pytest.raises(InvalidBlock):
        await export.resolve(blocks.get, root, ["a"])


async def test_a_child_shard_must_be_a_shard_of_the_same_width(blocks: Blocks) -> None:
    every_slot = shard(b"\xff" * 32)
    for child in (blocks.add(cid.RAW, b"x"), blocks.node([], shard(b"", fanout=8))):
        links = [Link(child, b"%02X" % slot, 1) for slot in range(256)]
        with pytest.raises(InvalidBlock):
            await export.list_directory(blocks.get, blocks.node(links, every_slot))
        with pytest.raises(InvalidBlock):
            await export.resolve(blocks.get, blocks.node(links, every_slot), ["a"])


async def test_shards_deeper_than_the_hash_are_refused(blocks: Blocks) -> None:
    root = blocks.node([], shard(b""))
    for _ in range(12):
        links = [Link(root, b"%02X" % slot, 1) for slot in range(256)]
        root = blocks.node(links, shard(b"\xff" * 32))
    for attempt in (export.list_directory(blocks.get, root), export.resolve(blocks.get, root, ["a"])):
        blocks.asked.clear()
        with pytest.raises(LimitExceeded):
            await attempt
        assert len(blocks.asked) <= 9


async def test_listing_stops_at_its_limits(blocks: Blocks) -> None:
    leaf = unixfs.Entry(cid.of(cid.RAW, b"x"), 1, 1)
    small = unixfs.directory([(b"%d" % n, leaf) for n in range(11)], blocks.__setitem__)
    large = unixfs.directory([(b"%050d" % n, leaf) for n in range(5000)], blocks.__setitem__)
    assert len(await export.list_directory(blocks.get, small.cid, max_entries=11)) == 11
    for root, limits in ((small, {"max_entries": 10}), (large, {"max_entries": 4999}), (large, {"max_shards": 10})):
        with pytest.raises(LimitExceeded):
            await export.list_directory(blocks.get, root.cid, **limits)


# --- whole DAGs ----------------------------------------------------------------------------------------------------


async def test_a_walk_is_depth_first_and_gives_each_block_once(blocks: Blocks) -> None:
    a, b, c = (blocks.add(cid.RAW, content) for content in (b"a", b"b", b"c"))
    left = blocks.file([(a, 1), (b, 1), (a, 1)])
    right = blocks.file([(b, 1), (c, 1)])
    root = blocks.node(
        [Link(left, b"1", 0), Link(c, b"2", 0), Link(right, b"3", 0), Link(left, b"4", 0)], UnixFS(kind=Kind.DIRECTORY)
    )
    assert [found async for found, _ in export.walk(blocks.get, root)] == [root, left, a, b, c, right]
    assert len(blocks.asked) == 6


async def test_a_walk_stops_at_its_limits(blocks: Blocks) -> None:
    root = blocks.add(cid.RAW, b"x")
    for _ in range(50):
        root = blocks.file([(root, 1)])
    assert len([found async for found in export.walk(blocks.get, root, max_blocks=51, max_depth=51)]) == 51
    for limits in ({"max_blocks": 50}, {"max_depth": 50}):
        with pytest.raises(LimitExceeded):
            [found async for found in export.walk(blocks.get, root, **limits)]


async def test_a_walk_crosses_dag_cbor(blocks: Blocks) -> None:
    leaf = blocks.add(cid.RAW, b"x")
    root = blocks.add(cid.DAG_CBOR, cbrrr.encode_dag_cbor({"deep": [1, {"link": cbrrr.CID(leaf)}], "n": None}))
    assert [found async for found, _ in export.walk(blocks.get, root)] == [root, leaf]


def test_links_of_each_codec() -> None:
    leaf = cid.of(cid.RAW, b"x")
    node = dagpb.encode_node([Link(leaf, b"a", 1), Link(leaf, b"b", 1)], None)
    assert export.links_of(cid.of(cid.DAG_PB, node), node) == [leaf, leaf]
    assert export.links_of(leaf, b"x") == []
    with pytest.raises(UnsupportedCodec):
        export.links_of(cid.of(cid.LIBP2P_KEY, b"x"), b"x")


@pytest.mark.parametrize(
    "block", [b"", b"\xd8\x2a\x43\x00\x01\x55", b"\x81" * 1000, b"\xa1\x61a\x01\x00", b"\xd8\x2a\x00"]
)
def test_malformed_dag_cbor_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidBlock):
        export.links_of(cid.of(cid.DAG_CBOR, block), block)


@given(st.binary(max_size=100), st.sampled_from([cid.RAW, cid.DAG_PB, cid.DAG_CBOR]))
async def test_any_block_is_read_or_raises_one_of_our_errors(data: bytes, codec: int) -> None:
    as_data = b"\x0a" + varint.encode(len(data)) + data
    as_shard = b"\x0a" + varint.encode(len(data) + 2) + b"\x08\x05" + data
    for block in (data, as_data, as_shard):
        blocks = Blocks()
        root = blocks.add(codec, block)
        attempts = (
            export.resolve(blocks.get, root, ["a"]),
            export.list_directory(blocks.get, root),
            blocks.read(root),
            export.read_symlink(blocks.get, root),
        )
        for attempt in attempts:
            with contextlib.suppress(IpfsError):
                await attempt
