"""One process's end of the store: the segment that it alone may append to, held by `flock`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from af.protocols.ipfs import car
from af.protocols.ipfs.cid import CID
from af.storage.backends.index import Placement
from af.storage.backends.segments import files
from af.storage.errors import StorageFull, StoreFailed

_NUMBERS_TRIED_MAX = 10_000
_ADOPTED_MAX = 16
_VECTORS_MAX = 512  # half of IOV_MAX: a head and a body for each block
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Settle = Callable[[int, int], int | None]
"""Given a held segment (number, descriptor): bring file and index into line; the end to write at, `None` if sealed."""
LastNumber = Callable[[], int]
"""The highest segment number that the index has ever known."""


def hold(path: Path) -> int | None:
    """A descriptor that holds the segment for writing, or `None` when another process has it or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


class SegmentWriter:
    """Appends frames and makes them durable. Used by one thread at a time; takes a segment at the first write.

    `close` it whenever there is nothing to do: then other processes, and compaction, can have the segment.
    """

    def __init__(
        self, directory: Path, *, segment_bytes: int, free_bytes_min: int, settle: Settle, last_number: LastNumber
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._free_bytes_min = free_bytes_min
        self._settle = settle
        self._last_number = last_number
        self._descriptor = -1
        self._start = 0  # of the last append
        self.number = 0
        self.end = 0

    def append(self, blocks: Sequence[tuple[CID, bytes]]) -> list[Placement]:
        """Write the blocks and wait until they are durable. All or nothing: after an error no bytes of them remain.

        :raises StorageFull, StoreFailed:
        """
        size = sum(len(cid) + len(data) + 4 for cid, data in blocks)
        self._check_free(size)
        if self._descriptor < 0 or self.end >= self._segment_bytes:
            self._next_segment()
        self._start = self.end
        try:
            placements = self._write(blocks)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._undo(self._start)
            if error.errno in _FULL:
                raise StorageFull(detail=f"segment {self.number}: {error}") from error
            raise StoreFailed("Writing to the block store failed.", detail=f"segment {self.number}: {error}") from error
        return placements

    def take_back(self) -> None:
        """Forget the last `append`, because the index could not record it."""
        self._undo(self._start)

    def close(self) -> None:
        """Let go of the segment; one without blocks is removed."""
        if self._descriptor < 0:
            return
        if self.end == len(files.HEADER):
            with contextlib.suppress(FileNotFoundError):
                files.path_of(self._directory, self.number).unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, blocks: Sequence[tuple[CID, bytes]]) -> list[Placement]:
        placements: list[Placement] = []
        for start in range(0, len(blocks), _VECTORS_MAX):
            vector: list[bytes] = []
            position = self.end
            for cid, data in blocks[start : start + _VECTORS_MAX]:
                head = car.frame_head(cid, len(data))
                vector += (head, data)
                placements.append(Placement(cid, self.number, position + len(head), len(data)))
                position += len(head) + len(data)
            _write_all(self._descriptor, vector, self.end)
            self.end = position
        return placements

    def _check_free(self, size: int) -> None:
        room = os.statvfs(self._directory)
        free = room.f_bavail * room.f_frsize
        if free - size < self._free_bytes_min:
            raise StorageFull(detail=f"{free} bytes free, {size} wanted, {self._free_bytes_min} must remain")

    def _undo(self, end: int) -> None:
        """Cut the segment back. If even that fails, leave it: recovery cuts off what the index does not cover."""
        try:
            os.ftruncate(self._descriptor, end)
            self.end = end
        except OSError:
            os.close(self._descriptor)
            self._descriptor = -1

    def _next_segment(self) -> None:
        self.close()
        if not self._adopt():
            self._create()

    def _adopt(self) -> bool:
        """Go on with a segment that nobody holds and that has room, so that restarts leave no crumbs."""
        for number in files.numbers(self._directory)[: -_ADOPTED_MAX - 1 : -1]:
            path = files.path_of(self._directory, number)
            try:
                if path.stat().st_size >= self._segment_bytes:
                    continue
            except FileNotFoundError:
                continue
            descriptor = hold(path)
            if descriptor is None:
                continue
            end = self._settle(number, descriptor)
            if end is not None and end < self._segment_bytes:
                self._descriptor, self.number, self.end = descriptor, number, end
                return True
            os.close(descriptor)
        return False

    def _create(self) -> None:
        # A number is never used again: another process may still read the deleted file that had it.
        number = max(self._last_number(), *files.numbers(self._directory), 0) + 1
        for candidate in range(number, number + _NUMBERS_TRIED_MAX):
            path = files.path_of(self._directory, candidate)
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                continue
            except OSError as error:
                raise _refused(error, path) from error
            descriptor = hold(path)
            if descriptor is None:
                continue  # another process recovered (and removed) the empty file before we locked it
            try:
                _write_all(descriptor, [files.HEADER], 0)
                files.sync_directory(self._directory)
            except OSError as error:
                os.close(descriptor)
                raise _refused(error, path) from error
            self._descriptor, self.number, self.end = descriptor, candidate, len(files.HEADER)
            return
        raise StoreFailed("No free segment number was found.", detail=str(self._directory))


def _write_all(descriptor: int, vector: Sequence[bytes], offset: int) -> None:
    written = os.pwritev(descriptor, vector, offset)
    total = sum(map(len, vector))
    if written == total:
        return
    rest = memoryview(b"".join(vector))  # rare: a signal or a nearly full disk cut the write short
    while written < total:
        written += os.pwrite(descriptor, rest[written:], offset + written)


def _refused(error: OSError, path: Path) -> StorageFull | StoreFailed:
    if error.errno in _FULL:
        return StorageFull(detail=f"{path}: {error}")
    return StoreFailed("A new segment could not be made.", detail=f"{path}: {error}")
