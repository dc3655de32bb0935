"""The database: SQLite (WAL) or PostgreSQL behind one small class.

Stores declare their tables on `metadata` and receive a connection; they never commit. Services open
`Context.transaction` (one writer at a time on SQLite, ``BEGIN IMMEDIATE``) or `Context.reading`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, event, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as dialect_of_sqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.types import DateTime, TypeDecorator

from af.core import sqlite
from af.core.errors import Unavailable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_SQLITE_READERS = 4
_POSTGRES_POOL = 10
_BUSY_MILLISECONDS = 10_000
_MIGRATION_MILLISECONDS = 300_000
"""How long a starter waits while another one migrates."""
_POOL_SECONDS = 10


class Timestamp(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone, so it is removed on the way in and restored on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "times are always aware"
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """One step instead of SQLAlchemy's three: lists read a thousand of these."""
        return _moment if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _moment(text: str | None) -> datetime | None:
    """What SQLite keeps, ``2026-01-01 12:00:00.000000`` in UTC."""
    return None if text is None else datetime.fromisoformat(text + "+00:00")


class DatabaseUnavailable(Unavailable):
    """The database refused or did not answer."""

    code = "database_unavailable"
    number = 1102
    explain = "The database could not be reached or is locked by other work. Check AF_DATABASE_URL and `af doctor`."


def async_url(database_url: str, sqlite_path: Path) -> URL:
    """The SQLAlchemy URL for the ``AF_DATABASE_URL`` setting; empty means the SQLite file."""
    if not database_url:
        return URL.create("sqlite+aiosqlite", database=str(sqlite_path))
    url = make_url(database_url)
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+asyncpg")
    if url.drivername == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    return url


class Database:
    """Connections to one database. ``dialect`` is ``sqlite`` or ``postgresql``."""

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        self.url = url
        self.dialect = url.get_backend_name()
        self._write_lock = asyncio.Lock()
        if self.dialect == "sqlite":
            self._readers = _sqlite_engine(url, pool_size=_SQLITE_READERS, read_only=True)
            self._writer = self._readers if read_only else _sqlite_engine(url, pool_size=1, read_only=False)
            self._lookups = self._readers.execution_options(single=True)
        else:
            self._writer = self._readers = create_async_engine(
                url,
                pool_size=_POSTGRES_POOL,
                max_overflow=0,
                pool_pre_ping=True,
                pool_timeout=_POOL_SECONDS,
            )
            self._lookups = self._readers.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reads: one consistent snapshot on SQLite, committed rows on PostgreSQL; no write lock.

        :raises DatabaseUnavailable: no connection, or it was lost.
        """
        with unavailable():
            async with _connected(self._readers) as connection:
                yield connection

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one reading statement, without the cost of a transaction around it.

        :raises DatabaseUnavailable: no connection, or it was lost.
        """
        with unavailable():
            async with _connected(self._lookups) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block and rolls back if it raises.

        :raises DatabaseUnavailable: no connection, it was lost, or (SQLite) others kept the write lock for too long.
        """
        turn = self._write_lock if self.dialect == "sqlite" else contextlib.nullcontext()
        with unavailable():
            async with turn, _connected(self._writer) as connection, connection.begin():
                yield connection

    async def ping(self) -> None:
        """Nothing, or `DatabaseUnavailable`."""
        async with self.reading() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        await self._readers.dispose()
        if self._writer is not self._readers:
            await self._writer.dispose()


def migration_engine(url: URL) -> AsyncEngine:
    """An engine for schema changes: one connection at a time, real transactions, and on SQLite no foreign keys, because
    there a table is altered by copying it and dropping the old one (https://sqlite.org/lang_altertable.html, 7)."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, pool_size=1, read_only=False, migrating=True)
    return create_async_engine(url, poolclass=NullPool)


def _sqlite_engine(url: URL, *, pool_size: int, read_only: bool, migrating: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        url,
        async_creator=partial(sqlite.connect, url.database or ":memory:"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions by itself: `begin` below does
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_MIGRATION_MILLISECONDS if migrating else _BUSY_MILLISECONDS}")
        cursor.execute(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        else:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        if not read_only:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif not connection.get_execution_options().get("single", False):
            connection.connection.driver_connection.begins_with_next = True

    return engine


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (OSError, TimeoutError, PoolTimeout) as error:
            raise DatabaseUnavailable("The database did not answer.", detail=str(error)) from error
        yield connection


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Turn "cannot connect", "locked" and "disk full" into an `Error`; constraint violations pass through."""
    try:
        yield
    except OperationalError as error:
        raise DatabaseUnavailable("The database is not available.", detail=str(error.orig)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("The database connection was lost.", detail=str(error.orig)) from error
        raise


def insert_into(connection: AsyncConnection, table: Table) -> postgresql.Insert | dialect_of_sqlite.Insert:
    """An ``INSERT`` with ``ON CONFLICT``, which both databases have in the same form."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return dialect_of_sqlite.insert(table)
