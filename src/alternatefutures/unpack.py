"""A CAR from the platform written out as files. Every block is checked against its CID, and the content is treated as
hostile: it may come from anybody.

Names that could mean another place are refused, symlinks must stay inside, nothing is written over, and nothing is
there at all until everything is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from errno import ENOTEMPTY
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from af.protocols.ipfs import car, export, paths
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError
from af.protocols.ipfs.export import EntryKind
from alternatefutures.errors import ContentWrong, UsageError

ENTRIES_MAX = 1_000_000
DEPTH_MAX = 128
_AGAIN = "Run it again; the operator finds damage with `af storage scrub`."
_CAR_HINT = "Fetch it as it is instead: af storage export CID -o FILE.car"

Result = TypeVar("Result")
Count = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: ``files`` includes symlinks; ``bytes`` are those of the files."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing to write at ``path``, whose names were checked."""

    path: bytes
    kind: EntryKind
    cid: CID
    size_bytes: int


class Blocks:
    """The blocks of a CAR in a file without a name, in ``folder``. Use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._places: dict[CID, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def receive(self, root: CID, pieces: Iterator[bytes], count: Count) -> None:
        """Take in a CAR of ``root``. ``count`` is told how many bytes have come. :raises ContentWrong:"""
        offset = 0
        for cid, block in checked(root, pieces, count):
            self._file.write(block)
            self._places[cid] = (offset, len(block))
            offset += len(block)

    async def get(self, cid: CID) -> bytes:
        """A block; never waits. :raises ContentWrong: the CAR did not have it"""
        if cid not in self._places:
            raise ContentWrong(f"The block {cids.to_text(cid)} did not come.", hint=_AGAIN)
        offset, size = self._places[cid]
        self._file.seek(offset)
        return self._file.read(size)


def checked(root: CID, pieces: Iterator[bytes], count: Count) -> Iterator[tuple[CID, bytes]]:
    """The blocks of a CAR, each proved by its CID. :raises ContentWrong: a wrong block, or no CAR of ``root``"""
    reader = car.CarReader(max_block_bytes=16 << 20)
    received = 0
    try:
        for piece in pieces:
            received += len(piece)
            count(received)
            for cid, block in reader.feed(piece):
                if not cids.verify(cid, block):
                    raise ContentWrong(f"The platform sent wrong bytes for the block {cids.to_text(cid)}.", hint=_AGAIN)
                yield cid, block
        reader.finish()
    except IpfsError as error:
        raise ContentWrong("What the platform sent is no CAR file.", cause=str(error), hint=_AGAIN) from error
    if reader.roots is None or root not in reader.roots:
        raise ContentWrong(f"The platform sent something else than {cids.to_text(root)}.", hint=_AGAIN)


def write_out(blocks: Blocks, root: CID, target: Path, *, entries_max: int = ENTRIES_MAX) -> Written:
    """Make ``target`` the file or folder that ``root`` is: whole, or not at all.

    A file replaces one that is there; a folder only an empty one.

    :raises ContentWrong: it is damaged, or cannot be files. :raises UsageError: ``target`` is in use, or not writable
    """
    made: str | None = None
    try:
        made = tempfile.mkdtemp(prefix=".af-get-", suffix=".part", dir=target.parent)
        written = _write(blocks, Path(made, "content"), list(_walk(blocks, root, entries_max)))
        os.rename(Path(made, "content"), target)
        return written
    except (NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"{target} is there already.", hint="Name a new file or folder with -o.") from error
    except OSError as error:
        if error.errno == ENOTEMPTY:
            raise UsageError(f"{target} is not empty.", hint="Name a new or empty folder with -o.") from error
        raise not_writable(target, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def not_writable(target: Path, error: OSError) -> UsageError:
    return UsageError(f"{target} cannot be written.", cause=error.strerror or "", hint="Name another place with -o.")


def _write(blocks: Blocks, top: Path, items: list[_Item]) -> Written:
    total = sum(item.size_bytes for item in items if item.kind is EntryKind.FILE)
    free = shutil.disk_usage(top.parent).free
    if total > free:
        raise UsageError(f"The files take {total:,} bytes; the disk has {free:,} left.", hint="Free some space.")
    base = os.fsencode(top)
    links = [item for item in items if item.kind is EntryKind.SYMLINK]
    for item in items:
        path = os.path.join(base, item.path) if item.path else base
        if item.kind is EntryKind.DIRECTORY:
            os.mkdir(path)
        elif item.kind is EntryKind.FILE:
            with open(path, "xb") as file:
                _now(_copy(blocks, item.cid, file.write))
    for item in links:  # last, so that nothing above was written through one
        os.symlink(_target(blocks, item), os.path.join(base, item.path))
    for item in links:
        _require_inside(base, item.path)
    return Written(files=sum(1 for item in items if item.kind is not EntryKind.DIRECTORY), bytes=total)


def _walk(blocks: Blocks, root: CID, entries_max: int) -> Iterator[_Item]:
    """Everything below ``root``, folders before what is in them."""
    pending: list[tuple[bytes, CID, int]] = [(b"", root, 0)]
    count = 0
    try:
        while pending:
            path, cid, depth = pending.pop()
            stat = _now(export.stat(blocks.get, cid))
            yield _Item(path, stat.kind, cid, stat.size_bytes)
            if stat.kind is not EntryKind.DIRECTORY:
                continue
            if depth >= DEPTH_MAX:
                raise ContentWrong(f"Folders are nested more than {DEPTH_MAX} deep.", hint=_CAR_HINT)
            for entry in reversed(_now(export.list_directory(blocks.get, cid, max_entries=entries_max))):
                count += 1
                if count > entries_max:
                    raise ContentWrong(f"There are more than {entries_max:,} files.", hint=_CAR_HINT)
                paths.check_name(entry.name)
                pending.append((os.path.join(path, entry.name), entry.cid, depth + 1))
    except IpfsError as error:
        raise ContentWrong("The content cannot be written as files.", cause=str(error), hint=_CAR_HINT) from error


async def _copy(blocks: Blocks, cid: CID, write: Callable[[bytes], int]) -> None:
    try:
        async for piece in export.read_file(blocks.get, cid):
            write(piece)
    except IpfsError as error:
        raise ContentWrong("A file is damaged.", cause=str(error)) from error


def _target(blocks: Blocks, item: _Item) -> bytes:
    """Where a symlink leads. Up is allowed at its start only: behind another symlink it could mean anything."""
    target = _now(export.read_symlink(blocks.get, item.cid))
    segments = [segment for segment in target.split(b"/") if segment not in (b"", b".")]
    up = 0
    while up < len(segments) and segments[up] == b"..":
        up += 1
    inside = not target.startswith(b"/") and b"\0" not in target and target and up <= item.path.count(b"/")
    if not item.path or not inside or b".." in segments[up:]:
        raise ContentWrong(
            f"{paths.shown(item.path)} is a symlink that may leave the folder (to {paths.shown(target)}).",
            hint=_CAR_HINT,
        )
    return target


def _require_inside(base: bytes, path: bytes) -> None:
    top = os.path.realpath(base)
    real = os.path.realpath(os.path.join(base, path))
    if real != top and not real.startswith(top + b"/"):
        raise ContentWrong(f"{paths.shown(path)} is a symlink that leaves the folder.", hint=_CAR_HINT)


def _now(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing: its blocks are all here. Works inside event loops, too."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    raise RuntimeError("blocks of a file never wait")
