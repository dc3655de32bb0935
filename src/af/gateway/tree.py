"""Walking UnixFS: from a root and a path to a file, directory or link, with decoded nodes kept in a bounded cache.

The cache carries the speed on sites with large directories: without it every request decodes the directory anew. Nodes
read for public use (``public=True``) and for a site's own use are kept apart, so that neither opens the other's door.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from af import storage
from af.core.clock import monotonic
from af.gateway.cache import ByteLru
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, hamt, ipld
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind
from af.protocols.ipfs.errors import BlockMissing, InvalidBlock, LimitExceeded, UnsupportedCodec

SYMLINKS_MAX = 16
SEGMENTS_MAX = 128
SYMLINK_BYTES_MAX = 4_096
SHARDS_MAX = 200_000
"""Most shards that one listing or archive reads: a small graph can name very many that hold nothing."""
PUBLIC_KEEP_SECONDS = 30.0
"""How long public content that was withdrawn may still be served from what is in memory."""
_READS_IN_A_ROW_MAX = 128
"""What is in memory is read without waiting; after so many reads others get a turn."""
_DAG_PB_SHA2_256 = b"\x01\x70\x12\x20"
_ENTRY_BYTES = 280  # one dict slot, name and CID objects, measured


class Blocks(Protocol):
    """What the gateway needs of the block store."""

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None: ...
    async def get(self, cid: CID, *, public_only: bool = False) -> bytes: ...


@dataclass(frozen=True, slots=True)
class File:
    """``inline`` are the first bytes, inside the node itself; ``parts`` are ``(cid, size)`` of what follows.
    ``raw`` marks a bare leaf: then ``inline`` is the block."""

    cid: CID
    size: int
    inline: bytes
    parts: tuple[tuple[CID, int], ...] = ()
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    cid: CID
    entries: dict[bytes, CID]


@dataclass(frozen=True, slots=True)
class ShardedDirectory:
    cid: CID
    shard: hamt.Shard


@dataclass(frozen=True, slots=True)
class Symlink:
    cid: CID
    target: bytes


Node = File | Directory | ShardedDirectory | Symlink


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which block a path ends at, without following symlinks. ``cids`` are the root and each step's target, ``trail``
    every block on the way (shards too), the last one first named in ``cid``; ``rest`` are segments that lead on inside
    of a block of dag-cbor or dag-json. ``base`` is what the last such block on the way links to (else the root), and
    ``below`` the segments from there: a path in UnixFS alone."""

    cid: CID
    cids: tuple[CID, ...]
    trail: tuple[CID, ...]
    base: CID
    below: tuple[bytes, ...]
    rest: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to (never a Symlink). ``cids`` are the root and each step's target, the node's own last;
    ``segments`` is the path after symlinks were followed."""

    node: File | Directory | ShardedDirectory
    cids: tuple[CID, ...]
    segments: tuple[bytes, ...]


class Tree:
    def __init__(self, blocks: Blocks, *, cache_bytes: int, now: Callable[[], float] = monotonic) -> None:
        self.blocks = blocks
        self._now = now
        self._nodes: ByteLru[tuple[CID, bool], tuple[Node, float]] = ByteLru(cache_bytes)  # and until when it counts
        self._reads = 0

    async def block(self, cid: CID, *, public: bool) -> bytes:
        """A block's bytes.

        :raises BlockMissing: not here, or not public.
        """
        await self._take_turns()
        if cids.is_identity(cid):
            return cids.digest(cid)
        for form in _forms(cid):
            if (data := self.blocks.peek(form, public_only=public)) is not None:
                return data
            try:
                return await self.blocks.get(form, public_only=public)
            except storage.BlockMissing:
                continue
        raise BlockMissing(cid)

    async def node(self, cid: CID, *, public: bool) -> Node:
        """The decoded node.

        :raises BlockMissing, InvalidBlock, UnsupportedCodec: it cannot be read as UnixFS.
        """
        codec = cids.codec(cid)
        if codec == cids.RAW:
            data = await self.block(cid, public=public)
            return File(cid, len(data), data, raw=True)
        if codec != cids.DAG_PB:
            raise UnsupportedCodec(f"codec 0x{codec:x} is not UnixFS")
        cached = self._nodes.get((cid, public))
        if cached is not None and (not public or self._now() < cached[1]):
            await self._take_turns()
            return cached[0]
        node, cost = decode(cid, await self.block(cid, public=public))
        self._nodes.put((cid, public), (node, self._now() + PUBLIC_KEEP_SECONDS), cost)
        return node

    async def _take_turns(self) -> None:
        self._reads += 1
        if self._reads >= _READS_IN_A_ROW_MAX:
            self._reads = 0
            await asyncio.sleep(0)

    async def find(self, root: CID, segments: Sequence[bytes], *, public: bool) -> Found | None:
        """What ``segments`` lead to below ``root``; `None` if nothing. Symlinks of sites are followed, inside the root.
        In public trees they are what other gateways take them for: small files that hold their target.

        :raises BlockMissing, InvalidBlock, UnsupportedCodec: a node on the way cannot be read.
        """
        path = list(segments)
        for _ in range(SYMLINKS_MAX):
            node = await self.node(root, public=public)
            trail, taken = [root], 0
            while not isinstance(node, Symlink):
                if taken == len(path):
                    return Found(node, tuple(trail), tuple(path))
                child = await self.child(node, path[taken], public=public)
                if child is None:
                    return None
                node = await self.node(child, public=public)
                trail.append(child)
                taken += 1
            if public:
                as_file = File(node.cid, len(node.target), node.target)
                return Found(as_file, tuple(trail), tuple(path)) if taken == len(path) else None
            joined = _follow(path[: taken - 1], node.target, path[taken:]) if taken else None
            if joined is None:
                return None
            path = joined
        return None

    async def resolve(self, root: CID, segments: Sequence[bytes], *, public: bool) -> Resolved | None:
        """The block that ``segments`` lead to, through UnixFS directories and the links of dag-cbor and dag-json;
        `None` if nothing is there.

        :raises BlockMissing, InvalidBlock, UnsupportedCodec: a block on the way cannot be read.
        """
        cid, left = root, tuple(segments)
        passed, trail = [root], [root]
        base, below = root, left
        while left:
            if cids.codec(cid) in (cids.DAG_PB, cids.RAW):
                node = await self.node(cid, public=public)
                child = await self.child(node, left[0], public=public, shards=trail)
                left = left[1:]
            else:
                block = await self.block(cid, public=public)
                child, rest = ipld.follow(cids.codec(cid), block, left)
                if child is None and rest is not None:
                    return Resolved(cid, tuple(passed), tuple(trail), base, below, left)
                base, below = child or cid, rest or ()
                left = below
            if child is None:
                return None
            cid = child
            passed.append(cid)
            trail.append(cid)
        return Resolved(cid, tuple(passed), tuple(trail), base, below)

    async def child(self, node: Node, name: bytes, *, public: bool, shards: list[CID] | None = None) -> CID | None:
        """The entry called ``name``; `None` if there is none or ``node`` is no directory. The shards that were read
        below a sharded ``node`` are added to ``shards``."""
        if isinstance(node, Directory):
            return node.entries.get(name)
        if not isinstance(node, ShardedDirectory):
            return None
        name_hash, shard = hamt.hash_name(name), node.shard
        for level in range(hamt.HASH_BITS):
            try:
                link = shard.in_slot(hamt.slot_at(name_hash, level, shard.fanout))
            except LimitExceeded:
                return None
            if link is None:
                return None
            if not shard.is_child(link):
                return link.cid if shard.entry_name(link) == name else None
            below = await self.node(link.cid, public=public)
            if not isinstance(below, ShardedDirectory) or below.shard.fanout != shard.fanout:
                raise InvalidBlock("HAMT: a shard's child is not a shard of the same fanout")
            shard = below.shard
            if shards is not None:
                shards.append(link.cid)
        return None


def _forms(cid: CID) -> tuple[CID, ...]:
    """The CID, and the other version of it under which the same block may have been stored."""
    if cids.version(cid) == 0:
        return (cid, cids.as_v1(cid))
    return (cid, CID(cid[2:])) if cid[:4] == _DAG_PB_SHA2_256 else (cid,)


def _follow(parents: list[bytes], target: bytes, rest: list[bytes]) -> list[bytes] | None:
    """The path after a symlink in ``parents`` is replaced by its target; `None` if it leads out of the root. An
    absolute target starts at the root."""
    path = [] if target.startswith(b"/") else list(parents)
    for segment in target.split(b"/"):
        if segment in (b"", b"."):
            continue
        if segment == b"..":
            if not path:
                return None
            path.pop()
        else:
            path.append(segment)
    path += rest
    return path if len(path) <= SEGMENTS_MAX else None


def decode(cid: CID, block: bytes) -> tuple[Node, int]:
    """A dag-pb block as a node, and about how many bytes of memory it takes.

    :raises InvalidBlock: not UnixFS, or its sizes contradict each other.
    """
    decoded = dagpb.decode_node(block)
    message = dagpb.decode_unixfs(decoded.data)
    if message.kind is Kind.DIRECTORY:
        entries: dict[bytes, CID] = {}
        for link in decoded.links:
            entries.setdefault(link.name, link.cid)  # of two entries with one name Kubo serves the first
        return Directory(cid, entries), 500 + _ENTRY_BYTES * len(entries) + len(block) // 2
    if message.kind is Kind.HAMT_SHARD:
        return ShardedDirectory(cid, hamt.read_shard(decoded, message)), 500 + _ENTRY_BYTES * len(decoded.links)
    if message.kind is Kind.SYMLINK:
        target = message.data or b""
        if len(target) > SYMLINK_BYTES_MAX:
            raise InvalidBlock("UnixFS: a symlink's target is too long")
        return Symlink(cid, target), 500 + len(target)
    if message.kind not in (Kind.FILE, Kind.RAW):
        raise InvalidBlock(f"UnixFS: {message.kind.name} is nothing to serve")
    if len(message.block_sizes) != len(decoded.links):
        raise InvalidBlock("UnixFS: a file has a different number of links and sizes")
    inline = message.data or b""
    size = len(inline) + sum(message.block_sizes)
    if message.size_bytes is not None and message.size_bytes != size:
        raise InvalidBlock("UnixFS: a file's size is not the sum of its parts")
    parts = tuple((link.cid, part) for link, part in zip(decoded.links, message.block_sizes, strict=True))
    return File(cid, size, inline, parts), 500 + 200 * len(parts) + len(inline)


__all__ = [
    "BlockMissing",
    "Blocks",
    "Directory",
    "File",
    "Found",
    "InvalidBlock",
    "Node",
    "Resolved",
    "ShardedDirectory",
    "Symlink",
    "Tree",
    "decode",
]
