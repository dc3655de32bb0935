"""The database and the Kubo node as `af doctor` sees them: do they answer, and does the schema fit this program?"""

from __future__ import annotations

from af.core import db, migrations
from af.core.db import Database
from af.core.http import Client
from af.core.migrations import NewerSchema
from af.core.settings import Settings
from af.storage.backends.kubo_rpc import KuboRpc


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


async def ask_kubo(settings: Settings, timeout_seconds: float) -> tuple[str, int]:
    """(version, peers) of the node that the settings name.

    :raises af.storage.errors.BlockServiceFailed: it does not answer, or refuses us.
    """
    rpc = KuboRpc(settings.kubo_rpc_url, Client(), token=settings.kubo_rpc_token)
    return await rpc.version(timeout_seconds=timeout_seconds), await rpc.peers(timeout_seconds=timeout_seconds)
