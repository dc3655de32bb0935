"""Opening the store: one lock file, the index (made anew when it is gone or broken), segments that a crash left."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from af.core.clock import Clock
from af.storage.backends.index import BlockIndex
from af.storage.backends.segments import files, recovery
from af.storage.backends.segments.catalog import Catalog, State
from af.storage.backends.segments.writer import hold
from af.storage.errors import StoreFailed

REBUILT = "rebuilt"
INDEX = "index.sqlite"
_OPEN_TRIES = 40
_SIDE_FILES = ("-wal", "-shm", "-journal")
_log = structlog.get_logger()


def milliseconds(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1000)


def take_lock(directory: Path) -> int:
    """A descriptor that shares the store with other processes; making the index anew needs it exclusively."""
    return os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def open_index(directory: Path, lock: int, clock: Clock) -> BlockIndex:
    """The index, shared with other processes from now on. Waits while another process makes it anew.

    :raises StoreFailed: it is broken while other processes use it
    """
    path = directory / INDEX
    for _ in range(_OPEN_TRIES):
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _is_readable(path):
            return BlockIndex(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process opens it too: let go, so that one of us gets it alone
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.02 + os.getpid() % 16 / 200)
            continue
        if not _is_readable(path):
            rebuild(directory, clock)
    raise StoreFailed(
        "The index of the block store is damaged and other processes use it.",
        hint="Stop the platform and start it again: the index is then rebuilt from the segments.",
    )


def rebuild(directory: Path, clock: Clock) -> None:
    """Make the index from the segments. Nobody else may have the store open.

    Who may see what is not in the segments: `BlockStore.rebuilt` says so until the service has told it anew.
    """
    path, fresh = directory / INDEX, directory / (INDEX + ".new")
    for suffix in ("", *_SIDE_FILES):
        Path(f"{fresh}{suffix}").unlink(missing_ok=True)
    index = BlockIndex(fresh)
    catalog = Catalog(index)
    now = milliseconds(clock)
    numbers = files.numbers(directory)
    for number in numbers:
        segment = files.path_of(directory, number)
        if segment.stat().st_size <= len(files.HEADER):
            segment.unlink()  # its maker died before the first block
            continue
        found = recovery.scan(segment, number, 0, search=True)
        whole = found.end == found.size and not found.lost_bytes
        catalog.recovered(
            number, found.placements, found.corrupt, found.size, State.OPEN if whole else State.SEALED, now
        )
        _log.info(
            "segment indexed", segment=number, blocks=len(found.placements), damaged=len(found.corrupt), whole=whole
        )
    if numbers:
        index.set_fact(REBUILT, str(now))
    index.close()  # the last connection: its log is folded into the file
    if path.exists():
        path.replace(directory / (INDEX + ".damaged"))
    for suffix in _SIDE_FILES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    fresh.replace(path)
    files.sync_directory(directory)


def settler(directory: Path, catalog: Catalog, clock: Clock) -> Callable[[int, int], int | None]:
    """What `SegmentWriter` and `recover` do with a segment that they hold: bring file and index into line."""

    def settle(number: int, descriptor: int) -> int | None:
        known = catalog.segment(number)
        size = os.fstat(descriptor).st_size
        if known is not None and known.state is State.RETIRED:
            files.path_of(directory, number).unlink(missing_ok=True)  # a compaction died before it could
            return None
        if known is not None and (known.state is State.SEALED or size <= known.end):
            return known.end if known.state is State.OPEN and size == known.end else None
        if known is None and size <= len(files.HEADER):
            files.path_of(directory, number).unlink(missing_ok=True)  # its maker died before the first block
            return None
        start = known.end if known is not None else 0
        found = recovery.scan(files.path_of(directory, number), number, start, search=False)
        os.ftruncate(descriptor, found.end)
        os.fdatasync(descriptor)  # the tail may so far live in the page cache only
        catalog.recovered(number, found.placements, (), found.end, State.OPEN, milliseconds(clock))
        _log.info("segment recovered", segment=number, blocks=len(found.placements), torn_bytes=size - found.end)
        return found.end

    return settle


def recover(directory: Path, settle: Callable[[int, int], int | None]) -> None:
    """Settle every segment that no process holds."""
    for number in files.numbers(directory):
        descriptor = hold(files.path_of(directory, number))
        if descriptor is not None:
            try:
                settle(number, descriptor)
            finally:
                os.close(descriptor)


def _is_readable(path: Path) -> bool:
    return path.exists() and not _is_broken(path)


def _is_broken(path: Path) -> bool:
    """Whether SQLite refuses the file or finds its tables missing. A look at the schema, not a full check."""
    try:
        connection = sqlite3.connect(path, timeout=20)
        try:
            for table in ("blocks", "owners", "segments", "facts"):
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 -- our own constant
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return getattr(error, "sqlite_errorcode", 0) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return False
