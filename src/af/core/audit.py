"""The audit log: who did what to what, from where, and how it was before and after.

Every entry is on one *chain*: ``project:<id>``, ``organization:<id>``, ``user:<id>`` or ``platform``. Within a chain
entries are numbered without gaps from 1, and each carries the SHA-256 of its own fields and of the entry before it, so
that changing, removing or slipping in one breaks every later one (`verify` names the first). The database itself
refuses UPDATE and DELETE (migration 0003). What a chain cannot show is that its newest entries were cut off: whoever
wants to notice that keeps a copy of `Verification.head`, or an export, elsewhere (docs/decisions/0017).

Nothing here authorises: `af.projects` and `af.auth` do, before they call.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.context import Context
from af.core.db import Timestamp, metadata
from af.core.errors import InvalidInput, TooLarge
from af.core.ids import ProjectId, SessionId, TokenId, UserId

PLATFORM = "platform"
"""The chain of what concerns everybody."""
PAGE_MAX = 100
VERIFY_MAX = 100_000
"""Entries that one call of `verify` looks at; the next call goes on after them."""
CHANGE_BYTES_MAX = 32 << 10
"""Size of ``before`` or ``after`` as JSON."""
_BATCH_ROWS = 500
_FORMAT = "af-audit-1"
_CHAIN = re.compile(r"platform|(project|organization|user):[a-z]{3}_[0-9a-z]{26}")
_ACTION = re.compile(r"[a-z][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+){0,3}")
_TEXT_MAX = 300
_SECRET_FIELD = re.compile(
    r"(?i)(^|_)(secret|password|passphrase|token|code|cookie|signature)$|(Secret|Password|Token)$"
)
_SECRET_TEXT = re.compile(r"af_live_[0-9A-Za-z]+")
_HIDDEN = "[hidden]"

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("chain", sa.Text),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("project_id", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("token_id", sa.Text),
    sa.Column("session_id", sa.Text),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False, server_default=""),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("previous_hash", sa.Text),
    sa.Column("hash", sa.Text),
    sa.UniqueConstraint("chain", "sequence"),
    sqlite_autoincrement=True,
)
"""Append only. What is nullable for the sake of rows of the first release was filled by migration 0003."""


class ChangeTooLarge(TooLarge):
    code = "audit_change_too_large"
    number = 1135
    explain = "What is to be changed is too large to be recorded in the audit log, so it was not done."


class InvalidAuditFilter(InvalidInput):
    code = "invalid_audit_filter"
    number = 1136
    explain = "The audit log is filtered by the beginning of an action, a user's id, a target's id, and two times."


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what. ``user_id`` is `None` for the platform itself. Entries are never changed."""

    id: int
    chain: str
    sequence: int
    project_id: ProjectId | None
    action: str
    target: str
    user_id: UserId | None
    token_id: TokenId | None
    session_id: SessionId | None
    address: str
    user_agent: str
    request_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    created_at: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: all that fit everything given. ``action`` is the beginning of one (``member.``)."""

    action: str = ""
    user_id: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def check(self) -> None:
        """:raises InvalidAuditFilter: a value cannot be."""
        for name, text in (("action", self.action), ("user", self.user_id), ("target", self.target)):
            if text is not None and (len(text) > _TEXT_MAX or not text.isprintable()):
                raise InvalidAuditFilter(f"{name} has at most {_TEXT_MAX} printable characters.", field=name)
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidAuditFilter(f"{name} is a time with its time zone.", field=name)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found. ``entries`` were looked at and hold, up to number ``last`` whose hash is ``head``.
    ``broken_at`` is the number at which the chain does not hold; `None` when it does. Not ``complete``: there are
    more entries; call again with ``after=last``."""

    chain: str
    entries: int
    last: int
    head: str
    broken_at: int | None
    complete: bool


EVERYTHING = Filter()


# --- writing --------------------------------------------------------------------------------------------------------


async def record(
    ctx: Context,
    chain: str,
    action: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Record in the caller's transaction that ``action`` (``site.create``) was done to ``target`` (an id).

    ``before`` and ``after`` are the changed fields as JSON has them; no secrets (fields that are named like one are
    hidden all the same). The entry gets its number and hash at the end of the transaction, under a lock of its chain.

    :raises ChangeTooLarge: ``before`` or ``after`` has more than `CHANGE_BYTES_MAX` bytes.
    """
    assert _CHAIN.fullmatch(chain), f"no such chain: {chain}"
    assert _ACTION.fullmatch(action), f"actions are words with dots: {action}"
    kind, _, identifier = chain.partition(":")
    row = {
        "chain": chain,
        "project_id": identifier if kind == "project" else None,
        "action": action,
        "target": _line(target),
        "user_id": ctx.actor.user_id,
        "token_id": ctx.actor.token_id,
        "session_id": ctx.actor.session_id,
        "address": _line(ctx.actor.address),
        "user_agent": _line(ctx.actor.user_agent),
        "request_id": _line(ctx.request_id),
        "before": _change(before),
        "after": _change(after),
        "created_at": ctx.now,
    }

    async def write(connection: AsyncConnection) -> None:
        await _append(connection, row)

    async with ctx.transaction():
        # Sorted, so that transactions on several chains take their locks in one order, and before that of events.
        ctx.before_commit(write, order=f"audit {chain}")


async def _append(connection: AsyncConnection, row: dict[str, Any]) -> None:
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock_key(row["chain"]))))
    newest = (
        sa.select(audit_entries.c.sequence, audit_entries.c.hash)
        .where(audit_entries.c.chain == row["chain"])
        .order_by(audit_entries.c.sequence.desc())
        .limit(1)
    )
    found = (await connection.execute(newest)).one_or_none()
    numbered = {**row, "sequence": found.sequence + 1 if found else 1, "previous_hash": found.hash if found else ""}
    await connection.execute(audit_entries.insert().values(**numbered, hash=entry_hash(numbered)))


def entry_hash(fields: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the entry's canonical form, format ``af-audit-1``: a JSON array of the format's name and the
    fields below in this order, ASCII, without spaces, the keys of objects sorted, absent values null, the time in UTC
    with six decimals (``2026-01-01T12:00:00.000000Z``). The hash of the entry before it is the last field."""
    moment = fields["created_at"].astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    names = ("project_id", "action", "target", "user_id", "token_id", "session_id", "address", "user_agent")
    parts = [_FORMAT, fields["chain"], fields["sequence"], moment, *(fields[name] for name in names)]
    parts += [fields["request_id"], fields["before"], fields["after"], fields["previous_hash"]]
    return hashlib.sha256(_json(parts).encode()).hexdigest()


def _lock_key(chain: str) -> int:
    digest = hashlib.sha256(f"audit {chain}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _line(text: str) -> str:
    """User agents are a stranger's text: one short line of it."""
    return "".join(character if character.isprintable() else "?" for character in text[:_TEXT_MAX])


def _change(change: Mapping[str, Any] | None) -> Any:
    """As it will be read again: what JSON makes of it, without secrets."""
    if change is None:
        return None
    text = _json(_without_secrets(change))
    if len(text) > CHANGE_BYTES_MAX:
        raise ChangeTooLarge(f"A change of {len(text)} bytes cannot be recorded (at most {CHANGE_BYTES_MAX}).")
    return json.loads(text)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name).replace("\0", "?"): _HIDDEN
            if inner and _SECRET_FIELD.search(str(name))
            else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(inner) for inner in value]
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_HIDDEN, value).replace("\0", "?")  # PostgreSQL keeps no NUL
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


# --- reading --------------------------------------------------------------------------------------------------------


async def entries(
    ctx: Context, chain: str, wanted: Filter = EVERYTHING, *, after: int | None = None, limit: int = PAGE_MAX
) -> list[AuditEntry]:
    """A page of a chain, newest first; ``after`` is the `AuditEntry.sequence` that the page before ended with.

    :raises InvalidAuditFilter: a value of ``wanted`` cannot be.
    """
    query = _fitting(chain, wanted)
    if after is not None:
        query = query.where(audit_entries.c.sequence < after)
    query = query.order_by(audit_entries.c.sequence.desc()).limit(max(1, min(limit, PAGE_MAX + 1)))
    async with ctx.reading() as connection:
        return [_entry(row) for row in await connection.execute(query)]


async def every_entry(
    ctx: Context, chain: str, wanted: Filter = EVERYTHING
) -> AsyncGenerator[Sequence[AuditEntry], None]:
    """The chain from its beginning to what is now its end, in batches; for exports.

    :raises InvalidAuditFilter: a value of ``wanted`` cannot be.
    """
    query = _fitting(chain, wanted).order_by(audit_entries.c.sequence).limit(_BATCH_ROWS)
    async with ctx.reading() as connection:
        end = await _newest_number(connection, chain)
    last = 0
    while last < end:
        page = query.where(audit_entries.c.sequence > last, audit_entries.c.sequence <= end)
        async with ctx.reading() as connection:  # a new one per batch: whoever reads slowly holds no snapshot
            batch = [_entry(row) for row in await connection.execute(page)]
        if not batch:
            return
        yield batch
        last = batch[-1].sequence


async def verify(ctx: Context, chain: str, *, after: int = 0) -> Verification:
    """Whether the chain holds from the entry behind number ``after`` on; at most `VERIFY_MAX` entries per call."""
    async with ctx.reading() as connection:
        end = await _newest_number(connection, chain)
        known = sa.select(audit_entries.c.hash).where(audit_entries.c.chain == chain, audit_entries.c.sequence == after)
        head: str | None = "" if after == 0 else (await connection.execute(known)).scalar()
    if head is None:
        return Verification(chain, 0, after, "", after, complete=True)
    last, count = after, 0
    query = sa.select(audit_entries).where(audit_entries.c.chain == chain).order_by(audit_entries.c.sequence)
    while last < end and count < VERIFY_MAX:
        page = query.where(audit_entries.c.sequence > last).limit(min(_BATCH_ROWS, VERIFY_MAX - count))
        async with ctx.reading() as connection:
            rows = (await connection.execute(page)).mappings().all()
        for row in rows:
            if row["sequence"] != last + 1 or row["previous_hash"] != head or row["hash"] != entry_hash(dict(row)):
                return Verification(chain, count, last, head, last + 1, complete=True)
            last, count, head = last + 1, count + 1, row["hash"]
        if not rows:
            return Verification(chain, count, last, head, last + 1, complete=True)
    return Verification(chain, count, last, head, None, complete=last >= end)


async def _newest_number(connection: AsyncConnection, chain: str) -> int:
    query = sa.select(sa.func.max(audit_entries.c.sequence)).where(audit_entries.c.chain == chain)
    found: int | None = (await connection.execute(query)).scalar_one()
    return found or 0


def _fitting(chain: str, wanted: Filter) -> sa.Select[Any]:
    wanted.check()
    columns = audit_entries.c
    query = sa.select(audit_entries).where(columns.chain == chain)
    if wanted.action:
        query = query.where(columns.action.startswith(wanted.action, autoescape=True))
    if wanted.user_id is not None:
        query = query.where(columns.user_id == wanted.user_id)
    if wanted.target is not None:
        query = query.where(columns.target == wanted.target)
    if wanted.since is not None:
        query = query.where(columns.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(columns.created_at < wanted.until)
    return query


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__dataclass_fields__})
