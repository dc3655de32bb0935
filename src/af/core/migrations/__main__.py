"""Write a new revision from the difference between the migrated and the declared schema: see the package's text."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL, Connection

from af.core import migrations
from af.core.db import migration_engine


async def write(message: str, versions: Path = migrations.VERSIONS) -> Path:
    """The new file in ``versions``: it gets the first free number, and follows the revisions before that.

    So a revision that was not released yet is made anew by removing its file, whatever was written by hand after it.
    """
    known = migrations.revisions(versions)
    index = next((i for i, number in enumerate(known) if int(number) != i + 1), len(known))
    number = f"{index + 1:04d}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in versions.glob("*.py"):
            if file.name[:4] < number:
                shutil.copy(file, folder)
        url = URL.create("sqlite+aiosqlite", database=str(folder / "empty.sqlite"))
        if index:
            await migrations.upgrade(url, versions=folder)
        engine = migration_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(_write, message, number, folder)
        await engine.dispose()
        [file] = folder.glob(f"{number}_*.py")
        return Path(shutil.copy(file, versions))


def _write(connection: Connection, message: str, number: str, versions: Path) -> None:
    from alembic import command

    config = migrations.alembic_config(connection, versions)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    command.revision(config, message=message, autogenerate=True, rev_id=number, version_path=str(versions))


if __name__ == "__main__":
    asyncio.run(write(" ".join(sys.argv[1:]) or sys.exit("usage: python -m af.core.migrations MESSAGE")))
