"""Write a new revision from the difference between the migrated and the declared schema: see the package's text."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import create_async_engine

from af.core import migrations


def _write(connection: Connection, message: str) -> None:
    from alembic import command

    known = migrations.revisions()
    number = f"{int(known[-1]) + 1 if known else 1:04d}"
    config = migrations.alembic_config(connection)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    command.revision(config, message=message, autogenerate=True, rev_id=number)


async def main(message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite+aiosqlite", database=str(Path(folder) / "empty.sqlite"))
        if migrations.revisions():
            await migrations.upgrade(url)
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(_write, message)
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or sys.exit("usage: python -m af.core.migrations MESSAGE")))
