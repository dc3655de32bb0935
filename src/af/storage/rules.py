"""What an archive may hold, and how its names become paths of a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable

from af.protocols.ipfs import paths
from af.protocols.ipfs.errors import InvalidName
from af.storage.errors import InvalidArchive

Segments = tuple[str, ...]
SYMLINK_TARGET_BYTES_MAX = 4096
RATIO_MAX = 200
"""What deflate makes of ordinary files stays far below; bombs need a thousand."""
RATIO_FREE_BYTES = 100 << 20
"""Up to here the ratio does not matter: a site of zeros is no danger."""
_IGNORED = frozenset({"__MACOSX", ".DS_Store", ".git", ".hg", ".svn"})
"""What archivers add, and version control, which must never be published."""
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def path_of(name: str) -> Segments | None:
    """The path that an entry's name means; `None` for entries that are passed over (the root, clutter).

    :raises InvalidArchive: absolute, with ``..``, or with a segment that cannot be a file name
    """
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise InvalidArchive(f"The entry {shown(name)} has an absolute path.")
    segments = tuple(segment for segment in name.split("/") if segment not in ("", "."))
    try:
        for segment in paths.split("/".join(segments)) if segments else ():
            paths.check_name(segment)
    except InvalidName as error:
        raise InvalidArchive(f"The entry {shown(name)} is refused: {error}.") from error
    return None if not segments or _IGNORED.intersection(segments) else segments


def check_symlink(path: Segments, target: bytes) -> None:
    """A link may point anywhere inside the tree, seen from where it stands.

    :raises InvalidArchive: it points out
    """
    if not target or len(target) > SYMLINK_TARGET_BYTES_MAX or b"\0" in target:
        raise InvalidArchive(f"The symbolic link {shown('/'.join(path))} has no usable target.")
    depth = len(path) - 1
    for segment in target.split(b"/"):
        depth += -1 if segment == b".." else 0 if segment in (b"", b".") else 1
        if depth < 0:
            break
    if depth < 0 or target.startswith((b"/", b"\\")):
        raise InvalidArchive(f"The symbolic link {shown('/'.join(path))} points out of the archive.")


def depth_to_strip(found: Iterable[Segments]) -> int:
    """1 if all entries are in one folder, which then goes: people pack the folder, not its content. Else 0."""
    tops: set[str] = set()
    deepest = 0
    for path in found:
        tops.add(path[0])
        deepest = max(deepest, len(path))
        if len(tops) > 1:
            return 0
    return 1 if deepest > 1 else 0


def is_bomb(unpacked_bytes: int, packed_bytes: int) -> bool:
    return unpacked_bytes > RATIO_FREE_BYTES and unpacked_bytes > packed_bytes * RATIO_MAX


def shown(name: str) -> str:
    """A name fit for a message."""
    return paths.shown(name[:200].encode("utf-8", "surrogateescape"))
