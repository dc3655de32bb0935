"""Read UnixFS back: resolve paths, list directories, read byte ranges, walk a whole DAG.

Blocks come from `get(cid)`, which must return verified bytes or raise BlockMissing; only the blocks an answer needs
are asked for. DAGs are hostile until proved otherwise: depth, entries and blocks are bounded (LimitExceeded), declared
sizes are checked against what arrives (InvalidBlock). Identity CIDs carry their own bytes and are never asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import cbrrr

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagjson, dagpb, datamodel, hamt, paths
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.protocols.ipfs.errors import (
    InvalidBlock,
    LimitExceeded,
    NotADirectory,
    NotAFile,
    NotASymlink,
    NotFound,
    UnsupportedCodec,
)

Get: TypeAlias = Callable[[CID], Awaitable[bytes]]

MAX_FILE_DEPTH = 64  # a balanced tree of 1 PiB is five levels deep
MAX_SEGMENTS = paths.MAX_PATH_SEGMENTS
MAX_ENTRIES = 1_000_000
MAX_SHARDS = 200_000
MAX_WALK_BLOCKS = 5_000_000
MAX_WALK_DEPTH = 1024

_JSON, _CBOR = 0x0200, 0x51
_WITHOUT_LINKS = frozenset({cids.RAW, _JSON, _CBOR})


class EntryKind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What a CID is. `size_bytes`: a file's content, a symlink's target, 0 for a directory. `tsize`: all blocks below,
    as their makers claimed. `block`: the root block's own bytes, so that a small file needs no second fetch."""

    cid: CID
    kind: EntryKind
    size_bytes: int
    tsize: int
    mode: int | None
    mtime: tuple[int, int] | None
    block: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Where a path leads. `roots`: the CID of each segment, root first, last is `cid` (the X-Ipfs-Roots header).
    `path_cids`: every block fetched on the way, shards included, last is `cid` (what a CAR needs to prove the path)."""

    cid: CID
    stat: Stat
    roots: tuple[CID, ...]
    path_cids: tuple[CID, ...]

    @property
    def kind(self) -> EntryKind:
        return self.stat.kind

    @property
    def size_bytes(self) -> int:
        return self.stat.size_bytes


class DirEntry(NamedTuple):
    name: bytes
    cid: CID
    tsize: int


class _Item(NamedTuple):
    """A decoded UnixFS block. `message` is None for a raw leaf."""

    cid: CID
    block: bytes
    links: tuple[Link, ...]
    message: UnixFS | None


# --- paths ---------------------------------------------------------------------------------------------------------


async def resolve(get: Get, root: CID, segments: Sequence[str | bytes] = ()) -> Resolved:
    """Follows `segments` (percent-decoded, no empty ones) down from `root`. Symlinks are not followed.

    Raises NotFound, NotADirectory, BlockMissing, InvalidBlock, UnsupportedCodec, LimitExceeded.
    """
    if len(segments) > MAX_SEGMENTS:
        raise LimitExceeded(f"the path has {len(segments)} segments, {MAX_SEGMENTS} allowed")
    roots, path_cids = [root], [root]
    item = await _load(get, root)
    for segment in segments:
        name = segment.encode("utf-8", "surrogateescape") if isinstance(segment, str) else segment
        link, shard_cids = await _find(get, item, name)
        path_cids += shard_cids
        path_cids.append(link.cid)
        roots.append(link.cid)
        item = await _load(get, link.cid)
    return Resolved(cid=item.cid, stat=_stat(item), roots=tuple(roots), path_cids=tuple(path_cids))


async def stat(get: Get, cid: CID) -> Stat:
    return _stat(await _load(get, cid))


async def _find(get: Get, item: _Item, name: bytes) -> tuple[Link, list[CID]]:
    """The entry called `name`, and the child shards fetched to find it."""
    message = item.message
    if message is not None and message.kind is Kind.DIRECTORY:
        for link in item.links:
            if link.name == name:
                return link, []
    elif message is not None and message.kind is Kind.HAMT_SHARD:
        return await _find_in_shards(get, item, message, name)
    else:
        raise NotADirectory(f"{paths.shown(name)} is asked of something that is not a directory")
    raise NotFound(f"no entry named {paths.shown(name)}")


async def _find_in_shards(get: Get, item: _Item, message: UnixFS, name: bytes) -> tuple[Link, list[CID]]:
    name_hash = hamt.hash_name(name)
    shard = hamt.read_shard(dagpb.Node(item.links, None), message)
    fetched: list[CID] = []
    while True:
        link = shard.in_slot(hamt.slot_at(name_hash, len(fetched), shard.fanout))
        if link is None or (not shard.is_child(link) and shard.entry_name(link) != name):
            raise NotFound(f"no entry named {paths.shown(name)}")
        if not shard.is_child(link):
            return link, fetched
        fetched.append(link.cid)
        shard = await _load_shard(get, link.cid, shard.fanout)


# --- directories ---------------------------------------------------------------------------------------------------


async def list_directory(
    get: Get, cid: CID, *, max_entries: int = MAX_ENTRIES, max_shards: int = MAX_SHARDS
) -> list[DirEntry]:
    """All entries, sorted by name; shards are merged. Raises NotADirectory, LimitExceeded and what `resolve` does."""
    item = await _load(get, cid)
    message = item.message
    if message is not None and message.kind is Kind.DIRECTORY:
        found = [DirEntry(link.name, link.cid, link.tsize) for link in item.links]
    elif message is not None and message.kind is Kind.HAMT_SHARD:
        root = hamt.read_shard(dagpb.Node(item.links, None), message)
        found = await _list_shards(get, root, max_entries, max_shards)
    else:
        raise NotADirectory("this is not a directory")
    if len(found) > max_entries:
        raise LimitExceeded(f"the directory has more than {max_entries:,} entries")
    found.sort()
    return found


async def _list_shards(get: Get, root: hamt.Shard, max_entries: int, max_shards: int) -> list[DirEntry]:
    found: list[DirEntry] = []
    pending: list[tuple[hamt.Shard | CID, int]] = [(root, 0)]
    deepest = hamt.HASH_BITS // (root.fanout.bit_length() - 1)
    shards = 0
    while pending:
        shard, level = pending.pop()
        if not isinstance(shard, hamt.Shard):
            shard = await _load_shard(get, shard, root.fanout)
        shards += 1
        if level >= deepest:
            raise LimitExceeded("the sharded directory is deeper than its hash allows")
        if shards > max_shards:
            raise LimitExceeded(f"the directory has more than {max_shards:,} shards")
        for link in shard.links:
            if shard.is_child(link):
                pending.append((link.cid, level + 1))
            else:
                found.append(DirEntry(shard.entry_name(link), link.cid, link.tsize))
        if len(found) > max_entries:
            raise LimitExceeded(f"the directory has more than {max_entries:,} entries")
    return found


async def _load_shard(get: Get, cid: CID, fanout: int) -> hamt.Shard:
    item = await _load(get, cid)
    if item.message is None or item.message.kind is not Kind.HAMT_SHARD:
        raise InvalidBlock("HAMT: a child is not a shard")
    return hamt.read_shard(dagpb.Node(item.links, None), item.message, fanout=fanout)


# --- files and symlinks --------------------------------------------------------------------------------------------


async def read_file(
    get: Get, cid: CID, start: int = 0, end: int | None = None, *, block: bytes | None = None
) -> AsyncIterator[bytes]:
    """The bytes [start, end) of a file (to the end when None; both clamped to its size), in pieces of at most a block.

    Fetches only blocks that overlap the range. `block`, when given, is the root block (`Stat.block`). Raises NotAFile,
    BlockMissing, InvalidBlock when blocks do not add up to the sizes their parents declare.
    """
    item = _decode(cid, block) if block is not None else await _load(get, cid)
    stop = _file_size(item) if end is None else min(end, _file_size(item))
    if start < 0 or start >= stop:
        return
    pending: list[Iterator[tuple[CID, int, int]]] = []  # from the root down, the siblings still to read
    offset = 0
    while True:
        data = _own_bytes(item)
        if offset + len(data) > start and offset < stop and data:
            yield data[max(0, start - offset) : stop - offset]
        pending.append(_children_within(item, offset + len(data), start, stop))
        found = None
        while pending and (found := next(pending[-1], None)) is None:
            pending.pop()
        if found is None:
            return
        if len(pending) > MAX_FILE_DEPTH:
            raise LimitExceeded(f"the file's tree is deeper than {MAX_FILE_DEPTH} levels")
        child_cid, offset, declared = found
        item = await _load(get, child_cid)
        _check_child(item, declared)


async def read_symlink(get: Get, cid: CID) -> bytes:
    """A symlink's target. Raises NotASymlink."""
    item = await _load(get, cid)
    if item.message is None or item.message.kind is not Kind.SYMLINK:
        raise NotASymlink("this is not a symlink")
    return item.message.data or b""


def _own_bytes(item: _Item) -> bytes:
    return item.block if item.message is None else item.message.data or b""


def _children_within(item: _Item, offset: int, start: int, stop: int) -> Iterator[tuple[CID, int, int]]:
    """(CID, offset in the file, size) of each child that has bytes in [start, stop); the first begins at `offset`.

    Empty children are passed over: a hostile DAG could have them by the million.
    """
    if item.message is None:
        return
    for link, size_bytes in zip(item.links, item.message.block_sizes, strict=True):
        if size_bytes and offset + size_bytes > start:
            if offset >= stop:
                return
            yield link.cid, offset, size_bytes
        offset += size_bytes


def _check_child(item: _Item, declared: int) -> None:
    try:
        size_bytes = _file_size(item)
    except NotAFile:
        raise InvalidBlock("UnixFS: a file has a child that is not part of a file") from None
    if size_bytes != declared:
        raise InvalidBlock(f"UnixFS: a file block holds {size_bytes} bytes where its parent declares {declared}")


def _file_size(item: _Item) -> int:
    """The content size of a file node, checked against its parts."""
    message = item.message
    if message is None:
        return len(item.block)
    if message.kind not in (Kind.FILE, Kind.RAW):
        raise NotAFile("this is not a file")
    if len(message.block_sizes) != len(item.links):
        raise InvalidBlock("UnixFS: a file has not one block size for each link")
    size_bytes = len(message.data or b"") + sum(message.block_sizes)
    if message.size_bytes is not None and message.size_bytes != size_bytes:
        raise InvalidBlock(f"UnixFS: filesize {message.size_bytes} is not the sum of its parts, {size_bytes}")
    return size_bytes


# --- whole DAGs ----------------------------------------------------------------------------------------------------


async def walk(
    get: Get, cid: CID, *, max_blocks: int = MAX_WALK_BLOCKS, max_depth: int = MAX_WALK_DEPTH
) -> AsyncIterator[tuple[CID, bytes]]:
    """Every block below `cid`, parents first, depth-first in link order, each once. Raises LimitExceeded past a bound.

    Memory: the set of CIDs seen, and the links of the blocks between the root and where it is.
    """
    seen: set[CID] = set()
    pending: list[Iterator[CID]] = [iter((cid,))]  # from the root down, the siblings still to visit
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            continue
        if found in seen:
            continue
        if len(seen) >= max_blocks:
            raise LimitExceeded(f"the DAG has more than {max_blocks:,} blocks")
        seen.add(found)
        block = await _block(get, found)
        yield found, block
        links = [link for link in links_of(found, block) if link not in seen]
        if links:
            pending.append(iter(links))
        if len(pending) > max_depth:
            raise LimitExceeded(f"the DAG is deeper than {max_depth:,} levels")


def links_of(cid: CID, block: bytes) -> list[CID]:
    """The CIDs a block refers to, in order, repeats kept. Raises InvalidBlock, UnsupportedCodec."""
    codec = cids.codec(cid)
    if codec in _WITHOUT_LINKS:
        return []
    if codec == cids.DAG_PB:
        return [link.cid for link in dagpb.decode_node(block).links]
    if codec == cids.DAG_CBOR:
        return _dag_cbor_links(block)
    if codec == cids.DAG_JSON:
        return datamodel.links(dagjson.decode(block))
    raise UnsupportedCodec(f"cannot read links of codec 0x{codec:x} (supported: dag-pb, raw, dag-cbor, dag-json)")


def _dag_cbor_links(block: bytes) -> list[CID]:
    found: list[CID] = []

    def collect(data: bytes) -> None:
        found.append(cids.from_bytes(data))

    try:
        cbrrr.decode_dag_cbor(block, cid_ctor=collect)
    except ValueError as error:  # cbrrr's own, InvalidCid, bad UTF-8
        raise InvalidBlock(f"dag-cbor: {error}") from None
    return found


# --- blocks --------------------------------------------------------------------------------------------------------


async def _load(get: Get, cid: CID) -> _Item:
    return _decode(cid, await _block(get, cid))


async def _block(get: Get, cid: CID) -> bytes:
    return cids.digest(cid) if cids.is_identity(cid) else await get(cid)


def _decode(cid: CID, block: bytes) -> _Item:
    codec = cids.codec(cid)
    if codec == cids.RAW:
        return _Item(cid, block, (), None)
    if codec != cids.DAG_PB:
        raise UnsupportedCodec(f"codec 0x{codec:x} is not UnixFS (dag-pb or raw)")
    node = dagpb.decode_node(block)
    return _Item(cid, block, node.links, dagpb.decode_unixfs(node.data))


def _stat(item: _Item) -> Stat:
    message = item.message
    kind, size_bytes = EntryKind.FILE, 0
    if message is not None and message.kind in (Kind.DIRECTORY, Kind.HAMT_SHARD):
        kind = EntryKind.DIRECTORY
    elif message is not None and message.kind is Kind.SYMLINK:
        kind, size_bytes = EntryKind.SYMLINK, len(message.data or b"")
    elif message is not None and message.kind is Kind.METADATA:
        raise InvalidBlock("UnixFS: Metadata nodes are not supported")
    else:
        size_bytes = _file_size(item)
    return Stat(
        cid=item.cid,
        kind=kind,
        size_bytes=size_bytes,
        tsize=len(item.block) + sum(link.tsize for link in item.links),
        mode=message.mode if message else None,
        mtime=message.mtime if message else None,
        block=item.block,
    )
