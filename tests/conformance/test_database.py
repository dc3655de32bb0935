"""What services rely on, the same on SQLite and PostgreSQL: transactions, snapshots, typed failures, order."""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.bell import Bell
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context, Platform, in_transaction
from af.core.db import Database, DatabaseUnavailable, Timestamp, async_url, migration_engine
from af.core.settings import load
from tests.support.ports import free_port

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
tables = sa.MetaData()
things = sa.Table(
    "things",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("at", Timestamp),
    sa.Column("data", sa.JSON),
)
parts = sa.Table("parts", tables, sa.Column("thing", sa.Text, sa.ForeignKey("things.name"), nullable=False))


@pytest.fixture
async def database(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    url = async_url(empty_database_url, tmp_path / "unused")
    engine = migration_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(tables.create_all)
    await engine.dispose()
    opened = Database(url)
    yield opened
    await opened.close()


@pytest.fixture
def ctx(database: Database, tmp_path: Path) -> Context:
    platform = Platform(load({}, data=tmp_path), database, FixedClock(NOW), Bell(tmp_path / "bell"))
    return platform.context(SYSTEM)


async def insert(connection: AsyncConnection, name: str, **values: object) -> None:
    await connection.execute(things.insert().values(name=name, **values))


async def names(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.execute(sa.select(things.c.name).order_by(things.c.name))).scalars())


async def test_a_transaction_commits_at_its_end(database: Database) -> None:
    async with database.writing() as connection:
        await insert(connection, "a")
        assert await names(database) == [], "not before"
    assert await names(database) == ["a"]


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.writing() as connection:
            await insert(connection, "a")
            raise RuntimeError
    assert await names(database) == []


async def test_a_cancelled_transaction_leaves_nothing_and_no_lock(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.writing() as connection:
            await insert(connection, "a")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(5), database.writing() as connection:
        await insert(connection, "b")
    assert await names(database) == ["b"]


async def test_cancelling_at_any_moment_never_breaks_later_writes(database: Database) -> None:
    async def write(name: str) -> None:
        async with database.writing() as connection:
            await insert(connection, name)

    for attempt in range(40):
        task = asyncio.create_task(write(f"cancelled-{attempt}"))
        for _ in range(attempt):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    async with asyncio.timeout(5):
        await write("last")
    assert "last" in await names(database)


async def test_two_hundred_concurrent_writers_lose_no_update(database: Database) -> None:
    async with database.writing() as connection:
        await insert(connection, "a")

    async def add() -> None:
        async with database.writing() as connection:
            query = sa.select(things.c.count).with_for_update()
            count = (await connection.execute(query)).scalar_one()
            await connection.execute(things.update().values(count=count + 1))

    await asyncio.gather(*(add() for _ in range(200)))
    async with database.reading() as connection:
        assert (await connection.execute(sa.select(things.c.count))).scalar_one() == 200


_WRITER = """
import asyncio, sys
from pathlib import Path
import sqlalchemy as sa
from af.core.db import Database, async_url

async def main():
    database = Database(async_url(sys.argv[1], Path()))
    for number in range(25):
        async with database.writing() as connection:
            await connection.execute(sa.text(f"INSERT INTO things (name) VALUES ('{sys.argv[2]}-{number}')"))
    await database.close()

asyncio.run(main())
"""


async def test_writers_in_other_processes_wait_for_each_other(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    processes = [await create_subprocess_exec(sys.executable, "-c", _WRITER, url, str(n)) for n in range(3)]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(process.wait() for process in processes)) == [0, 0, 0]
    assert len(await names(database)) == 75


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    async with database.writing() as connection:
        await insert(connection, "a")
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(names(database) for _ in range(20))) == [[]] * 20


async def test_a_taken_name_is_an_integrity_error_not_an_outage(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with database.writing() as connection:
            await insert(connection, "a")
            await insert(connection, "a")
    assert await names(database) == []


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with database.writing() as connection:
            await connection.execute(parts.insert().values(thing="absent"))


@pytest.mark.parametrize("offset_hours", [0, 2, -7])
async def test_times_come_back_aware_and_exact(database: Database, offset_hours: int) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=offset_hours)))
    async with database.writing() as connection:
        await insert(connection, "a", at=local, data={"k": [1, None, "é"]})
        await insert(connection, "b")
    async with database.reading() as connection:
        first, second = (await connection.execute(sa.select(things).order_by(things.c.name))).all()
    assert first.at == NOW
    assert first.at.utcoffset() is not None
    assert first.data == {"k": [1, None, "é"]}
    assert second.at is None
    async with database.reading() as connection:
        query = sa.select(things.c.name).where(things.c.at < NOW + timedelta(microseconds=1))
        assert list((await connection.execute(query)).scalars()) == ["a"]


async def test_errors_of_the_body_are_not_taken_for_the_databases(database: Database) -> None:
    for error in (ConnectionResetError(), TimeoutError()):
        with pytest.raises(type(error)):
            async with database.reading():
                raise error


async def test_an_absent_database_is_a_typed_error(database_kind: str, tmp_path: Path) -> None:
    missing = {
        "sqlite": f"sqlite:///{tmp_path}/absent/folder/db.sqlite",
        "postgresql": f"postgresql://postgres@127.0.0.1:{free_port()}/db",
    }
    absent = Database(async_url(missing[database_kind], Path()))
    with pytest.raises(DatabaseUnavailable):
        await absent.ping()
    with pytest.raises(DatabaseUnavailable):
        async with absent.writing():
            pass
    await absent.close()
    async with asyncio.timeout(5):  # aiosqlite's thread of a failed connection outlives it for a moment
        while any("_connection_worker_thread" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.01)


async def test_a_read_only_database_refuses_writes(database: Database, database_kind: str) -> None:
    if database_kind == "postgresql":
        pytest.skip("there the role decides")
    reader = Database(database.url, read_only=True)
    with pytest.raises(DatabaseUnavailable):
        async with reader.writing() as connection:
            await insert(connection, "a")
    await reader.ping()
    await reader.close()


async def test_a_context_joins_its_own_transaction(ctx: Context) -> None:
    assert not in_transaction()
    async with ctx.transaction() as outer:
        async with ctx.transaction() as inner, ctx.reading() as reader:
            assert inner is outer
            assert reader is outer
            assert in_transaction()
        await insert(outer, "a")
    assert not in_transaction()
    assert await names(ctx.platform.database) == ["a"]


async def test_a_failing_inner_part_undoes_the_whole(ctx: Context) -> None:
    with pytest.raises(RuntimeError):
        async with ctx.transaction() as tx:
            await insert(tx, "a")
            async with ctx.transaction():
                raise RuntimeError
    assert await names(ctx.platform.database) == []


async def test_tasks_do_not_share_a_transaction(ctx: Context) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with ctx.transaction():
            entered.set()
            await go.wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    assert not in_transaction()
    go.set()
    await task


async def test_work_before_the_commit_comes_last_and_bells_ring_after_it(ctx: Context) -> None:
    bell = ctx.platform.bell
    rung = bell.read("events")
    seen: list[object] = []

    async def last(connection: AsyncConnection) -> None:
        seen.append((await connection.execute(sa.select(sa.func.count()).select_from(things))).scalar_one())
        seen.append(bell.read("events") == rung)
        await insert(connection, "z")

    async with ctx.transaction() as tx:
        ctx.before_commit(last, order="last")
        ctx.ring("events")
        await insert(tx, "a")
        assert seen == []
    assert seen == [1, True]
    assert bell.read("events") != rung
    assert await names(ctx.platform.database) == ["a", "z"]


async def test_a_rolled_back_transaction_rings_no_bell(ctx: Context) -> None:
    rung = ctx.platform.bell.read("work")
    with pytest.raises(RuntimeError):
        async with ctx.transaction():
            ctx.ring("work")
            raise RuntimeError
    assert ctx.platform.bell.read("work") == rung
    ctx.ring("work")
    assert ctx.platform.bell.read("work") != rung
