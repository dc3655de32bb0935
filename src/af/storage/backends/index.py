"""The index of blocks: where each one is, who may see it, when it was last wanted. SQLite in WAL mode.

Shared by the adapters, and by all processes on the machine: each thread has its own connection, readers never wait for
writers, writers of one process take turns on a lock and those of other processes on SQLite's. Whoever adds a row has
made the bytes durable first, so a row implies the block.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.errors import StorageFull, StoreFailed
from af.storage.models import BlockStats

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks(
    cid BLOB PRIMARY KEY, segment INTEGER, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    public INTEGER NOT NULL DEFAULT 0, corrupt INTEGER NOT NULL DEFAULT 0, touched_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners(cid BLOB, scope TEXT, PRIMARY KEY(cid, scope)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments(
    number INTEGER PRIMARY KEY, end INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_BUSY_SECONDS = 20.0
_QUERY_CIDS = 500  # below every SQLite's limit of variables
_LOCATE = "SELECT segment, offset, length, public, corrupt FROM blocks WHERE cid = ?"
_VISIBLE = """SELECT cid, touched_at FROM blocks AS b WHERE cid IN ({marks}) AND corrupt = 0
    AND (public = 1 OR EXISTS (SELECT 1 FROM owners AS o WHERE o.cid = b.cid AND o.scope = ?))"""
_PLACE = """INSERT INTO blocks(cid, segment, offset, length, touched_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT(cid) DO UPDATE SET touched_at = max(touched_at, excluded.touched_at), corrupt = 0,
    segment = CASE WHEN corrupt THEN excluded.segment ELSE segment END,
    offset = CASE WHEN corrupt THEN excluded.offset ELSE offset END"""  # same CID: equal length
_OWN = "INSERT OR IGNORE INTO owners(cid, scope) SELECT cid, ? FROM blocks WHERE cid = ? AND public = 0"


class Location(NamedTuple):
    """Where a block's bytes are. ``segment`` is `None` when the adapter needs none."""

    segment: int | None
    offset: int
    length: int
    public: int
    corrupt: int


class Placement(NamedTuple):
    """A block whose bytes have just become durable."""

    cid: CID
    segment: int | None
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A scope's wish to see blocks, whose bytes it has shown."""

    scope: str
    cids: Sequence[CID]


class BlockIndex:
    """The index file at ``path``, made if absent. Times are milliseconds since 1970.

    :raises StoreFailed: the file is damaged or cannot be opened
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._connections_lock = threading.Lock()
        self._write_lock = threading.Lock()
        with self.writing() as connection:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self.open_connection()
        return found

    def open_connection(self) -> sqlite3.Connection:
        """One more connection, for a caller with temporary tables; `close_connection` frees it."""
        with as_storage_error():
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            connection.execute("PRAGMA cache_size = -8000")
        with self._connections_lock:
            self._connections.append(connection)
        return connection

    def close_connection(self, connection: sqlite3.Connection) -> None:
        with self._connections_lock:
            self._connections.remove(connection)
        connection.close()

    @contextmanager
    def writing(self, own: sqlite3.Connection | None = None) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises."""
        connection = own or self.connection()
        with self._write_lock, as_storage_error():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes every thread's connection; no thread may be using one."""
        with self._connections_lock:
            while self._connections:
                self._connections.pop().close()
        self._local = threading.local()

    # Reading

    def locate(self, cid: CID) -> Location | None:
        try:
            row = self.connection().execute(_LOCATE, (cid,)).fetchone()
        except sqlite3.Error as error:
            raise StoreFailed("The index of the block store failed.", detail=str(error)) from error
        return None if row is None else Location(*row)

    def visible(self, wanted: Iterable[CID], scope: str) -> dict[CID, int]:
        """Which of ``wanted`` the scope sees (undamaged), with the time of their last touch."""
        connection = self.connection()
        found: dict[CID, int] = {}
        with as_storage_error():
            for batch in _batches(wanted):
                query = _VISIBLE.format(marks=",".join("?" * len(batch)))
                found.update(connection.execute(query, (*batch, scope)).fetchall())
        return found

    def missing(self, wanted: Sequence[CID], scope: str, now: int, slack: int) -> list[CID]:
        """Those of ``wanted`` that the scope cannot see, in order; the others are touched, unless they have been within
        the last ``slack`` milliseconds."""
        asked = list(dict.fromkeys(wanted))
        visible = self.visible(asked, scope)
        stale = [cid for cid, touched_at in visible.items() if touched_at < now - slack]
        if not self.touch(stale, now):
            visible = self.visible(asked, scope)  # a collection took some in between
        return [cid for cid in asked if cid not in visible and not cids.is_identity(cid)]

    def every_cid(self) -> list[CID]:
        """All blocks. For upkeep: holds about a hundred bytes for each."""
        with as_storage_error():
            return [CID(row[0]) for row in self.connection().execute("SELECT cid FROM blocks")]

    def stats(self) -> BlockStats:
        """Figures of the rows alone; ``segments`` and ``dead_bytes`` are the adapter's to add."""
        with as_storage_error():
            blocks, size, public, corrupt = (
                self.connection()
                .execute(
                    "SELECT count(*), coalesce(sum(length), 0), coalesce(sum(public), 0), coalesce(sum(corrupt), 0)"
                    " FROM blocks"
                )
                .fetchone()
            )
        return BlockStats(
            blocks=blocks,
            bytes=size,
            public_blocks=public,
            corrupt_blocks=corrupt,
            segments=0,
            dead_bytes=0,
        )

    # Writing

    def record(
        self,
        placements: Sequence[Placement],
        known: Sequence[CID],
        claims: Sequence[Claim],
        *,
        segment_end: tuple[int, int] | None,
        now: int,
    ) -> set[CID]:
        """Add rows for durable blocks, touch ``known`` ones, note who put them; one transaction.

        Returns those of ``known`` that a collection has taken in the meantime: they must be written after all.
        """
        with self.writing() as connection:
            connection.executemany(_PLACE, [(*placement, now) for placement in placements])
            touched = connection.executemany(
                "UPDATE blocks SET touched_at = max(touched_at, ?) WHERE cid = ? AND corrupt = 0",
                [(now, cid) for cid in known],
            ).rowcount
            for claim in claims:
                connection.executemany(_OWN, [(claim.scope, cid) for cid in claim.cids])
            if segment_end is not None:
                connection.execute(
                    "INSERT INTO segments(number, end) VALUES (?, ?)"
                    " ON CONFLICT(number) DO UPDATE SET end = excluded.end",
                    segment_end,
                )
            if not known or touched == len(known):
                return set()
            return {cid for cid in known if not _is_whole(connection, cid)}

    def touch(self, cids: Sequence[CID], now: int) -> bool:
        """Whether all of them were still there."""
        if not cids:
            return True
        with self.writing() as connection:
            touched = connection.executemany(
                "UPDATE blocks SET touched_at = max(touched_at, ?) WHERE cid = ?", [(now, cid) for cid in cids]
            ).rowcount
        return touched == len(cids)

    def grant(self, cids: Sequence[CID], scope: str | None) -> None:
        """Visible to ``scope``, or to everybody (who owned it then no longer matters)."""
        if not cids:
            return
        with self.writing() as connection:
            if scope is not None:
                connection.executemany(_OWN, [(scope, cid) for cid in cids])
                return
            published = connection.executemany(
                "UPDATE blocks SET public = 1 WHERE cid = ? AND public = 0", [(cid,) for cid in cids]
            ).rowcount
            if published:
                connection.executemany("DELETE FROM owners WHERE cid = ?", [(cid,) for cid in cids])

    def set_corrupt(self, cid: CID, at: Location, corrupt: bool) -> None:
        """Mark the block, if it is still where it was read."""
        with self.writing() as connection:
            connection.execute(
                "UPDATE blocks SET corrupt = ? WHERE cid = ? AND segment IS ? AND offset = ?",
                (int(corrupt), cid, at.segment, at.offset),
            )

    def fact(self, name: str) -> str:
        """What `set_fact` was told; empty for nothing."""
        with as_storage_error():
            row = self.connection().execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return "" if row is None else row[0]

    def set_fact(self, name: str, value: str | None) -> None:
        with self.writing() as connection:
            if value is None:
                connection.execute("DELETE FROM facts WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO facts(name, value) VALUES (?, ?)", (name, value))


def _is_whole(connection: sqlite3.Connection, cid: CID) -> bool:
    row = connection.execute("SELECT 1 FROM blocks WHERE cid = ? AND corrupt = 0", (cid,)).fetchone()
    return row is not None


def _batches(wanted: Iterable[CID]) -> Iterator[list[CID]]:
    source = iter(wanted)
    while batch := list(islice(source, _QUERY_CIDS)):
        yield batch


@contextmanager
def as_storage_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL:
            raise StorageFull(detail=f"index: {error}") from error
        raise StoreFailed(
            "The index of the block store failed.",
            hint="Stop the platform, move data/blocks/index.sqlite away and start: it is rebuilt from the segments.",
            detail=f"{getattr(error, 'sqlite_errorname', '')} {error}",
        ) from error
