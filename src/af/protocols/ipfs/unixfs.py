"""Import: turn files, symlinks and directories into blocks, bit for bit as Kubo does with the same profile.

Every function is given `put(cid, block)`, called once per block, children before parents. To compute a CID without
storing anything, pass `discard`. Blocks may repeat (equal content): `put` should not mind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, hamt, paths
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from af.protocols.ipfs.errors import PathConflict

Put: TypeAlias = Callable[[CID, bytes], object]
Read: TypeAlias = Callable[[int], bytes]


class Entry(NamedTuple):
    """Something imported. `tsize` counts the bytes of all its blocks; `size_bytes` those of its content (all files)."""

    cid: CID
    tsize: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The choices that decide a CID (IPIP-499). Record the name with what you import, or you cannot make it again."""

    name: str
    cid_version: Literal[0, 1] = 1
    raw_leaves: bool = True
    chunk_bytes: int
    max_links: int
    fanout: int = 256
    directory_max_bytes: int = 256 * 1024  # a directory estimated above this is sharded
    directory_estimate: Literal["links", "block"]  # names and CIDs only, or the exact block


DEFAULT_PROFILE = Profile(name="unixfs-v1-2025", chunk_bytes=1024 * 1024, max_links=1024, directory_estimate="block")
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        DEFAULT_PROFILE,
        Profile(name="kubo-default", chunk_bytes=256 * 1024, max_links=174, directory_estimate="links"),
        Profile(
            name="v0-2015",
            cid_version=0,
            raw_leaves=False,
            chunk_bytes=256 * 1024,
            max_links=174,
            directory_estimate="links",
        ),
    )
}


def discard(cid: CID, block: bytes) -> None:
    """A `put` for when only the CID is wanted."""


# --- files ---------------------------------------------------------------------------------------------------------


def import_file(read: Read, put: Put, profile: Profile = DEFAULT_PROFILE) -> Entry:
    """Imports one file. `read(n)` returns up to `n` bytes, and b"" only at the end.

    Holds one chunk and `max_links` links for each level of the tree, whatever the size of the file.
    """
    tree = _FileTree(put, profile)
    for chunk in _chunks(read, profile.chunk_bytes):
        tree.add(_put_leaf(chunk, put, profile))
    return tree.finish()


def _chunks(read: Read, chunk_bytes: int) -> Iterator[bytes]:
    """Full chunks and one shorter last; for an empty file, one empty chunk."""
    is_first = True
    while True:
        chunk = read(chunk_bytes)
        if len(chunk) < chunk_bytes:
            chunk, is_last = _fill(chunk, read, chunk_bytes)
            if chunk or is_first:
                yield chunk
            if is_last:
                return
        else:
            yield chunk
        is_first = False


def _fill(chunk: bytes, read: Read, chunk_bytes: int) -> tuple[bytes, bool]:
    """Reads on after a short read until the chunk is full or the file ends; says whether it ended."""
    parts, missing = [chunk], chunk_bytes - len(chunk)
    while missing:
        part = read(missing)
        if not part:
            return b"".join(parts), True
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), False


def _put_leaf(chunk: bytes, put: Put, profile: Profile) -> Entry:
    size_bytes = len(chunk)
    if profile.raw_leaves:
        cid = cids.of(cids.RAW, chunk)
        put(cid, chunk)
        return Entry(cid, size_bytes, size_bytes)
    data = dagpb.encode_unixfs(UnixFS(kind=Kind.FILE, data=chunk or None, size_bytes=size_bytes))
    cid, _, tsize = _put_node((), data, put, profile)
    return Entry(cid, tsize, size_bytes)


class _FileTree:
    """The balanced tree over a file's leaves, built as they come: `levels[0]` holds leaves not yet under a node,
    `levels[1]` nodes not yet under a node, and so on; none ever holds more than `max_links`."""

    def __init__(self, put: Put, profile: Profile) -> None:
        self._put = put
        self._profile = profile
        self._levels: list[list[Entry]] = [[]]

    def add(self, entry: Entry, level: int = 0) -> None:
        if level == len(self._levels):
            self._levels.append([])
        if len(self._levels[level]) == self._profile.max_links:
            self._collapse(level)
        self._levels[level].append(entry)

    def finish(self) -> Entry:
        level = 0
        while level < len(self._levels) - 1 or len(self._levels[level]) > 1:
            self._collapse(level)  # also a group of one, as Kubo does, so that all leaves are equally deep
            level += 1
        return self._levels[level][0]

    def _collapse(self, level: int) -> None:
        children = self._levels[level]
        self._levels[level] = []
        size_bytes = sum(child.size_bytes for child in children)
        data = dagpb.encode_unixfs(
            UnixFS(kind=Kind.FILE, size_bytes=size_bytes, block_sizes=tuple(child.size_bytes for child in children))
        )
        links = [Link(child.cid, b"", child.tsize) for child in children]
        cid, _, tsize = _put_node(links, data, self._put, self._profile)
        self.add(Entry(cid, tsize, size_bytes), level + 1)


# --- symlinks and directories --------------------------------------------------------------------------------------


def symlink(target: bytes, put: Put, profile: Profile = DEFAULT_PROFILE) -> Entry:
    """Imports a symlink. The target is kept as it is, unchecked: whoever follows it must check."""
    data = dagpb.encode_unixfs(UnixFS(kind=Kind.SYMLINK, data=target))  # no filesize: Kubo writes none
    cid, _, tsize = _put_node((), data, put, profile)
    return Entry(cid, tsize, len(target))


_DIRECTORY_DATA = dagpb.encode_unixfs(UnixFS(kind=Kind.DIRECTORY))


def directory(entries: Iterable[tuple[bytes, Entry]], put: Put, profile: Profile = DEFAULT_PROFILE) -> Entry:
    """Imports a directory of (name, entry) pairs in any order; large ones are sharded.

    Raises InvalidName for a name we refuse, PathConflict when one comes twice.
    """
    links = []
    size_bytes = 0
    for name, entry in entries:
        paths.check_name(name)
        links.append(Link(entry.cid, name, entry.tsize))
        size_bytes += entry.size_bytes
    links.sort(key=_by_name)
    for previous, link in pairwise(links):
        if previous.name == link.name:
            raise PathConflict(f"two entries are named {paths.shown(link.name)}")

    if _estimate(links, profile) > profile.directory_max_bytes:
        root = hamt.build(links, profile.fanout, lambda links, data: _put_node(links, data, put, profile))
    else:
        root = _put_node(links, _DIRECTORY_DATA, put, profile)
    return Entry(root.cid, root.tsize, size_bytes)


def _by_name(link: Link) -> bytes:
    return link.name


def _estimate(links: Sequence[Link], profile: Profile) -> int:
    """How large the directory would be as one block, by the profile's reckoning."""
    if profile.directory_estimate == "links":
        return sum(len(link.name) + len(link.cid) for link in links)
    return 2 + len(_DIRECTORY_DATA) + sum(map(dagpb.encoded_link_size, links))


def _put_node(links: Sequence[Link], data: bytes, put: Put, profile: Profile) -> Link:
    block = dagpb.encode_node(links, data)
    cid = cids.of(cids.DAG_PB, block) if profile.cid_version == 1 else CID(b"\x12\x20" + sha256(block).digest())
    put(cid, block)
    return Link(cid, b"", len(block) + sum(link.tsize for link in links))


# --- trees ---------------------------------------------------------------------------------------------------------

_EMPTY_DIRECTORIES = frozenset({cids.EMPTY_DIRECTORY, CID(cids.multihash(cids.EMPTY_DIRECTORY))})


def build_tree(files: Iterable[tuple[str, Entry]], put: Put, profile: Profile = DEFAULT_PROFILE) -> Entry:
    """Makes all directories over (relative path, entry) pairs in any order and returns the root.

    An entry that is the empty directory only says that a directory is there; it may be named again, or have files.
    Raises InvalidName for empty, `.`, `..` and other refused segments; PathConflict for a path given twice or used as
    both file and directory. Nothing is put until every path is accepted.
    """
    root: _Folder = {}
    for path, entry in files:
        segments = paths.split(path)
        is_directory = entry.cid in _EMPTY_DIRECTORIES
        folder = root
        for segment in segments if is_directory else segments[:-1]:
            folder = _enter(folder, segment, path)
        if not is_directory:
            _place(folder, segments[-1], entry, path)
    return _put_folder(root, put, profile)


_Folder: TypeAlias = "dict[bytes, Entry | _Folder]"


def _enter(folder: _Folder, name: bytes, path: str) -> _Folder:
    found = folder.get(name)
    if found is None:
        paths.check_name(name)
        made: _Folder = {}
        folder[name] = made
        return made
    if isinstance(found, Entry):
        raise PathConflict(f"{path!r} needs {paths.shown(name)} to be a directory, but it is a file")
    return found


def _place(folder: _Folder, name: bytes, entry: Entry, path: str) -> None:
    if name in folder:
        what = "given twice" if isinstance(folder[name], Entry) else "both a file and a directory"
        raise PathConflict(f"{path!r} is {what}")
    paths.check_name(name)
    folder[name] = entry


def _put_folder(folder: _Folder, put: Put, profile: Profile) -> Entry:
    """Recursion is bounded by `paths.MAX_PATH_SEGMENTS`."""
    entries = (
        (name, found if isinstance(found, Entry) else _put_folder(found, put, profile))
        for name, found in folder.items()
    )
    return directory(entries, put, profile)
