"""Segment files on disk: their names, their header, and reading from them.

A segment is a CARv1 without roots: a header, then frames ``varint(length) CID bytes``. It only ever grows, until it
is compacted away; so bytes at an offset never change while the file exists.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from pathlib import Path

from af.core.clock import monotonic
from af.protocols.ipfs import car

HEADER = car.header(())
_NAME = re.compile(r"(\d{8})\.car")
_LOOK_SECONDS = 30.0
_DESCRIPTORS_MAX = 256


def path_of(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.car"


def numbers(directory: Path) -> list[int]:
    """The segments that exist, oldest first."""
    return sorted(int(found[1]) for name in os.listdir(directory) if (found := _NAME.fullmatch(name)))


def sync_directory(directory: Path) -> None:
    """Make the creation or removal of a file durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SegmentReader:
    """Keeps segments open for reading, at most `_DESCRIPTORS_MAX`.

    A descriptor keeps the bytes of a deleted segment readable (and on disk), which is what a reader racing with a
    compaction needs; descriptors of deleted files are closed at the second look after the deletion, at least
    `_LOOK_SECONDS` later, so never under a read in progress.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[int, int] = {}
        self._leaving: list[int] = []
        self._lock = threading.Lock()
        self._looked = monotonic()

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes. :raises FileNotFoundError: the segment is gone: look the block up again"""
        descriptor = self._descriptor(segment)
        data = os.pread(descriptor, length, offset)
        while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
            data += more
        return data

    def read_cached(self, segment: int, offset: int, length: int) -> bytes | None:
        """The bytes if all of them are in the page cache, else `None` (also where the file system cannot tell)."""
        buffer = bytearray(length)
        try:
            count = os.preadv(self._descriptor(segment), (buffer,), offset, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOENT):
                return None
            raise
        return bytes(buffer) if count == length else None

    def close(self) -> None:
        with self._lock:
            for descriptor in (*self._open.values(), *self._leaving):
                os.close(descriptor)
            self._open.clear()
            self._leaving.clear()

    def _descriptor(self, segment: int) -> int:
        found = self._open.get(segment)
        if found is not None and monotonic() - self._looked < _LOOK_SECONDS:
            return found
        with self._lock:
            self._let_go()
            found = self._open.get(segment)
            if found is None:
                found = os.open(path_of(self._directory, segment), os.O_RDONLY | os.O_CLOEXEC)
                self._open[segment] = found
            return found

    def _let_go(self) -> None:
        """Close what was set aside the last time; set aside what is deleted or too much."""
        if monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = monotonic()
        for descriptor in self._leaving:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._leaving.clear()
        gone = [number for number, descriptor in self._open.items() if os.fstat(descriptor).st_nlink == 0]
        extra = max(0, len(self._open) - len(gone) - _DESCRIPTORS_MAX)
        for number in (*gone, *[n for n in self._open if n not in gone][:extra]):
            self._leaving.append(self._open.pop(number))
