"""Reading a local folder as content: which files there are, and the CID of the whole.

Symlinks are kept as symlinks when they stay inside the folder and refused when they leave it. Hidden names are left
out, as ``ipfs add -r`` does, except ``.well-known``; ``hidden=True`` takes all but version-control folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from af.protocols.ipfs import paths, unixfs
from af.protocols.ipfs.cid import CID
from alternatefutures.errors import FolderChanged, FolderError

FILES_MAX = 1_000_000
DEPTH_MAX = 128
_NEVER = frozenset({".git", ".hg", ".svn", ".DS_Store"})
_ALWAYS = frozenset({".well-known"})

Put = Callable[[CID, bytes], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in the folder. ``path`` is relative with ``/``; ``target`` is set for symlinks; ``directory`` is true
    for a folder that holds nothing that is published."""

    path: str
    source: str
    size_bytes: int
    target: bytes | None = None
    directory: bool = False


@dataclass(slots=True)
class Plan:
    """A folder's DAG without its bytes: ``root``, each file's entry, and which blocks belong to which file.

    ``nodes`` holds the directory blocks themselves (small); file blocks are read again when they are sent.
    """

    root: CID
    items: list[Item]
    profile: unixfs.Profile
    entries: dict[int, unixfs.Entry] = field(default_factory=dict)
    file_of_block: dict[CID, int] = field(default_factory=dict)
    nodes: dict[CID, bytes] = field(default_factory=dict)
    hidden_skipped: int = 0

    @property
    def files(self) -> int:
        return sum(1 for item in self.items if not item.directory)

    @property
    def bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)

    @property
    def case_clashes(self) -> list[tuple[str, ...]]:
        """Groups of paths that differ by case only: one thing each here, the same on macOS and Windows. What is
        inside folders that clash is not repeated."""
        every = dict.fromkeys(above for item in self.items for above in _with_parents(item.path))
        clashes = paths.case_clashes(every)
        inside = {path for group in clashes for path in group}
        return [group for group in clashes if not any(os.path.dirname(path) in inside for path in group)]

    def blocks(self) -> Iterator[CID]:
        yield from self.nodes
        yield from self.file_of_block

    def send(self, wanted: set[CID], put: Put) -> int:
        """Give every wanted block to ``put``, reading files once more; returns the number of files touched.

        :raises FolderChanged: a file is no longer what was hashed; what was given is still valid content.
        """
        indexes = sorted({self.file_of_block[cid] for cid in wanted if cid in self.file_of_block})
        left = set(wanted)

        def take(cid: CID, data: bytes) -> None:
            if cid in left:
                left.discard(cid)
                put(cid, data)

        for index in indexes:
            changed = f"{self.items[index].path} changed while it was being uploaded."
            try:
                same = _import(self.items[index], take, self.profile).cid == self.entries[index].cid
            except FolderError as error:
                raise FolderChanged(changed, cause=error.cause or error.message) from error
            if not same:
                raise FolderChanged(changed)
        for cid in wanted:
            if cid in self.nodes:
                take(cid, self.nodes[cid])
        return len(indexes)


def plan(
    folder: Path,
    *,
    profile: unixfs.Profile,
    hidden: bool = False,
    wrap: bool = True,
    on_file: Callable[[int, int], None] = lambda _files, _bytes: None,
) -> Plan:
    """Walk and hash ``folder``, or one file: with ``wrap`` that is a folder which holds it, else the file alone."""
    skipped = [0]
    items = list(scan(folder, hidden=hidden, skipped=skipped))
    if not items:
        raise FolderError(f"{folder} holds nothing to deploy.", hint="Build the site first, or name another folder.")
    result = Plan(root=CID(b""), items=items, profile=profile, hidden_skipped=skipped[0])
    leaves: list[tuple[str, unixfs.Entry]] = []
    total = 0
    for index, item in enumerate(items):

        def note(cid: CID, _data: bytes, index: int = index) -> None:
            result.file_of_block.setdefault(cid, index)

        if item.directory:
            entry = unixfs.directory((), lambda cid, data: result.nodes.__setitem__(cid, data), profile)
        else:
            entry = _import(item, note, profile)
        result.entries[index] = entry
        leaves.append((item.path, entry))
        total += item.size_bytes
        on_file(index + 1, total)
    if not wrap and len(items) == 1 and items[0].source == os.path.realpath(folder) and not items[0].directory:
        result.root = result.entries[0].cid
        return result
    result.root = unixfs.build_tree(leaves, lambda cid, data: result.nodes.__setitem__(cid, data), profile).cid
    return result


def scan(folder: Path, *, hidden: bool, skipped: list[int] | None = None) -> Iterator[Item]:
    """Everything to publish under ``folder``, in the order of the names' bytes.

    :raises FolderError: absent, not readable, a special file, a bad name, or a symlink that leaves the folder.
    """
    top = os.path.realpath(folder)
    try:
        mode = os.stat(top).st_mode
    except OSError as error:
        raise FolderError(f"{folder} does not exist or cannot be read.", cause=error.strerror or "") from error
    if stat.S_ISREG(mode):
        _check(os.path.basename(top))
        yield _file(top, os.path.basename(top))
        return
    if not stat.S_ISDIR(mode):
        raise FolderError(f"{folder} is neither a folder nor a file.")
    found = _scan(top, top, "", hidden, skipped if skipped is not None else [0], 0)
    for count, item in enumerate(found, 1):
        if count > FILES_MAX:
            raise FolderError(f"{folder} holds more than {FILES_MAX:,} files.")
        yield item


def _scan(top: str, directory: str, prefix: str, hidden: bool, skipped: list[int], depth: int) -> Iterator[Item]:
    if depth > DEPTH_MAX:
        raise FolderError(f"{prefix.rstrip('/')} is nested more than {DEPTH_MAX} folders deep.")
    try:
        with os.scandir(directory) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise _unreadable(prefix or directory, error) from error
    empty = True
    for entry in entries:
        if not _wanted(entry.name, hidden, skipped):
            continue
        _check(entry.name, prefix)
        path = prefix + entry.name
        empty = False
        if entry.is_symlink():
            yield _symlink(top, entry.path, path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _scan(top, entry.path, path + "/", hidden, skipped, depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield _file(entry.path, path)
        else:
            raise FolderError(f"{path} is a socket, pipe or device and cannot be published.")
    if empty and prefix:
        yield Item(prefix.rstrip("/"), directory, 0, directory=True)


def _wanted(name: str, hidden: bool, skipped: list[int]) -> bool:
    if not name.startswith(".") or name in _ALWAYS:
        return True
    if hidden and name not in _NEVER:
        return True
    skipped[0] += 1
    return False


def _check(name: str, prefix: str = "") -> None:
    try:
        paths.check_name(os.fsencode(name))
        name.encode("utf-8")
    except ValueError as error:
        raise FolderError(
            f"{(prefix + name)!r} cannot be published.", cause=str(error), hint="Rename it and deploy again."
        ) from error


def _symlink(top: str, source: str, path: str) -> Item:
    try:
        target = os.readlink(source)
    except OSError as error:
        raise _unreadable(path, error) from error
    resolved = os.path.normpath(os.path.join(os.path.dirname(source), target))
    if os.path.isabs(target) or not (resolved == top or resolved.startswith(top + os.sep)):
        raise FolderError(
            f"{path} is a symlink that leaves the folder (to {target}).", hint="Replace it by the file it points to."
        )
    return Item(path, source, 0, target=os.fsencode(target))


def _import(item: Item, put: Put, profile: unixfs.Profile) -> unixfs.Entry:
    if item.target is not None:
        return unixfs.symlink(item.target, put, profile)
    # What is a file now may have become a symlink or a pipe since: follow none, wait for none.
    try:
        descriptor = os.open(item.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FolderError(f"{item.path} is no longer a file.")
            return unixfs.import_file(file.read, put, profile)
    except OSError as error:
        raise _unreadable(item.path, error) from error


def _file(source: str, path: str) -> Item:
    try:
        return Item(path, source, os.lstat(source).st_size)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> FolderError:
    return FolderError(f"{path} cannot be read.", cause=error.strerror or "")


def _with_parents(path: str) -> Iterator[str]:
    yield path
    while path := os.path.dirname(path):
        yield path
