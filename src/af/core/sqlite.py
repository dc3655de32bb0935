"""SQLite connections for SQLAlchemy that visit their thread once per statement.

aiosqlite runs each call on a thread of the connection, and SQLAlchemy makes four calls for a statement: open a cursor,
execute, fetch, close. Each is a hand-over to the thread and back, about 50 µs, and on a busy event loop a wait for the
interpreter lock each time. Here the four are one: rows are fetched where the statement runs. Measured by
``bench/deploy.py`` and ``bench/graphql.py``; see ``docs/decisions/0011-sqlite-one-trip.md``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

Row = tuple[Any, ...]


class OneTripConnection(aiosqlite.Connection):
    """aiosqlite's connection with `OneTripCursor` for cursors. A transaction that only reads costs no trip to begin:
    its BEGIN goes with the first statement (where SQLite takes the snapshot anyhow)."""

    begins_with_next = False

    def cursor(self) -> OneTripCursor:  # type: ignore[override]
        return OneTripCursor(self)

    async def rollback(self) -> None:
        self.begins_with_next = False
        if self.in_transaction:
            await super().rollback()


class OneTripCursor:
    """What SQLAlchemy asks of an aiosqlite cursor. All rows of a statement are in memory: queries have limits."""

    arraysize = 1

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        return await self._run(lambda connection: connection.execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> Self:
        return await self._run(lambda connection: connection.executemany(sql, parameters))

    async def fetchone(self) -> Row | None:
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        count = size or self.arraysize
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken

    async def fetchall(self) -> list[Row]:
        taken, self._rows = self._rows, []
        return taken

    async def close(self) -> None:
        self._rows = []

    async def _run(self, statement: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> Self:
        begins, self._connection.begins_with_next = self._connection.begins_with_next, False

        def in_thread() -> None:
            if begins:
                self._connection._conn.execute("BEGIN")
            cursor = statement(self._connection._conn)
            try:
                self._rows = cursor.fetchall() if cursor.description else []
                self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        await self._connection._execute(in_thread)  # type: ignore[no-untyped-call]
        return self


async def connect(path: str) -> OneTripConnection:
    """Open the database at ``path`` (``:memory:`` too)."""
    connection = OneTripConnection(partial(sqlite3.connect, path), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a forgotten connection must not keep the process alive
    await connection
    return connection
