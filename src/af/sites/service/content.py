"""Reading deployed trees: the rule files of a root, and what differs between two roots.

The callers have authorised, and the trees belong to deployments of the project or have just been verified for it. Two
trees are compared by CID: equal directories and files are skipped without being read, so the cost follows the size
of the change, not of the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from af import storage
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError, NotADirectory, NotAFile, NotFound
from af.protocols.ipfs.export import DirEntry, EntryKind, Get
from af.protocols.sitefiles import FILE_BYTES_MAX
from af.sites import rules
from af.sites.models import DiffChange, DiffFile

DIFF_FILES_MAX = 5_000
DIFF_FOLDERS_MAX = 20_000


async def rule_files(ctx: Context, project_id: ProjectId, root: CID) -> dict[str, bytes]:
    """The rule files at the top of a tree, each at most one byte longer than what is accepted.

    :raises InvalidInput: ``root`` is not a directory, or a rule file in it is broken.
    """
    get = storage.reader(ctx, project_id)
    found: dict[str, bytes] = {}
    for name in rules.RULE_FILES:
        try:
            file = await export.resolve(get, root, [name])
            pieces = [
                piece async for piece in export.read_file(get, file.cid, 0, FILE_BYTES_MAX + 1, block=file.stat.block)
            ]
        except (NotFound, NotAFile):
            continue  # a directory or symlink of that name has no rules
        except NotADirectory as error:
            raise InvalidInput("The root of a site must be a directory.", field="cid") from error
        except IpfsError as error:
            raise InvalidInput(f"{name} cannot be read: {error}.", field="cid") from error
        found[name] = b"".join(pieces)
    return found


@dataclass(slots=True)
class TreeDiff:
    """Files that differ, by path from the top. ``truncated``: a limit was reached."""

    added: list[DiffFile] = field(default_factory=list)
    removed: list[DiffFile] = field(default_factory=list)
    changed: list[DiffChange] = field(default_factory=list)
    truncated: bool = False

    @property
    def files(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two things at a path; ``kind`` and size are known once the block has been looked at."""

    cid: CID
    is_folder: bool
    size_bytes: int


async def compare_trees(ctx: Context, project_id: ProjectId, before: CID, after: CID) -> TreeDiff:
    """What changed from one tree to another; at most `DIFF_FILES_MAX` files and `DIFF_FOLDERS_MAX` folders are seen."""
    get = storage.reader(ctx, project_id)
    diff = TreeDiff()
    pending: list[tuple[str, CID | None, CID | None]] = [("", before, after)] if before != after else []
    folders = 0
    while pending:
        path, old_cid, new_cid = pending.pop()
        folders += 1
        if folders > DIFF_FOLDERS_MAX or diff.files >= DIFF_FILES_MAX:
            diff.truncated = True
            break
        old_entries = await export.list_directory(get, old_cid) if old_cid is not None else []
        new_entries = await export.list_directory(get, new_cid) if new_cid is not None else []
        deeper: list[tuple[str, CID | None, CID | None]] = []
        for name, old_entry, new_entry in _paired(old_entries, new_entries):
            if diff.files >= DIFF_FILES_MAX:
                diff.truncated = True
                break
            old = await _look(get, old_entry)
            new = await _look(get, new_entry)
            shown = f"{path}/{name.decode('utf-8', 'replace')}".removeprefix("/")
            _note(diff, shown, old, new)
            old_folder = old.cid if old is not None and old.is_folder else None
            new_folder = new.cid if new is not None and new.is_folder else None
            if old_folder is not None or new_folder is not None:
                deeper.append((shown, old_folder, new_folder))
        pending.extend(reversed(deeper))
    diff.added.sort(key=lambda file: file.path)
    diff.removed.sort(key=lambda file: file.path)
    diff.changed.sort(key=lambda file: file.path)
    return diff


def _paired(old: list[DirEntry], new: list[DirEntry]) -> Iterator[tuple[bytes, DirEntry | None, DirEntry | None]]:
    """Entries of two directories by name, without those that are the same in both."""
    old_by_name = {entry.name: entry for entry in old}
    new_by_name = {entry.name: entry for entry in new}
    for name in sorted(old_by_name.keys() | new_by_name.keys()):
        before, after = old_by_name.get(name), new_by_name.get(name)
        if before is None or after is None or before.cid != after.cid:
            yield name, before, after


async def _look(get: Get, entry: DirEntry | None) -> _Side | None:
    if entry is None:
        return None
    if cids.codec(entry.cid) == cids.RAW:
        return _Side(entry.cid, is_folder=False, size_bytes=entry.tsize)  # a raw block is its bytes
    stat = await export.stat(get, entry.cid)
    return _Side(entry.cid, stat.kind is EntryKind.DIRECTORY, stat.size_bytes)


def _note(diff: TreeDiff, path: str, old: _Side | None, new: _Side | None) -> None:
    old_file = old if old is not None and not old.is_folder else None
    new_file = new if new is not None and not new.is_folder else None
    if old_file is not None and new_file is not None:
        diff.changed.append(DiffChange(path, old_file.size_bytes, new_file.size_bytes))
    elif old_file is not None:
        diff.removed.append(DiffFile(path, old_file.size_bytes))
    elif new_file is not None:
        diff.added.append(DiffFile(path, new_file.size_bytes))
