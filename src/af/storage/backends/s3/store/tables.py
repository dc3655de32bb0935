"""The tables, their rows, and one way to write."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import in_transaction
from af.core.db import Database, metadata
from af.protocols.ipfs.cid import CID

BATCH = 500  # below every database's limit of variables
_TRIES = 5
_MET = frozenset({"40P01", "40001"})  # deadlock_detected, serialization_failure
T = TypeVar("T")

s3_blocks = sa.Table(
    "s3_blocks",
    metadata,
    sa.Column("cid", sa.LargeBinary, primary_key=True),
    sa.Column("object", sa.BigInteger, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("corrupt", sa.Boolean, nullable=False),
    sa.Column("touched_at", sa.BigInteger, nullable=False),
    sa.Index(None, "object", "offset"),
)
"""``touched_at``: milliseconds since 1970 on the database's clock."""

s3_owners = sa.Table(
    "s3_owners",
    metadata,
    sa.Column("cid", sa.LargeBinary, primary_key=True),
    sa.Column("scope", sa.Text, primary_key=True),
)
"""Who may see a block that is not public."""

s3_objects = sa.Table(
    "s3_objects",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
"""Objects in the bucket; until ``whole`` they are being written, and have no blocks."""

s3_facts = sa.Table(
    "s3_facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
)


class Location(NamedTuple):
    """Where a block's bytes are."""

    object: int
    offset: int
    length: int
    public: bool
    corrupt: bool


class Placement(NamedTuple):
    """A block whose bytes are durable in an object."""

    cid: CID
    object: int
    offset: int
    length: int


class Move(NamedTuple):
    """A block copied from one object to another."""

    old: Placement
    new: Placement


class Removed(NamedTuple):
    cid: CID
    length: int


class Stored(NamedTuple):
    """An object that has been written, and its size."""

    number: int
    size: int


class Usage(NamedTuple):
    """An object's size, and the bytes of its frames that blocks still use."""

    number: int
    size: int
    live_bytes: int


class Forgotten(Exception):
    """An object's row has gone: writing it took so long that a collection took it for abandoned."""


async def write(database: Database, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Runs ``work`` in a transaction, and once more when it met another one in a deadlock (rows are taken in the order
    of their CIDs, so that is rare)."""
    assert not in_transaction(), "the index has connections of its own: on SQLite we would wait for ourselves"
    for attempt in range(1, _TRIES + 1):
        try:
            async with database.writing() as connection:
                return await work(connection)
        except DBAPIError as error:
            if attempt == _TRIES or getattr(error.orig, "sqlstate", None) not in _MET:
                raise
        await asyncio.sleep(secrets.randbelow(100) / 1000 * attempt)
    raise AssertionError("the last try returns or raises")


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, BATCH)):
        yield batch


async def lock(connection: AsyncConnection, wanted: Sequence[CID], *, whole: bool) -> set[CID]:
    """Those of ``wanted`` (at most `BATCH`, sorted) that are there, undamaged if ``whole``; their rows stay as they are
    until the transaction ends."""
    query = sa.select(s3_blocks.c.cid).where(s3_blocks.c.cid.in_(wanted)).order_by(s3_blocks.c.cid)
    if whole:
        query = query.where(s3_blocks.c.corrupt.is_(False))
    return {CID(row.cid) for row in await connection.execute(query.with_for_update())}
