"""Schema migrations on both databases: the migrated schema is the declared one, from wherever it starts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from af import __version__
from af.core import migrations
from af.core.db import async_url, metadata, migration_engine
from af.core.errors import Error
from af.core.migrations import NewerSchema
from af.core.migrations.__main__ import write

# Revisions of a small schema of its own: the third fails after its first statement.
_REVISION = """
import sqlalchemy as sa
from alembic import op
import af.core.db

revision = "{number}"
down_revision = {before!r}

def upgrade() -> None:
{body}
"""
_BODIES = (
    """
    op.create_table("schema_history", sa.Column("revision", sa.Text, primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("applied_at", af.core.db.Timestamp(), nullable=False))
    op.create_table("parents", sa.Column("id", sa.Text, primary_key=True), sa.Column("old", sa.Text))
    op.create_table("children", sa.Column("id", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, sa.ForeignKey("parents.id", ondelete="CASCADE"), nullable=False))
""",
    """
    with op.batch_alter_table("parents") as batch:
        batch.drop_column("old")
        batch.add_column(sa.Column("new", sa.Text, nullable=False, server_default="x"))
""",
    """
    op.create_table("half", sa.Column("id", sa.Text, primary_key=True))
    op.execute("SELECT * FROM no_such_table")
""",
)


@pytest.fixture
def url(empty_database_url: str) -> URL:
    return async_url(empty_database_url, Path())


def versions_folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        number, before = f"{index + 1:04d}", f"{index:04d}" if index else None
        text = _REVISION.format(number=number, before=before, body=_BODIES[index])
        (folder / f"{number}_step.py").write_text(text)
    return folder


async def run(url: URL, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last statement, as tuples; all in one transaction."""
    engine = migration_engine(url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                done = await connection.execute(sa.text(statement))
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        await engine.dispose()


async def tables(url: URL) -> set[str]:
    engine = migration_engine(url)
    try:
        async with engine.connect() as connection:
            return set(await connection.run_sync(lambda c: sa.inspect(c).get_table_names()))
    finally:
        await engine.dispose()


def differences(connection: Connection) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


async def assert_declared_schema(url: URL) -> None:
    migrations.load_tables()
    engine = migration_engine(url)
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


async def test_an_empty_database_gets_the_declared_schema(url: URL) -> None:
    await migrations.upgrade(url)
    assert await migrations.current(url) == migrations.head()
    await assert_declared_schema(url)


@pytest.mark.parametrize("revision", migrations.revisions()[:-1])
async def test_every_earlier_revision_reaches_the_declared_schema(url: URL, revision: str) -> None:
    await migrations.upgrade(url, to=revision)
    assert await migrations.current(url) == revision
    await migrations.upgrade(url)
    await assert_declared_schema(url)


async def test_upgrading_again_changes_nothing(url: URL) -> None:
    await migrations.upgrade(url)
    before = await tables(url)
    await migrations.upgrade(url)
    assert await tables(url) == before


async def test_revisions_apply_one_after_the_other_and_keep_rows(url: URL, tmp_path: Path) -> None:
    versions = versions_folder(tmp_path / "versions", 2)
    await migrations.upgrade(url, to="0001", versions=versions)
    await run(url, "INSERT INTO parents VALUES ('p', 'o')", "INSERT INTO children VALUES ('c', 'p')")
    await migrations.upgrade(url, versions=versions)
    assert await run(url, "SELECT id, new FROM parents") == [("p", "x")]
    assert await run(url, "SELECT id FROM children") == [("c",)], "no cascade while the table is rebuilt"
    history = await run(url, "SELECT revision, program FROM schema_history ORDER BY revision")
    assert history == [("0001", __version__), ("0002", __version__)]


async def test_a_failing_revision_leaves_the_database_as_it_was(url: URL, tmp_path: Path) -> None:
    await migrations.upgrade(url, versions=versions_folder(tmp_path / "a", 1))
    before = await tables(url)
    with pytest.raises((Error, sa.exc.DBAPIError)):
        await migrations.upgrade(url, versions=versions_folder(tmp_path / "b", 3))
    assert await tables(url) == before
    assert await migrations.current(url) == "0001"
    await migrations.upgrade(url, versions=versions_folder(tmp_path / "c", 2))
    assert await migrations.current(url) == "0002"


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: URL, tmp_path: Path) -> None:
    await migrations.upgrade(url, versions=versions_folder(tmp_path / "new", 2))
    await run(url, "UPDATE schema_history SET program = '9.8.7' WHERE revision = '0002'")
    old = versions_folder(tmp_path / "old", 1)
    with pytest.raises(NewerSchema) as refused:
        await migrations.upgrade(url, versions=old)
    assert "0002" in refused.value.message
    assert "0001" in refused.value.message
    assert "9.8.7" in refused.value.hint
    assert await run(url, "SELECT version_num FROM alembic_version") == [("0002",)]
    with pytest.raises(NewerSchema):
        await migrations.check(url, versions=old)


async def test_starters_at_the_same_time_do_not_collide(url: URL, tmp_path: Path) -> None:
    versions = versions_folder(tmp_path / "versions", 2)
    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.to_thread(_upgrade_in_thread, url, versions) for _ in range(4)))
    assert await migrations.current(url) == "0002"
    assert len(await run(url, "SELECT * FROM schema_history")) == 1


def _upgrade_in_thread(url: URL, versions: Path) -> None:
    asyncio.run(migrations.upgrade(url, versions=versions))


async def test_a_start_at_the_newest_revision_does_not_import_alembic(url: URL) -> None:
    await migrations.upgrade(url)
    program = (
        "import asyncio, sys; from pathlib import Path; from af.core import db, migrations;"
        "asyncio.run(migrations.upgrade(db.async_url(sys.argv[1], Path())));"
        "assert 'alembic' not in sys.modules"
    )
    arguments = [sys.executable, "-c", program, url.render_as_string(hide_password=False)]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_revision_of_a_missing_file_is_none_and_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite"
    assert await migrations.current(async_url("", path)) is None
    assert not path.exists()


async def test_a_generated_revision_leads_to_the_declared_schema(url: URL, tmp_path: Path) -> None:
    """What a developer does after changing a table: here, from nothing."""
    versions = tmp_path / "versions"
    versions.mkdir()
    file = await write("the initial schema", versions)
    assert file.name == "0001_the_initial_schema.py"
    await migrations.upgrade(url, versions=versions)
    assert await migrations.current(url) == "0001"
    await assert_declared_schema(url)
