"""Schema migrations (Alembic), forward only, the same on SQLite and PostgreSQL.

A new revision, after changing a table in some ``store.py``::

    .venv/bin/python -m af.core.migrations "add site.theme"

writes ``versions/<number>_<words>.py`` from the difference between the migrated schema and the declared one. Read it,
mend it, commit it; ``tests/conformance/test_migrations.py`` runs it on both databases from every earlier revision.

An upgrade is one transaction, whatever the number of revisions: it happens whole or not at all. Alembic is imported
only when there is something to do: a start at the newest revision costs one look.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

import af
from af import __version__
from af.core.clock import SystemClock
from af.core.db import Database, Timestamp, metadata, migration_engine, unavailable
from af.core.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.py")
_UPGRADE_LOCK = 0x6166_0002  # the key of PostgreSQL's advisory lock

schema_history = sa.Table(
    "schema_history",
    metadata,
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("program", sa.Text, nullable=False),
    sa.Column("applied_at", Timestamp, nullable=False),
)


class NewerSchema(Unavailable):
    """The database was migrated by a newer version of the platform."""

    code = "newer_schema"
    number = 1104
    retryable = False
    explain = (
        "The database has a newer schema than this version of the platform knows. Migrations only go forward: start "
        "the newer version again, or point AF_DATA / AF_DATABASE_URL at another database."
    )


def revisions(versions: Path = VERSIONS) -> list[str]:
    """All revisions that this code knows, oldest first (``0001`` …)."""
    return sorted(match[1] for name in os.listdir(versions) if (match := _FILE.fullmatch(name)))


def head(versions: Path = VERSIONS) -> str:
    """The newest revision that this code knows."""
    return max(revisions(versions))


def load_tables() -> None:
    """Import every ``af.<domain>.store``, so that `af.core.db.metadata` is complete."""
    import_module("af.core.audit")
    import_module("af.core.events")
    import_module("af.core.leases")
    import_module("af.core.limits")
    import_module("af.core.messages.rows")
    for module in iter_modules(af.__path__):
        if module.ispkg and find_spec(f"af.{module.name}.store") is not None:
            import_module(f"af.{module.name}.store")
    import_module("af.storage.backends.s3.store")  # an adapter with tables: machines that share a bucket share them


async def current(url: URL) -> str | None:
    """The revision that the database is at; `None` before the first migration.

    :raises DatabaseUnavailable: it does not answer.
    """
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None
    return (await _look(url))[0]


async def check(url: URL, *, versions: Path = VERSIONS) -> str | None:
    """The revision that the database is at, as `current`.

    :raises NewerSchema: it is ahead of this code.
    """
    at, program = await _look(url)
    if at is not None and at not in revisions(versions):
        raise NewerSchema(
            f"The database is at schema revision {at}, written by version {program or '(unknown)'}; this is version "
            f"{__version__}, which knows revisions up to {head(versions)}.",
            hint=f"Install version {program or 'that wrote it'} or newer, or use another data folder or database.",
        )
    return at


async def upgrade(url: URL, *, to: str | None = None, versions: Path = VERSIONS) -> None:
    """Bring the database to revision ``to`` (by default the newest). Safe to call from several processes at once.

    :raises NewerSchema: the database is ahead of this code.
    :raises DatabaseUnavailable: it does not answer, or another process migrates it for very long.
    """
    target = to or head(versions)
    at = await check(url, versions=versions)
    if at is not None and at >= target:
        return
    engine = migration_engine(url)
    try:
        with unavailable():
            async with engine.begin() as connection:
                await connection.run_sync(_migrate, target, versions)
    finally:
        await engine.dispose()


async def _look(url: URL) -> tuple[str | None, str | None]:
    """The database's revision, and the version of the program that brought it there."""
    database = Database(url, read_only=True)
    try:
        async with database.reading() as connection:
            return await connection.run_sync(_revision)
    finally:
        await database.close()


def _revision(connection: Connection) -> tuple[str | None, str | None]:
    tables = sa.inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        return None, None
    at: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if at is None or schema_history.name not in tables:
        return at, None
    query = sa.select(schema_history.c.program).where(schema_history.c.revision == at)
    return at, connection.execute(query).scalar()


def _migrate(connection: Connection, target: str, versions: Path) -> None:
    """In a transaction that excludes all other migrations: SQLite's by its write lock, PostgreSQL's by this one."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    if (_revision(connection)[0] or "") >= target:
        return  # another process was faster
    from alembic import command

    command.upgrade(alembic_config(connection, versions), target)
    if sa.inspect(connection).has_table(schema_history.name):
        now = SystemClock().now()
        connection.execute(schema_history.insert().values(revision=target, program=__version__, applied_at=now))
    if connection.dialect.name == "sqlite":
        broken = connection.execute(sa.text("PRAGMA foreign_key_check")).all()
        assert not broken, f"migration to {target} broke references: {broken[:3]}"


def alembic_config(connection: Connection, versions: Path = VERSIONS) -> Config:
    """Alembic's configuration for work on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config
