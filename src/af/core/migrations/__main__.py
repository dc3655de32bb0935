"""Write a new revision from the difference between the migrated and the declared schema: see the package's text."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL, Connection

from af.core import migrations
from af.core.db import migration_engine


async def write(message: str, versions: Path = migrations.VERSIONS) -> Path:
    """The new file in ``versions``: its number follows the newest there."""
    known = migrations.revisions(versions)
    number = f"{int(known[-1]) + 1 if known else 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite+aiosqlite", database=str(Path(folder) / "empty.sqlite"))
        if known:
            await migrations.upgrade(url, versions=versions)
        engine = migration_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(_write, message, number, versions)
        await engine.dispose()
    [file] = versions.glob(f"{number}_*.py")
    return file


def _write(connection: Connection, message: str, number: str, versions: Path) -> None:
    from alembic import command

    config = migrations.alembic_config(connection, versions)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    command.revision(config, message=message, autogenerate=True, rev_id=number, version_path=str(versions))


if __name__ == "__main__":
    asyncio.run(write(" ".join(sys.argv[1:]) or sys.exit("usage: python -m af.core.migrations MESSAGE")))
