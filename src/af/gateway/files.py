"""Reading a file's bytes in order, with bounded memory: at most `AHEAD` leaves are on their way beyond the one in
hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from af.gateway.tree import File, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock

AHEAD = 2
DEPTH_MAX = 32


async def read(tree: Tree, file: File, start: int, stop: int, *, public: bool) -> AsyncIterator[bytes]:
    """The bytes ``start`` up to ``stop`` of ``file``, in pieces of at most one block.

    Every piece has exactly the length that its parent promised, so a Content-Length made from it holds.

    :raises BlockMissing, InvalidBlock: on the way; the pieces before it have been given out.
    """
    coming: deque[asyncio.Future[bytes]] = deque()
    try:
        async for piece in _pieces(tree, file, start, stop, public):
            if isinstance(piece, bytes):
                while coming:
                    yield await coming.popleft()
                yield piece
                continue
            coming.append(asyncio.ensure_future(_leaf(tree, *piece, public=public)))
            if len(coming) > AHEAD:
                yield await coming.popleft()
        while coming:
            yield await coming.popleft()
    finally:
        for future in coming:
            future.cancel()


_LeafSpan = tuple[CID, int, int, int]  # the leaf, its promised size, and the part of it that is wanted


async def _pieces(tree: Tree, file: File, start: int, stop: int, public: bool) -> AsyncIterator[bytes | _LeafSpan]:
    """Depth first and without recursion; parts before ``start`` are skipped unread. Raw leaves are named, not read."""
    stack: list[tuple[CID | File, int, int, int]] = [(file, 0, file.size, 0)]  # node, its offset, size, depth
    while stack:
        node, offset, size, depth = stack.pop()
        if offset >= stop:
            return
        if size == 0 or offset + size <= start:
            continue  # empty parts too: a small graph can name very many of them
        if not isinstance(node, File):
            if cids.codec(node) == cids.RAW:
                yield node, size, max(0, start - offset), min(size, stop - offset)
                continue
            read_node = await tree.node(node, public=public)
            if not isinstance(read_node, File) or read_node.size != size or depth > DEPTH_MAX:
                raise InvalidBlock("UnixFS: a part of a file is not what its parent says")
            node = read_node
        if node.inline and start < offset + len(node.inline):
            yield node.inline[max(0, start - offset) : stop - offset]
        position = offset + node.size
        for part, part_size in reversed(node.parts):
            position -= part_size
            stack.append((part, position, part_size, depth + 1))


async def _leaf(tree: Tree, cid: CID, size: int, start: int, stop: int, *, public: bool) -> bytes:
    data = await tree.block(cid, public=public)
    if len(data) != size:
        raise InvalidBlock("UnixFS: a leaf is not as long as its parent says")
    return data if stop - start == size else data[start:stop]
