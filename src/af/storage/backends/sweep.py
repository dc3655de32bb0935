"""The index's part of garbage collection: remember what is reachable, delete what is not.

Why no block that somebody relies on is deleted, while uploads and deployments go on in other processes. Let *started*
be the time before the roots were read, and *cutoff* = started - grace (`untouched_since`):

1. A deployment first records a lease (a root row), commits it, and then touches every block of its DAG
   (`BlockStore.missing`); only then it commits the root row that lasts.
2. If the lease was committed before the roots were read, the DAG is marked as reachable and nothing of it goes.
3. Otherwise every touch happens after *started*, so ``touched_at >= started >= cutoff``. Each DELETE tests
   ``touched_at < cutoff`` itself, in the same statement that removes the row. A touch that commits before the DELETE
   saves the block; one that comes after it finds no row, so `missing` reports the block and the deployment does not
   go on. There is no moment between the test and the removal.
4. `put` of a block that is there touches it in the transaction that acknowledges it, and writes the bytes again if
   the row is gone by then.

The grace period is thus for comfort (uploads that take long before their deployment begins), not for safety.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from af.protocols.ipfs.cid import CID
from af.storage.backends.index import BlockIndex, as_storage_error
from af.storage.errors import StoreBusy

_BATCH_BLOCKS = 1000  # removed in one transaction: writers wait for it, and readers for the Python in it
_UNREACHABLE = """touched_at < ? AND cid >= ? AND cid < ?
    AND NOT EXISTS (SELECT 1 FROM temp.reachable AS r WHERE r.cid = blocks.cid)"""
_LOOK = f"SELECT cid, segment, length FROM blocks WHERE {_UNREACHABLE}"  # noqa: S608 -- our own constants
_REMOVE = f"DELETE FROM blocks WHERE {_UNREACHABLE} RETURNING cid, segment, length"  # noqa: S608
_AFTER_ALL = b"\xff" * 256


@contextmanager
def only_one(directory: Path, work: Literal["collect", "scrub"] = "collect") -> Iterator[None]:
    """Collections exclude each other, and so do scrubs, between processes too. :raises StoreBusy:"""
    descriptor = os.open(directory / f"{work}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            named = "garbage collection" if work == "collect" else "scrub"
            raise StoreBusy(f"Another {named} is running.", hint="Wait for it to end.") from None
        yield
    finally:
        os.close(descriptor)


class Removed(NamedTuple):
    cid: CID
    segment: int | None
    length: int


class Sweep:
    """One collection; make it, `mark`, then `sweep`, then `close`, from any one thread at a time.

    The reachable set is a temporary table on disk, so memory stays flat for any number of blocks.
    """

    def __init__(self, index: BlockIndex) -> None:
        self._index = index
        self._connection = index.open_connection()
        with as_storage_error():
            self._connection.execute("PRAGMA temp_store = FILE")
            self._connection.execute("CREATE TEMP TABLE reachable(cid BLOB PRIMARY KEY) WITHOUT ROWID")

    def mark(self, cids: Sequence[CID]) -> None:
        with as_storage_error():
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR IGNORE INTO reachable VALUES (?)", [(cid,) for cid in cids])
            self._connection.execute("COMMIT")

    def sweep(self, cutoff: int, *, dry_run: bool) -> Iterator[list[Removed]]:
        """Batches of rows that are gone (or, dry, would go)."""
        start = b""
        while start < _AFTER_ALL:
            end = self._end_of_batch(start)
            yield self._look(cutoff, start, end) if dry_run else self._remove(cutoff, start, end)
            start = end

    def close(self) -> None:
        self._index.close_connection(self._connection)

    def _end_of_batch(self, start: bytes) -> bytes:
        with as_storage_error():
            row = self._connection.execute(
                "SELECT cid FROM blocks WHERE cid >= ? ORDER BY cid LIMIT 1 OFFSET ?", (start, _BATCH_BLOCKS)
            ).fetchone()
        return _AFTER_ALL if row is None else row[0]

    def _look(self, cutoff: int, start: bytes, end: bytes) -> list[Removed]:
        with as_storage_error():
            rows = self._connection.execute(_LOOK, (cutoff, start, end)).fetchall()
        return [Removed(*row) for row in rows]

    def _remove(self, cutoff: int, start: bytes, end: bytes) -> list[Removed]:
        with self._index.writing(self._connection) as connection:
            rows = connection.execute(_REMOVE, (cutoff, start, end)).fetchall()
            connection.execute(
                "DELETE FROM owners WHERE cid >= ? AND cid < ?"
                " AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocks.cid = owners.cid)",
                (start, end),
            )
        return [Removed(*row) for row in rows]
