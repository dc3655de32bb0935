"""Blocks on this machine's disk, so that they are not fetched again: bounded in bytes, shared by the processes here.

One SQLite file. Losing it costs nothing but fetches, so nothing is synced, a broken file is thrown away, and a failing
disk means no cache. Every block is verified as it goes in and again as it comes out.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from af.core.clock import Clock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks(
    id INTEGER PRIMARY KEY, cid BLOB NOT NULL UNIQUE, used INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON blocks(used, id, size);
CREATE TABLE IF NOT EXISTS total(bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
"""
_FILE = "cache.sqlite"
_SIDE_FILES = ("", "-wal", "-shm")
_BUSY_SECONDS = 5.0
_ROW_BYTES = 150  # about what a block costs besides its bytes
_KEEP = 0.9  # how full the cache is after it was too full
_EVICT_ROWS = 200
_USE_SECONDS = 600  # how exactly the last use is known
_USES_MAX = 1000  # noted in memory before they are written
_log = structlog.get_logger()


class DiskCache:
    """At most ``limit_bytes`` of blocks in ``directory`` (the file may be some per cent larger); 0 keeps nothing. Takes
    no more while the disk has less than ``free_bytes_min`` left.

    Methods block; call them in threads.
    """

    def __init__(self, directory: Path, *, limit_bytes: int, free_bytes_min: int, clock: Clock) -> None:
        self._path = directory / _FILE
        self._limit = limit_bytes
        self._free_min = free_bytes_min
        self._clock = clock
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._uses: dict[int, int] = {}
        if not limit_bytes:
            return
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._path.exists() and self._path.stat().st_size > 2 * limit_bytes + (64 << 20):
            self._remove_files()  # the limit was lowered: SQLite would keep the room
        try:
            self._make()
        except sqlite3.DatabaseError as error:
            _log.warning("the block cache is thrown away", reason=str(error))
            self._remove_files()
            self._make()

    def get(self, cid: CID) -> bytes | None:
        """The block, verified; `None` when it is not here."""
        if not self._limit:
            return None
        try:
            query = "SELECT id, used, data FROM blocks WHERE cid = ?"
            row = self._connection().execute(query, (cid,)).fetchone()
        except sqlite3.Error as error:
            _log.warning("the block cache cannot be read", reason=str(error))
            return None
        if row is None:
            return None
        number, used, data = row
        if not cids.matches(cid, data):
            _log.warning("a block in the cache is damaged", cid=cid.hex())
            self.remove([cid])
            return None
        if used < (now := self._now()) - _USE_SECONDS:
            self._note_use(number, now)
        return bytes(data)

    def put(self, blocks: Iterable[tuple[CID, bytes]]) -> None:
        """Keep blocks that were verified; the ones used least recently make room."""
        if not self._limit or shutil.disk_usage(self._path.parent).free < self._free_min:
            return
        now = self._now()
        rows = [(cid, now, len(data) + _ROW_BYTES, data) for cid, data in blocks if len(data) <= self._limit // 4]
        with self._writing() as connection:
            added = 0
            for row in rows:
                query = "INSERT OR IGNORE INTO blocks(cid, used, size, data) VALUES (?, ?, ?, ?)"
                added += row[2] if connection.execute(query, row).rowcount else 0
            connection.execute("UPDATE total SET bytes = bytes + ?", (added,))
            self._write_uses(connection)
            self._evict(connection)

    def remove(self, cids: Iterable[CID]) -> None:
        if not self._limit:
            return
        with self._writing() as connection:
            for cid in cids:
                row = connection.execute("DELETE FROM blocks WHERE cid = ? RETURNING size", (cid,)).fetchone()
                if row is not None:
                    connection.execute("UPDATE total SET bytes = bytes - ?", row)

    def size(self) -> int:
        """Bytes of what is kept."""
        if not self._limit:
            return 0
        return int(self._connection().execute("SELECT bytes FROM total").fetchone()[0])

    def close(self) -> None:
        """No thread may be using it."""
        while self._connections:
            self._connections.pop().close()
        self._local = threading.local()

    def _evict(self, connection: sqlite3.Connection) -> None:
        (total,) = connection.execute("SELECT bytes FROM total").fetchone()
        if total <= self._limit:
            return
        while total > self._limit * _KEEP:
            query = "SELECT id, size FROM blocks ORDER BY used, id LIMIT ?"
            oldest = connection.execute(query, (_EVICT_ROWS,)).fetchall()
            if not oldest:
                total = 0
            for number, size in oldest:
                if total <= self._limit * _KEEP:
                    break
                connection.execute("DELETE FROM blocks WHERE id = ?", (number,))
                total -= size
        connection.execute("UPDATE total SET bytes = ?", (total,))

    def _note_use(self, number: int, now: int) -> None:
        self._uses[number] = now
        if len(self._uses) >= _USES_MAX:
            with self._writing() as connection:
                self._write_uses(connection)

    def _write_uses(self, connection: sqlite3.Connection) -> None:
        uses, self._uses = self._uses, {}
        connection.executemany("UPDATE blocks SET used = ? WHERE id = ?", [(used, n) for n, used in uses.items()])

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    # The file

    def _make(self) -> None:
        with self._write_lock:
            connection = self._connection()
            connection.executescript(_SCHEMA)

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            self._connections.append(found)
            found.execute("PRAGMA page_size = 16384")
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = OFF")
            found.execute("PRAGMA journal_size_limit = 16777216")
            self._local.connection = found
        return found

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction. One that fails is given up with a line in the log: this is only a cache."""
        with self._write_lock:
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                _log.warning("the block cache cannot be written", reason=str(error))

    def _remove_files(self) -> None:
        self.close()
        for suffix in _SIDE_FILES:
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
