"""Where blocks are, who may see them, when they were last wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Database, insert_into
from af.protocols.ipfs.cid import CID
from af.storage.backends.s3.store.tables import (
    Forgotten,
    Location,
    Move,
    Placement,
    Removed,
    Stored,
    batches,
    lock,
    s3_blocks,
    s3_objects,
    s3_owners,
    write,
)
from af.storage.models import BlockStats

_PAGE_ROWS = 1000
_columns = s3_blocks.c
_LOCATE = sa.select(_columns.cid, _columns.object, _columns.offset, _columns.length, _columns.public, _columns.corrupt)


class Blocks:
    def __init__(self, database: Database) -> None:
        self._database = database

    # Reading

    async def locate(self, wanted: Iterable[CID]) -> dict[CID, Location]:
        found: dict[CID, Location] = {}
        async with self._database.looking_up() as connection:
            for batch in batches(wanted):
                rows = await connection.execute(_LOCATE.where(_columns.cid.in_(batch)))
                found.update((CID(row[0]), Location(*row[1:])) for row in rows)
        return found

    async def visible(self, wanted: Iterable[CID], scope: str) -> dict[CID, int]:
        """Which of ``wanted`` the scope sees (undamaged), with the time of their last touch."""
        owned = sa.exists().where(s3_owners.c.cid == _columns.cid, s3_owners.c.scope == scope)
        query = sa.select(_columns.cid, _columns.touched_at).where(
            _columns.corrupt.is_(False), sa.or_(_columns.public.is_(True), owned)
        )
        found: dict[CID, int] = {}
        async with self._database.looking_up() as connection:
            for batch in batches(wanted):
                rows = await connection.execute(query.where(_columns.cid.in_(batch)))
                found.update((CID(row.cid), row.touched_at) for row in rows)
        return found

    async def page(self, after: bytes, limit: int) -> list[CID]:
        """CIDs in their order, those behind ``after``."""
        query = sa.select(_columns.cid).where(_columns.cid > after).order_by(_columns.cid).limit(limit)
        async with self._database.looking_up() as connection:
            return [CID(row.cid) for row in await connection.execute(query)]

    async def in_object(self, number: int) -> list[Placement]:
        """The blocks of an object in its order, damaged ones too."""
        query = sa.select(_columns.cid, _columns.object, _columns.offset, _columns.length)
        query = query.where(_columns.object == number).order_by(_columns.offset).limit(_PAGE_ROWS)
        found: list[Placement] = []
        async with self._database.looking_up() as connection:
            while True:  # in pages: tens of thousands of rows at once would keep the event loop
                after = found[-1].offset if found else -1
                page = (await connection.execute(query.where(_columns.offset > after))).all()
                found += [Placement(CID(row[0]), *row[1:]) for row in page]
                if len(page) < _PAGE_ROWS:
                    return found

    async def used_objects(self, after: int, limit: int) -> list[int]:
        """Numbers of objects that blocks are in, in order, those behind ``after``; negative for the first page."""
        query = sa.select(_columns.object).where(_columns.object > after).distinct().order_by(_columns.object)
        async with self._database.looking_up() as connection:
            return list((await connection.execute(query.limit(limit))).scalars())

    async def stats(self) -> BlockStats:
        """Figures of the blocks alone; ``segments`` and ``dead_bytes`` are for `Objects` to add."""
        query = sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(_columns.length), 0),
            sa.func.count().filter(_columns.public.is_(True)),
            sa.func.count().filter(_columns.corrupt.is_(True)),
        ).select_from(s3_blocks)
        async with self._database.looking_up() as connection:
            blocks, size, public, corrupt = (await connection.execute(query)).one()
        return BlockStats(
            blocks=blocks,
            bytes=int(size),
            public_blocks=public,
            corrupt_blocks=corrupt,
            segments=0,
            dead_bytes=0,
        )

    # Writing

    async def record(
        self, objects: Sequence[Stored], placements: Sequence[Placement], known: Sequence[CID], scope: str, now: int
    ) -> set[CID]:
        """Objects are whole: add their blocks, touch ``known`` ones, note that ``scope`` has shown them all.

        Returns those of ``known`` that a collection has taken, or a scrub has found damaged, in the meantime: they must
        be written after all. :raises Forgotten: an object's row has gone
        """

        async def work(connection: AsyncConnection) -> set[CID]:
            await _close_objects(connection, objects)
            await _place(connection, placements, now)
            vanished: set[CID] = set()
            for batch in batches(sorted(known)):
                found = await lock(connection, batch, whole=True)
                await _touch(connection, found, now)
                vanished.update(set(batch) - found)
            shown = sorted({*(placement.cid for placement in placements), *known})
            await _own(connection, shown, scope)
            return vanished

        return await write(self._database, work)

    async def touch(self, wanted: Sequence[CID], now: int) -> bool:
        """Whether all of them were still there."""
        if not wanted:
            return True

        async def work(connection: AsyncConnection) -> bool:
            whole = True
            for batch in batches(sorted(wanted)):
                found = await lock(connection, batch, whole=False)
                await _touch(connection, found, now)
                whole = whole and len(found) == len(batch)
            return whole

        return await write(self._database, work)

    async def grant(self, wanted: Sequence[CID], scope: str | None) -> None:
        """Visible to ``scope``, or to everybody (who owned it then no longer matters)."""

        async def work(connection: AsyncConnection) -> None:
            if scope is not None:
                await _own(connection, sorted(set(wanted)), scope)
                return
            for batch in batches(sorted(set(wanted))):
                private = sa.select(_columns.cid).where(_columns.cid.in_(batch), _columns.public.is_(False))
                rows = await connection.execute(private.order_by(_columns.cid).with_for_update())
                found = list(rows.scalars())
                if found:
                    await connection.execute(sa.update(s3_blocks).where(_columns.cid.in_(found)).values(public=True))
                    await connection.execute(sa.delete(s3_owners).where(s3_owners.c.cid.in_(found)))

        if wanted:
            await write(self._database, work)

    async def set_corrupt(self, placement: Placement, corrupt: bool) -> None:
        """Mark the block, if it is still where it was read."""
        place = (
            _columns.cid == placement.cid,
            _columns.object == placement.object,
            _columns.offset == placement.offset,
        )

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(sa.update(s3_blocks).where(*place).values(corrupt=corrupt))

        await write(self._database, work)

    # Collecting

    async def unwanted(self, wanted: Sequence[CID], cutoff: int) -> list[Removed]:
        """Those that were not touched since ``cutoff``: what `remove` would take."""
        query = sa.select(_columns.cid, _columns.length).where(_columns.touched_at < cutoff)
        found: list[Removed] = []
        async with self._database.looking_up() as connection:
            for batch in batches(wanted):
                rows = await connection.execute(query.where(_columns.cid.in_(batch)))
                found += [Removed(CID(row.cid), row.length) for row in rows]
        return found

    async def remove(self, wanted: Sequence[CID], cutoff: int) -> list[Removed]:
        """Remove the rows of those that were not touched since ``cutoff``. The test is part of the statement that
        removes: a touch either comes before it and saves the block, or finds no row."""
        gone = sa.delete(s3_blocks).where(_columns.touched_at < cutoff).returning(_columns.cid, _columns.length)
        found: list[Removed] = []
        for batch in batches(wanted):

            async def work(connection: AsyncConnection, batch: list[CID] = batch) -> list[Removed]:
                rows = await connection.execute(gone.where(_columns.cid.in_(batch)))
                removed = [Removed(CID(row.cid), row.length) for row in rows]
                if removed:
                    theirs = s3_owners.c.cid.in_([row.cid for row in removed])
                    await connection.execute(sa.delete(s3_owners).where(theirs))
                return removed

            found += await write(self._database, work)
        return found

    async def move(self, target: Stored, moves: Sequence[Move]) -> None:
        """The object ``target`` is whole: point the index at the copies in it. A block that was removed or moved
        meanwhile is left alone. ``moves`` are in the order of their CIDs. :raises Forgotten:"""
        bound = sa.bindparam
        change = (
            sa.update(s3_blocks)
            .where(_columns.cid == bound("at_cid"), _columns.object == bound("at"), _columns.offset == bound("from"))
            .values(object=bound("to"), offset=bound("start"))
        )
        rows = [
            {"at_cid": m.old.cid, "at": m.old.object, "from": m.old.offset, "to": m.new.object, "start": m.new.offset}
            for m in moves
        ]

        async def work(connection: AsyncConnection) -> None:
            await _close_objects(connection, [target])
            for batch in batches(rows):  # a long list at once would keep the event loop
                await connection.execute(change, batch)

        await write(self._database, work)

    async def adopt(self, found: Stored, placements: Sequence[Placement], now: int) -> None:
        """For making the index anew: an object that was found in the bucket, and its verified blocks. The object's row
        comes last: what has one was read whole."""

        async def work(connection: AsyncConnection) -> None:
            await _place(connection, placements, now)
            row = {"number": found.number, "size": found.size, "whole": True, "created_at": now}
            insert = insert_into(connection, s3_objects).values(row)
            await connection.execute(insert.on_conflict_do_nothing(index_elements=["number"]))

        await write(self._database, work)


async def _close_objects(connection: AsyncConnection, objects: Sequence[Stored]) -> None:
    for stored in objects:
        row = s3_objects.c.number == stored.number
        change = sa.update(s3_objects).where(row).values(whole=True, size=stored.size)
        if (await connection.execute(change)).rowcount == 0:
            raise Forgotten


async def _place(connection: AsyncConnection, placements: Sequence[Placement], now: int) -> None:
    """Rows for durable blocks; a block that is there already stays where it is, unless it was damaged."""
    if not placements:
        return
    insert = insert_into(connection, s3_blocks)
    placed = insert.excluded
    upsert = insert.on_conflict_do_update(
        index_elements=["cid"],
        set_={  # same CID: equal length
            "object": sa.case((_columns.corrupt.is_(True), placed.object), else_=_columns.object),
            "offset": sa.case((_columns.corrupt.is_(True), placed.offset), else_=_columns.offset),
            "corrupt": False,
            "touched_at": sa.case(
                (_columns.touched_at < placed.touched_at, placed.touched_at), else_=_columns.touched_at
            ),
        },
    )
    for batch in batches(sorted(placements)):  # a long list at once would keep the event loop
        rows = [{**p._asdict(), "public": False, "corrupt": False, "touched_at": now} for p in batch]
        await connection.execute(upsert, rows)


async def _touch(connection: AsyncConnection, found: Iterable[CID], now: int) -> None:
    """``found`` is locked."""
    older = sa.update(s3_blocks).where(_columns.cid.in_(list(found)), _columns.touched_at < now)
    await connection.execute(older.values(touched_at=now))


async def _own(connection: AsyncConnection, wanted: Sequence[CID], scope: str) -> None:
    """Note that ``scope`` may see those that are there and not public. Their rows are locked, so that no collection
    takes a block between the look and the note: the right would wait for whoever puts the block again."""
    for batch in batches(wanted):
        private = sa.select(_columns.cid).where(_columns.cid.in_(batch), _columns.public.is_(False))
        rows = await connection.execute(private.order_by(_columns.cid).with_for_update())
        notes = [{"cid": cid, "scope": scope} for cid in rows.scalars()]
        if notes:
            insert = insert_into(connection, s3_owners)
            await connection.execute(insert.on_conflict_do_nothing(index_elements=["cid", "scope"]), notes)
