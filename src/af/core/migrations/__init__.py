"""Schema migrations (Alembic), forward only, the same on SQLite and PostgreSQL.

A new revision, after changing a table in some ``store.py``::

    .venv/bin/python -m af.core.migrations "add site.theme"

writes ``versions/<number>_<words>.py`` from the difference between the migrated schema and the declared one. Read it,
mend it, commit it; ``tests/conformance/test_migrations.py`` runs it on both databases from every earlier revision.

Alembic is imported only when there is something to do: a start at the newest revision costs one query.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from af.core.db import metadata
from af.core.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.py")
_UPGRADE_LOCK = 0x6166_0002  # the key of PostgreSQL's advisory lock


class NewerSchema(Unavailable):
    """The database was migrated by a newer version of the platform."""

    code = "newer_schema"
    number = 1104
    retryable = False
    explain = (
        "The database has a newer schema than this version of the platform knows. Migrations only go forward: start "
        "the newer version again, or point AF_DATA / AF_DATABASE_URL at another database."
    )


def revisions() -> list[str]:
    """All revisions that this code knows, oldest first (``0001`` …)."""
    return sorted(match[1] for name in os.listdir(VERSIONS) if (match := _FILE.fullmatch(name)))


def head() -> str:
    """The newest revision that this code knows."""
    return revisions()[-1]


def load_tables() -> None:
    """Import every ``af.<domain>.store``, so that `af.core.db.metadata` is complete."""
    import af

    import_module("af.core.events")
    import_module("af.core.leases")
    for module in iter_modules(af.__path__):
        if module.ispkg and (Path(af.__path__[0]) / module.name / "store.py").exists():
            import_module(f"af.{module.name}.store")


async def current(url: URL) -> str | None:
    """The revision that the database is at; `None` before the first migration."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()


async def upgrade(url: URL, *, to: str | None = None) -> None:
    """Bring the database to revision ``to`` (by default the newest). Safe to call from several processes at once.

    :raises NewerSchema: the database is ahead of this code.
    """
    if not revisions():  # until the first release
        load_tables()
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()
        return
    at = await current(url)
    if at is not None and at not in revisions():
        raise NewerSchema(
            f"The database is at schema revision {at}; this version knows revisions up to {head()}.",
            hint="Start the newer version of the platform, or use another data folder.",
        )
    target = to or head()
    if at is None or at < target:
        await asyncio.to_thread(_upgrade_locked, url, target)


def _current(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade_locked(url: URL, target: str) -> None:
    asyncio.run(_upgrade(url, target))


async def _upgrade(url: URL, target: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        with _file_lock(url):
            async with engine.connect() as connection:
                await connection.run_sync(_run, target)
    finally:
        await engine.dispose()


@contextmanager
def _file_lock(url: URL) -> Iterator[None]:
    """On SQLite: one migration at a time, also between processes (PostgreSQL has an advisory lock for that)."""
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    descriptor = os.open(url.database + ".migrating", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(connection: Connection, target: str) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_lock(_UPGRADE_LOCK)))
        connection.commit()
    try:
        if (_current(connection) or "") < target:
            command.upgrade(alembic_config(connection), target)
            connection.commit()
    finally:
        if connection.dialect.name == "postgresql":
            connection.rollback()
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_UPGRADE_LOCK)))
            connection.commit()


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for work on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
