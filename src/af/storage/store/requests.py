"""Pin requests: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import PinRequestId, ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.models import PinFilter, PinRequest, PinState, TextMatch, WantedPin

_MILLISECOND = timedelta(milliseconds=1)
_UNFINISHED = (PinState.QUEUED.value, PinState.PINNING.value)

pin_requests = sa.Table(
    "pin_requests",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("cid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folded_name", sa.Text, nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
    sa.Column("meta", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("blocks", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("made_pin", sa.Boolean, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.UniqueConstraint("project_id", "created_at"),
    sa.Index(None, "project_id", "cid"),
    sa.Index(None, "state", "created_at"),
)
"""``folded_name`` is the name for comparisons that ignore case: databases fold ASCII only."""


async def insert(connection: AsyncConnection, request: PinRequest) -> PinRequest:
    """Add the request, at its time or a little later: no two of a project have the same. After `take_turns`."""
    wished = request.created_at.replace(microsecond=request.created_at.microsecond // 1000 * 1000)
    query = sa.select(sa.func.max(pin_requests.c.created_at)).where(pin_requests.c.project_id == request.project_id)
    newest: datetime | None = (await connection.execute(query)).scalar()
    created_at = wished if newest is None else max(wished, newest + _MILLISECOND)
    pin = request.pin
    row = pin_requests.insert().values(
        id=request.id,
        project_id=request.project_id,
        cid=cids.to_text(pin.cid),
        name=pin.name,
        folded_name=pin.name.casefold(),
        origins=list(pin.origins),
        meta=dict(pin.meta),
        state=request.state.value,
        reason=request.reason,
        blocks=request.blocks,
        bytes=request.bytes,
        made_pin=request.made_pin,
        created_at=created_at,
        updated_at=request.updated_at,
    )
    await connection.execute(row.returning(pin_requests.c.id))
    found = await get(connection, request.project_id, request.id)
    assert found is not None, "inserted in this transaction"
    return found


async def take_turns(connection: AsyncConnection, project_id: str) -> None:
    """Changes of one project's requests come one after another; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        key = sa.func.hashtext(f"pin_requests {project_id}")
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def get(connection: AsyncConnection, project_id: str, request_id: str) -> PinRequest | None:
    query = sa.select(pin_requests).where(pin_requests.c.project_id == project_id, pin_requests.c.id == request_id)
    row = (await connection.execute(query)).first()
    return None if row is None else _request(row)


async def get_any(connection: AsyncConnection, request_id: str) -> PinRequest | None:
    """A request of whatever project. For the worker."""
    row = (await connection.execute(sa.select(pin_requests).where(pin_requests.c.id == request_id))).first()
    return None if row is None else _request(row)


async def find(connection: AsyncConnection, project_id: str, wanted: PinFilter) -> tuple[int, list[PinRequest]]:
    """How many requests match, and the newest ``wanted.limit`` of them."""
    where = _conditions(connection, project_id, wanted)
    count = (await connection.execute(sa.select(sa.func.count()).select_from(pin_requests).where(*where))).scalar_one()
    query = sa.select(pin_requests).where(*where).order_by(pin_requests.c.created_at.desc()).limit(wanted.limit)
    return count, [_request(row) for row in await connection.execute(query)]


def _conditions(connection: AsyncConnection, project_id: str, wanted: PinFilter) -> list[sa.ColumnElement[bool]]:
    is_postgresql = connection.dialect.name == "postgresql"
    column = pin_requests.c
    where = [column.project_id == project_id, column.state.in_([state.value for state in wanted.states])]
    if wanted.cids:
        where.append(column.cid.in_({text for cid in wanted.cids for text in _spellings(cid)}))
    if wanted.name is not None:
        folds = wanted.match in (TextMatch.IEXACT, TextMatch.IPARTIAL)
        compared, name = (column.folded_name, wanted.name.casefold()) if folds else (column.name, wanted.name)
        if wanted.match in (TextMatch.EXACT, TextMatch.IEXACT):
            where.append(compared == name)
        else:  # not LIKE, which ignores case on SQLite
            position = sa.func.strpos(compared, name) if is_postgresql else sa.func.instr(compared, name)
            where.append(position > 0)
    if wanted.before is not None:
        where.append(column.created_at < wanted.before)
    if wanted.after is not None:
        where.append(column.created_at > wanted.after)
    each = sa.func.json_each_text if is_postgresql else sa.func.json_each
    for number, (key, value) in enumerate(wanted.meta.items()):
        pairs = each(column.meta).table_valued("key", "value", name=f"pair{number}")
        where.append(sa.select(sa.literal(1)).where(pairs.c.key == key, pairs.c.value == value).exists())
    return where


def _spellings(cid: CID) -> set[str]:
    """The texts of a CID's two versions, where it has two: both name the same content."""
    texts = {cids.to_text(cid), cids.to_text(cids.as_v1(cid))}
    hashed = cids.multihash(cid)
    if cids.codec(cid) == cids.DAG_PB and hashed[:2] == b"\x12\x20":
        texts.add(cids.to_text(CID(hashed)))
    return texts


async def unfinished(connection: AsyncConnection, *, per_project: int, limit: int) -> list[PinRequestId]:
    """Requests that want work, oldest first, at most ``per_project`` of each project: nobody fills all places."""
    turn = sa.func.row_number().over(partition_by=pin_requests.c.project_id, order_by=pin_requests.c.created_at)
    columns = (pin_requests.c.id, pin_requests.c.created_at, turn.label("turn"))
    waiting = sa.select(*columns).where(pin_requests.c.state.in_(_UNFINISHED)).subquery()
    query = sa.select(waiting.c.id).where(waiting.c.turn <= per_project).order_by(waiting.c.created_at).limit(limit)
    return [PinRequestId(row.id) for row in await connection.execute(query)]


async def counts(connection: AsyncConnection, project_id: str) -> tuple[int, int]:
    """(all requests of the project, those that want work)"""
    waits = sa.case((pin_requests.c.state.in_(_UNFINISHED), 1), else_=0)
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(waits), 0))
    every, waiting = (await connection.execute(query.where(pin_requests.c.project_id == project_id))).one()
    return every, int(waiting)


async def counts_by_state(connection: AsyncConnection) -> dict[str, int]:
    """Requests of all projects."""
    query = sa.select(pin_requests.c.state, sa.func.count()).group_by(pin_requests.c.state)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def update(connection: AsyncConnection, request_id: str, **values: Any) -> bool:
    """Change columns of a request that is not at its end; whether there is such a one."""
    change = sa.update(pin_requests).where(pin_requests.c.id == request_id, pin_requests.c.state.in_(_UNFINISHED))
    return (await connection.execute(change.values(**values))).rowcount == 1


async def delete(connection: AsyncConnection, request_id: str) -> bool:
    return (await connection.execute(sa.delete(pin_requests).where(pin_requests.c.id == request_id))).rowcount == 1


async def delete_pinned(connection: AsyncConnection, project_id: str, cid: CID) -> None:
    """Forget the requests that ended in the project's pin of ``cid``."""
    gone = (pin_requests.c.project_id == project_id, pin_requests.c.cid == cids.to_text(cid))
    await connection.execute(sa.delete(pin_requests).where(*gone, pin_requests.c.state == PinState.PINNED.value))


async def delete_of_project(connection: AsyncConnection, project_id: str) -> None:
    await connection.execute(sa.delete(pin_requests).where(pin_requests.c.project_id == project_id))


async def projects_with_requests(connection: AsyncConnection, project_ids: Sequence[ProjectId]) -> list[ProjectId]:
    """Those of the projects that have requests."""
    query = sa.select(pin_requests.c.project_id).where(pin_requests.c.project_id.in_(project_ids)).distinct()
    return [ProjectId(row.project_id) for row in await connection.execute(query)]


async def has_pinned_twin(connection: AsyncConnection, request: PinRequest, *, made_pin: bool | None = None) -> bool:
    """Whether another request of the project has the same CID pinned (and, if asked, made the pin)."""
    column = pin_requests.c
    same = (column.project_id == request.project_id, column.cid == cids.to_text(request.pin.cid))
    query = sa.select(column.id).where(*same, column.id != request.id, column.state == PinState.PINNED.value)
    if made_pin is not None:
        query = query.where(column.made_pin.is_(made_pin))
    return (await connection.execute(query.limit(1))).first() is not None


async def fetched_bytes(connection: AsyncConnection, project_id: str) -> int:
    """What was fetched for the project's requests that have not failed."""
    total = sa.select(sa.func.coalesce(sa.func.sum(pin_requests.c.bytes), 0))
    of_project = (pin_requests.c.project_id == project_id, pin_requests.c.state != PinState.FAILED.value)
    return int((await connection.execute(total.where(*of_project))).scalar_one())


def _request(row: Any) -> PinRequest:
    pin = WantedPin(cid=cids.parse(row.cid), name=row.name, origins=tuple(row.origins), meta=row.meta)
    return PinRequest(
        id=PinRequestId(row.id),
        project_id=ProjectId(row.project_id),
        pin=pin,
        state=PinState(row.state),
        reason=row.reason,
        blocks=row.blocks,
        bytes=row.bytes,
        made_pin=row.made_pin,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
