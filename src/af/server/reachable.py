"""The database as `af doctor` sees it: does it answer, and does its schema fit this program?"""

from __future__ import annotations

from af.core import db, migrations
from af.core.db import Database
from af.core.migrations import NewerSchema
from af.core.settings import Settings


async def describe(settings: Settings) -> str:
    """One line about the database.

    :raises af.core.errors.Error: it does not answer, or its schema is newer than this program.
    """
    url = db.async_url(settings.database_url, settings.sqlite_path)
    database = Database(url, read_only=True)
    try:
        await database.ping()
        at, known = await migrations.current(url), migrations.revisions()
    finally:
        await database.close()
    kind = "SQLite" if database.dialect == "sqlite" else "PostgreSQL"
    if at is not None and at not in known:
        raise NewerSchema(
            f"The database is at schema revision {at}; this version knows revisions up to {known[-1]}.",
            hint="Start the newer version of the platform, or use another data folder.",
        )
    return f"{kind}, schema revision {at or 'none yet'}"
