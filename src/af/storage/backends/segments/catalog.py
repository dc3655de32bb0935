"""What the index knows about segments: how far each is covered, what lives in it, what is retired."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from af.protocols.ipfs.cid import CID
from af.storage.backends.index import BlockIndex, Placement, as_storage_error

# The bytes of a frame: its length prefix, CID and block. Blocks are at most 16 MiB, so the prefix has 1 to 4 bytes.
_FRAME = """(length(cid) + length + CASE WHEN length(cid) + length < 128 THEN 1 WHEN length(cid) + length < 16384 THEN 2
    WHEN length(cid) + length < 2097152 THEN 3 ELSE 4 END)"""


class State(IntEnum):
    """``SEALED`` segments are never written on (damaged); ``RETIRED`` ones hold nothing that is needed. A retired
    number stays in the table, so that it is not given to another file."""

    OPEN = 0
    SEALED = 1
    RETIRED = 2


class Segment(NamedTuple):
    end: int
    state: State


class Move(NamedTuple):
    """A block copied from one place to another."""

    cid: CID
    old: Placement
    new: Placement


class Catalog:
    """The segments table, and questions about blocks by segment."""

    def __init__(self, index: BlockIndex) -> None:
        self._index = index

    def segment(self, number: int) -> Segment | None:
        with as_storage_error():
            row = (
                self._index.connection()
                .execute("SELECT end, state FROM segments WHERE number = ?", (number,))
                .fetchone()
            )
        return None if row is None else Segment(row[0], State(row[1]))

    def last_number(self) -> int:
        with as_storage_error():
            row = self._index.connection().execute("SELECT max(number) FROM segments").fetchone()
        return row[0] or 0

    def live_bytes(self) -> dict[int, int]:
        """Bytes of frames that the index points to, by segment. Reads the whole index."""
        with as_storage_error():
            rows = (
                self._index.connection()
                .execute(f"SELECT segment, sum({_FRAME}) FROM blocks WHERE segment IS NOT NULL GROUP BY segment")  # noqa: S608 -- our own constant
                .fetchall()
            )
        return dict(rows)

    def blocks_in(self, number: int) -> list[Placement]:
        """In file order. Reads the whole index."""
        with as_storage_error():
            rows = (
                self._index.connection()
                .execute(
                    "SELECT cid, segment, offset, length FROM blocks WHERE segment = ? AND corrupt = 0 ORDER BY offset",
                    (number,),
                )
                .fetchall()
            )
        return [Placement(*row) for row in rows]

    def recovered(
        self, number: int, good: Sequence[Placement], corrupt: Sequence[Placement], end: int, state: State, now: int
    ) -> None:
        """Index what a scan found; blocks that are known already stay where they are."""
        with self._index.writing() as connection:
            connection.executemany(
                "INSERT INTO blocks(cid, segment, offset, length, touched_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT(cid) DO UPDATE SET segment = excluded.segment, offset = excluded.offset, corrupt = 0"
                " WHERE corrupt = 1",
                [(*placement, now) for placement in good],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO blocks(cid, segment, offset, length, touched_at, corrupt)"
                " VALUES (?, ?, ?, ?, ?, 1)",
                [(*placement, now) for placement in corrupt],
            )
            connection.execute(
                "INSERT INTO segments(number, end, state) VALUES (?, ?, ?)"
                " ON CONFLICT(number) DO UPDATE SET end = excluded.end, state = excluded.state",
                (number, end, int(state)),
            )

    def move(self, moves: Sequence[Move], segment_end: tuple[int, int]) -> None:
        """Point the index at durable copies; a block that was swept or moved meanwhile is left alone."""
        with self._index.writing() as connection:
            connection.executemany(
                "UPDATE blocks SET segment = ?, offset = ? WHERE cid = ? AND segment = ? AND offset = ?",
                [(m.new.segment, m.new.offset, m.cid, m.old.segment, m.old.offset) for m in moves],
            )
            connection.execute(
                "INSERT INTO segments(number, end) VALUES (?, ?) ON CONFLICT(number) DO UPDATE SET end = excluded.end",
                segment_end,
            )

    def retire(self, number: int) -> bool:
        """Mark the segment as not needed, unless a block still lives in it (a damaged one, say)."""
        with self._index.writing() as connection:
            if connection.execute("SELECT 1 FROM blocks WHERE segment = ? LIMIT 1", (number,)).fetchone():
                return False
            connection.execute(
                "INSERT INTO segments(number, end, state) VALUES (?, 0, ?)"
                " ON CONFLICT(number) DO UPDATE SET state = excluded.state",
                (number, int(State.RETIRED)),
            )
        return True
