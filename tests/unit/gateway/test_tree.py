"""Walking and reading UnixFS: exact slices, nothing read twice or too far, hostile graphs refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.gateway import files
from af.gateway.tree import PUBLIC_KEEP_SECONDS, File, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.protocols.ipfs.errors import BlockMissing, InvalidBlock
from tests.support.blocks import MemoryBlocks

RAW_LEAVES = unixfs.Profile(name="raw", chunk_bytes=7, max_links=3, directory_estimate="block")
WRAPPED = unixfs.Profile(name="wrapped", raw_leaves=False, chunk_bytes=7, max_links=3, directory_estimate="block")
CONTENT = bytes(range(200))


def tree(blocks: MemoryBlocks, cache_bytes: int = 1 << 20) -> Tree:
    return Tree(blocks, cache_bytes=cache_bytes)


async def read(walker: Tree, cid: CID, start: int, stop: int) -> bytes:
    node = await walker.node(cid, public=False)
    assert isinstance(node, File)
    return b"".join([piece async for piece in files.read(walker, node, start, stop, public=False)])


@pytest.mark.parametrize("profile", [RAW_LEAVES, WRAPPED], ids=lambda profile: profile.name)
@given(bounds=st.tuples(st.integers(0, 200), st.integers(0, 200)))
@settings(max_examples=60)
async def test_any_slice_of_a_file_is_exact(profile: unixfs.Profile, bounds: tuple[int, int]) -> None:
    blocks = MemoryBlocks()
    entry = blocks.file(CONTENT, profile)
    start, stop = min(bounds), max(bounds)
    assert await read(tree(blocks), entry.cid, start, stop) == CONTENT[start:stop]


async def test_a_slice_reads_only_the_blocks_it_needs() -> None:
    blocks = MemoryBlocks()
    entry = blocks.file(CONTENT, RAW_LEAVES)
    assert await read(tree(blocks), entry.cid, 100, 101) == CONTENT[100:101]
    assert blocks.reads < 8


async def test_a_reader_that_stops_leaves_at_most_a_few_blocks_read_ahead() -> None:
    blocks = MemoryBlocks()
    entry = blocks.file(
        CONTENT * 10, unixfs.Profile(name="flat", chunk_bytes=7, max_links=999, directory_estimate="block")
    )
    walker = tree(blocks)
    node = await walker.node(entry.cid, public=False)
    assert isinstance(node, File)
    stream = files.read(walker, node, 0, node.size, public=False)
    assert await anext(stream) == CONTENT[:7]
    await stream.aclose()  # type: ignore[attr-defined]
    assert blocks.reads <= 2 + files.AHEAD


def node_of(blocks: MemoryBlocks, links: list[Link], message: UnixFS) -> CID:
    block = dagpb.encode_node(links, dagpb.encode_unixfs(message))
    cid = cids.of(cids.DAG_PB, block)
    blocks.add(cid, block)
    return cid


async def test_sizes_that_lie_are_refused() -> None:
    blocks = MemoryBlocks()
    leaf = blocks.file(b"seven b").cid
    for claimed, parts in ((99, (7,)), (7, (7, 7)), (7, ())):
        cid = node_of(blocks, [Link(leaf, b"", 7)], UnixFS(kind=Kind.FILE, size_bytes=claimed, block_sizes=parts))
        with pytest.raises(InvalidBlock):
            await tree(blocks).node(cid, public=False)
    longer = node_of(blocks, [Link(leaf, b"", 9)], UnixFS(kind=Kind.FILE, size_bytes=9, block_sizes=(9,)))
    with pytest.raises(InvalidBlock):
        await read(tree(blocks), longer, 0, 9)


async def test_a_small_graph_that_names_very_many_empty_parts_costs_nothing() -> None:
    blocks = MemoryBlocks()
    cid = blocks.file(b"").cid
    for _ in range(25):
        cid = node_of(blocks, [Link(cid, b"", 0)] * 8, UnixFS(kind=Kind.FILE, size_bytes=0, block_sizes=(0,) * 8))
    last = blocks.file(b"x").cid
    top = node_of(
        blocks, [Link(last, b"", 1), Link(cid, b"", 0), Link(last, b"", 1)],
        UnixFS(kind=Kind.FILE, size_bytes=2, block_sizes=(1, 0, 1)),
    )  # fmt: skip
    assert await read(tree(blocks), top, 0, 2) == b"xx"
    assert blocks.reads < 5


async def test_public_and_private_readings_of_a_directory_are_kept_apart() -> None:
    blocks = MemoryBlocks()
    root = blocks.folder({"a": b"secret"})
    walker = tree(blocks)
    assert await walker.find(root, (b"a",), public=False) is not None
    with pytest.raises(BlockMissing):
        await walker.find(root, (b"a",), public=True)


async def test_the_directory_cache_saves_reads_and_stays_within_its_bytes() -> None:
    blocks = MemoryBlocks()
    roots = [blocks.folder({f"{n}-{m}": b"x" for m in range(10)}) for n in range(50)]
    walker = tree(blocks, cache_bytes=40_000)
    for n, root in enumerate(roots):
        for m in range(10):
            assert await walker.find(root, (b"%d-%d" % (n, m),), public=False) is not None
    assert blocks.reads == 50 + 500
    assert walker._nodes.bytes_held <= 40_000


async def test_identity_cids_need_no_store() -> None:
    cid = cids.from_bytes(b"\x01\x55\x00\x05hello")
    node = await tree(MemoryBlocks()).node(cid, public=True)
    assert isinstance(node, File)
    assert node.inline == b"hello"


async def test_what_is_no_longer_public_is_forgotten_after_a_while() -> None:
    blocks, clock = MemoryBlocks(), [0.0]
    root = blocks.folder({"a.txt": b"1"})
    blocks.publish()
    walker = Tree(blocks, cache_bytes=1 << 20, now=lambda: clock[0])
    await walker.node(root, public=True)
    blocks.public.clear()
    clock[0] = PUBLIC_KEEP_SECONDS - 1
    await walker.node(root, public=True)
    clock[0] = PUBLIC_KEEP_SECONDS
    with pytest.raises(BlockMissing):
        await walker.node(root, public=True)
    await walker.node(root, public=False)
