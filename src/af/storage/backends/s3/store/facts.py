"""Single values: the store's identity, the time that machines share, and claims that one machine holds at a time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Database, insert_into
from af.storage.backends.s3.store.tables import s3_facts, write


class Facts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str:
        """Empty for nothing."""
        query = sa.select(s3_facts.c.value).where(s3_facts.c.name == name)
        async with self._database.looking_up() as connection:
            return (await connection.execute(query)).scalar() or ""

    async def set(self, name: str, value: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            insert = insert_into(connection, s3_facts).values(name=name, value=value)
            await connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

        await write(self._database, work)

    async def set_first(self, name: str, value: str) -> str:
        """Set it unless it has a value; returns what it is then."""

        async def work(connection: AsyncConnection) -> None:
            insert = insert_into(connection, s3_facts).values(name=name, value=value)
            await connection.execute(insert.on_conflict_do_nothing(index_elements=["name"]))

        await write(self._database, work)
        return await self.get(name)

    async def remove(self, name: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(sa.delete(s3_facts).where(s3_facts.c.name == name))

        await write(self._database, work)

    async def claim(self, name: str, holder: str, *, until: int, now: int) -> bool:
        """Hold ``name`` until then (milliseconds), or longer if it is ours already; `False` while another holds it."""

        async def work(connection: AsyncConnection) -> bool:
            insert = insert_into(connection, s3_facts).values(name=name, value=holder, expires_at=until)
            free = sa.or_(s3_facts.c.value == holder, s3_facts.c.expires_at < now)
            upsert = insert.on_conflict_do_update(
                index_elements=["name"], set_={"value": holder, "expires_at": until}, where=free
            )
            return (await connection.execute(upsert.returning(s3_facts.c.name))).first() is not None

        return await write(self._database, work)

    async def release(self, name: str, holder: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            ours = (s3_facts.c.name == name, s3_facts.c.value == holder)
            await connection.execute(sa.delete(s3_facts).where(*ours))

        await write(self._database, work)

    async def database_time(self) -> datetime | None:
        """The clock that all machines share; `None` on SQLite, which is one machine."""
        async with self._database.looking_up() as connection:
            if connection.dialect.name != "postgresql":
                return None
            now: datetime = (await connection.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
            return now
