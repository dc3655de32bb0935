"""Which objects there are in the bucket, and what of them is in use."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Database
from af.storage.backends.s3.store.tables import Usage, batches, s3_blocks, s3_objects, write

_SIZE = sa.func.length(s3_blocks.c.cid) + s3_blocks.c.length
_FRAME = _SIZE + sa.case((_SIZE < 128, 1), (_SIZE < 16384, 2), (_SIZE < 2097152, 3), else_=4)
"""The bytes of a frame: its length prefix, CID and block (at most 16 MiB)."""


class Objects:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, numbers: Sequence[int], now: int) -> None:
        """Rows for objects that are about to be written."""
        rows = [{"number": number, "size": 0, "whole": False, "created_at": now} for number in numbers]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(sa.insert(s3_objects), rows)

        await write(self._database, work)

    async def forget_abandoned(self, before: int) -> list[int]:
        """Remove the rows of objects that were begun before then and never finished; whoever was still writing one
        finds that out when it records the blocks, and writes again."""
        old = sa.delete(s3_objects).where(s3_objects.c.whole.is_(False), s3_objects.c.created_at < before)

        async def work(connection: AsyncConnection) -> list[int]:
            return list((await connection.execute(old.returning(s3_objects.c.number))).scalars())

        return await write(self._database, work)

    async def forget_unused(self, number: int) -> bool:
        """Remove the row of a whole object that no block is in; nothing will point at it again. Whether it went."""
        used = sa.exists().where(s3_blocks.c.object == number)
        unused = sa.delete(s3_objects).where(s3_objects.c.number == number, s3_objects.c.whole.is_(True), ~used)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(unused)).rowcount == 1

        return await write(self._database, work)

    async def known(self, numbers: Sequence[int]) -> set[int]:
        """Those that have a row."""
        found: set[int] = set()
        async with self._database.looking_up() as connection:
            for batch in batches(numbers):
                query = sa.select(s3_objects.c.number).where(s3_objects.c.number.in_(batch))
                found.update((await connection.execute(query)).scalars())
        return found

    async def wasteful(self, *, small_bytes: int) -> list[Usage]:
        """Whole objects that are more than half dead, or that have fewer than ``small_bytes`` in use. Reads the whole
        index; the answer has a row for each such object."""
        query = self._usage().having(
            sa.or_(self._live * 2 < s3_objects.c.size, self._live < small_bytes),
        )
        async with self._database.looking_up() as connection:
            return [Usage(row.number, row.size, int(row.live)) for row in await connection.execute(query)]

    async def totals(self) -> tuple[int, int]:
        """(whole objects, bytes in them that no block uses)."""
        usage = self._usage().subquery()
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(usage.c.size - usage.c.live), 0))
        async with self._database.looking_up() as connection:
            count, dead = (await connection.execute(query.select_from(usage))).one()
        return count, max(0, int(dead))

    @property
    def _live(self) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(_FRAME), 0)

    def _usage(self) -> sa.Select[tuple[int, int, int]]:
        joined = s3_objects.outerjoin(s3_blocks, s3_blocks.c.object == s3_objects.c.number)
        columns = sa.select(s3_objects.c.number, s3_objects.c.size, self._live.label("live")).select_from(joined)
        return columns.where(s3_objects.c.whole.is_(True)).group_by(s3_objects.c.number, s3_objects.c.size)
