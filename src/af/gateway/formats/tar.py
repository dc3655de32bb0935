"""A file or directory as a TAR archive (https://specs.ipfs.tech/http-gateways/path-gateway/#format-request-query-parameter).

The same content is always the same bytes: times and permissions are those that UnixFS has, else fixed ones; entries
come sorted by name, those of sharded directories in the order of their hashes. The format is ustar with pax headers
where a name is long or not ASCII.

Whoever unpacks it trusts us with names. Before the first byte all names and symlinks are looked at, and an archive that
would reach out of its own directory is refused: the rules are at `_climbs` and `_link_climbs`.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from af.gateway import files
from af.gateway.errors import NotAcceptable
from af.gateway.tree import SHARDS_MAX, Directory, File, Found, ShardedDirectory, Symlink, Tree, decode
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, hamt, paths
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded

ENTRIES_MAX = 250_000
"""Most entries of one archive, counted each time that they are named: a small graph can name very many."""
DEPTH_MAX = 128

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_PERMISSIONS = 0o777  # never set-user-id and the like
_WINDOWS_DRIVE = re.compile(rb"[A-Za-z]:[\\/]")


async def tar(tree: Tree, found: Found, *, public: bool) -> Callable[[], AsyncIterator[bytes]]:
    """Checks what ``found`` holds and returns the archive's stream. Everything in it is below one directory (or is one
    file) named like the CID.

    :raises NotAcceptable: a name or symlink leads out of the root, or there are more than `ENTRIES_MAX` entries.
    :raises BlockMissing, InvalidBlock, UnsupportedCodec: a directory, symlink or head of a file cannot be read. What is
        wrong with the files' own bytes is raised by the stream, which then breaks off.
    """
    if not isinstance(found.node, File):
        await _check(tree, found.node, public)
    elif isinstance(await tree.node(found.node.cid, public=public), Symlink):  # `Tree.find` shows these as files
        raise _refused("it is a symlink alone, and points out of the archive whatever it points to")
    return lambda: _archive(tree, found.node, public)


# --- what may be in it ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Folder:
    """What is known of one directory: how many levels above itself its contents reach, how many entries are in it, all
    below counted, and how many levels of directories. None of it depends on where it is, so each is looked at once,
    wherever and how often it is named."""

    cid: CID
    entries: AsyncIterator[tuple[bytes, CID]]
    climb: int = 0
    count: int = 0
    height: int = 1

    def add(self, below: _Folder) -> None:
        self.climb = max(self.climb, below.climb - 1)
        self.count += below.count
        self.height = max(self.height, below.height + 1)


async def _check(tree: Tree, root: Directory | ShardedDirectory, public: bool) -> None:
    done: dict[CID, _Folder] = {}
    stack = [_Folder(root.cid, _entries(tree, root, public))]
    looked_at = 0
    while stack:
        folder = stack[-1]
        if max(folder.count, looked_at) > ENTRIES_MAX or max(folder.height, len(stack)) > DEPTH_MAX:
            raise _refused(f"there are more than {ENTRIES_MAX:,} entries, or more than {DEPTH_MAX} levels of them")
        entry = await anext(folder.entries, None)
        if entry is None:
            done[folder.cid] = stack.pop()
            if stack:
                stack[-1].add(folder)
            continue
        name, cid = entry
        looked_at += 1
        folder.count += 1
        below = await _check_entry(tree, folder, name, cid, public)
        if below is not None and below.cid in done:
            folder.add(done[below.cid])
        elif below is not None:
            stack.append(_Folder(below.cid, _entries(tree, below, public)))
    if done[root.cid].climb > 0:
        raise _refused("relative UnixFS paths outside the root are not allowed")


async def _check_entry(
    tree: Tree, folder: _Folder, name: bytes, cid: CID, public: bool
) -> Directory | ShardedDirectory | None:
    """The entry itself, if it is a directory that is still to be looked at."""
    climbs = _climbs(name)
    folder.climb = max(folder.climb, climbs)
    if cids.codec(cid) == cids.RAW:
        return None
    node = await tree.node(cid, public=public)
    if isinstance(node, File):
        return None
    if climbs:
        raise _refused(f"{paths.shown(name[:80])} is no file, and its name leads out of its directory")
    if isinstance(node, Symlink):
        folder.climb = max(folder.climb, _link_climbs(node.target))
        return None
    return node


def _climbs(name: bytes) -> int:
    """How many levels a name leads up. Old tools made names like ``../file``, and Kubo unpacks them where they lead to;
    so do we, but only files, and never through another entry: that could be a symlink."""
    *parents, last = name.split(b"/")
    if any(part != b".." for part in parents) or last in (b"", b".", b"..") or b"\0" in last:
        raise _refused(f"{paths.shown(name[:80])} names no entry of a directory")
    if b".." in last.split(b"\\"):
        raise _refused(f"{paths.shown(name[:80])} would lead elsewhere on Windows")
    return len(parents)


def _link_climbs(target: bytes) -> int:
    """How many levels above its directory a symlink points. Up is only allowed at its beginning: behind a name, which
    may be another symlink, nobody can tell from the text where ``..`` leads."""
    segments = [segment for segment in target.split(b"/") if segment not in (b"", b".")]
    climbs = next((count for count, segment in enumerate(segments) if segment != b".."), len(segments))
    if not target or target.startswith((b"/", b"\\")) or _WINDOWS_DRIVE.match(target) or b"\0" in target:
        raise _refused(f"a symlink points to {paths.shown(target[:80])}, which is outside of the archive")
    if any(b".." in segment.split(b"\\") for segment in segments[climbs:]):  # on Windows there are more separators
        raise _refused(f"a symlink points to {paths.shown(target[:80])}, and where that is cannot be told")
    return climbs


def _refused(reason: str) -> NotAcceptable:
    return NotAcceptable(f"This content makes no safe TAR archive: {reason}.", hint="Use format=car instead.")


# --- directories ---------------------------------------------------------------------------------------------------


async def _entries(tree: Tree, node: Directory | ShardedDirectory, public: bool) -> AsyncIterator[tuple[bytes, CID]]:
    """The entries of a directory, each name once."""
    if isinstance(node, Directory):
        for entry in sorted(node.entries.items()):
            yield entry
        return
    digits = len(f"{node.shard.fanout - 1:X}")
    stack: list[tuple[hamt.Shard, int, tuple[int, ...]]] = [(node.shard, 0, ())]  # its next link, the slots above it
    shards = 1
    while stack:
        shard, index, slots = stack.pop()
        if index == len(shard.links):
            continue
        link = shard.links[index]
        here = (*slots, int(link.name[:digits], 16))
        stack.append((shard, index + 1, slots))
        if shard.is_child(link):
            below = await tree.node(link.cid, public=public)
            if not isinstance(below, ShardedDirectory) or below.shard.fanout != shard.fanout:
                raise InvalidBlock("HAMT: a shard's child is not a shard of the same fanout")
            shards += 1
            if shards > SHARDS_MAX:
                raise LimitExceeded(f"HAMT: more than {SHARDS_MAX} shards")
            stack.append((below.shard, 0, here))
            continue
        name = shard.entry_name(link)
        _check_slots(name, here, shard.fanout)
        yield name, link.cid


def _check_slots(name: bytes, slots: tuple[int, ...], fanout: int) -> None:
    """In its own place a name can be only once, so no second entry hides behind the first."""
    name_hash = hamt.hash_name(name)
    try:
        own = tuple(hamt.slot_at(name_hash, level, fanout) for level in range(len(slots)))
    except LimitExceeded:
        own = ()
    if own != slots:
        raise InvalidBlock("HAMT: a name is not where its hash belongs")


# --- writing -------------------------------------------------------------------------------------------------------


async def _archive(tree: Tree, node: File | Directory | ShardedDirectory, public: bool) -> AsyncIterator[bytes]:
    root = cids.to_text(node.cid).encode()
    stack: list[tuple[tuple[bytes, ...], AsyncIterator[tuple[bytes, CID]]]] = []
    path: tuple[bytes, ...] = (root,)
    cid = node.cid
    while True:
        async for piece in _entry(tree, path, cid, public):
            yield piece
        if cids.codec(cid) != cids.RAW:
            entered = await tree.node(cid, public=public)
            if isinstance(entered, (Directory, ShardedDirectory)):
                stack.append((path, _entries(tree, entered, public)))
        following = None
        while stack and (following := await anext(stack[-1][1], None)) is None:
            stack.pop()
        if following is None:
            yield _END
            return
        parent, (name, cid) = stack[-1][0], following
        *parents, last = name.split(b"/")
        path = (*parent[: len(parent) - len(parents)], last)


async def _entry(tree: Tree, path: tuple[bytes, ...], cid: CID, public: bool) -> AsyncIterator[bytes]:
    """The header of one entry, and the bytes of a file."""
    block = await tree.block(cid, public=public)
    name = b"/".join(path)
    if cids.codec(cid) == cids.RAW:
        yield _header(name, tarfile.REGTYPE, size=len(block)) + block + _padding(len(block))
        return
    node, _ = decode(cid, block)
    mode, mtime = _metadata(block)
    match node:
        case Directory() | ShardedDirectory():
            yield _header(name, tarfile.DIRTYPE, mode=mode, mtime=mtime)
        case Symlink():
            yield _header(name, tarfile.SYMTYPE, mode=mode, mtime=mtime, target=node.target)
        case File():
            yield _header(name, tarfile.REGTYPE, size=node.size, mode=mode, mtime=mtime)
            async for piece in files.read(tree, node, 0, node.size, public=public):
                yield piece
            if padding := _padding(node.size):
                yield padding


def _metadata(block: bytes) -> tuple[int | None, int]:
    """Permissions, and seconds since 1970, as UnixFS 1.5 has them."""
    message = dagpb.decode_unixfs(dagpb.decode_node(block).data)
    return message.mode, 0 if message.mtime is None else message.mtime[0]


_DEFAULT_MODES = {tarfile.REGTYPE: 0o644, tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}


def _header(
    name: bytes, kind: bytes, *, size: int = 0, mode: int | None = None, mtime: int = 0, target: bytes = b""
) -> bytes:
    info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    info.type = kind
    info.size = size
    info.mode = _DEFAULT_MODES[kind] if mode is None else mode & _PERMISSIONS
    info.mtime = mtime
    info.linkname = target.decode("utf-8", "surrogateescape")
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
