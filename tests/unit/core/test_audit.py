"""The audit log: gapless chains of hashes that cannot be changed, and show it if they were."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from af.core import audit, events
from af.core.audit import ChangeTooLarge, Filter, InvalidAuditFilter, audit_entries
from af.core.clock import FixedClock
from af.core.context import Actor, ActorKind, Context, Platform
from af.core.ids import PROJECT, ProjectId, SessionId, UserId, new

TRIGGERS = {
    "sqlite": [f"DROP TRIGGER audit_entries_no_{what}" for what in ("update", "delete", "replace")],
    "postgresql": ["DROP TRIGGER audit_entries_no_change ON audit_entries"],
}


@pytest.fixture
def chain(clock: FixedClock) -> str:
    return f"project:{new(PROJECT, clock.now())}"


async def fill(ctx: Context, chain: str, count: int) -> None:
    for number in range(count):
        await audit.record(ctx, chain, "site.create", f"sit_{number}", None, {"name": f"site {number}"})


async def without_triggers(platform: Platform, statement: sa.Executable) -> None:
    """What somebody can do who has the database itself."""
    async with platform.database.writing() as connection:
        for drop in TRIGGERS[platform.database.dialect]:
            await connection.execute(sa.text(drop))
        await connection.execute(statement)


async def test_an_entry_says_who_what_and_from_where(platform: Platform, ctx: Context, chain: str) -> None:
    actor = Actor(
        ActorKind.USER,
        user_id=UserId("usr_ada"),
        session_id=SessionId("ses_1"),
        address="192.0.2.1",
        user_agent="Browser\r\n\x00/1" + "x" * 500,
    )
    await audit.record(platform.context(actor, request_id="r1"), chain, "member.add", "usr_bob", {"a": 1}, {"b": [2]})
    [entry] = await audit.entries(ctx, chain)
    assert (entry.sequence, entry.chain, entry.previous_hash, len(entry.hash)) == (1, chain, "", 64)
    assert (entry.user_id, entry.session_id, entry.token_id, entry.address) == ("usr_ada", "ses_1", None, "192.0.2.1")
    assert (entry.action, entry.target, entry.request_id) == ("member.add", "usr_bob", "r1")
    assert (entry.before, entry.after) == ({"a": 1}, {"b": [2]})
    assert entry.user_agent.startswith("Browser???/1x")
    assert len(entry.user_agent) == 300
    assert entry.project_id == chain.partition(":")[2]


async def test_each_chain_is_numbered_by_itself_and_holds(ctx: Context, chain: str) -> None:
    await fill(ctx, chain, 3)
    await audit.record(ctx, audit.PLATFORM, "key.rotate", "kid")
    assert [entry.sequence for entry in await audit.entries(ctx, chain)] == [3, 2, 1]
    assert [entry.sequence for entry in await audit.entries(ctx, audit.PLATFORM)] == [1]
    found = await audit.verify(ctx, chain)
    newest = (await audit.entries(ctx, chain, limit=1))[0]
    assert (found.entries, found.last, found.broken_at, found.complete) == (3, 3, None, True)
    assert found.head == newest.hash
    assert (await audit.verify(ctx, chain, after=2)).entries == 1
    assert (await audit.verify(ctx, "platform")).broken_at is None


async def test_writers_at_the_same_time_leave_no_gap(ctx: Context, chain: str, clock: FixedClock) -> None:
    """Also when their transactions are on two chains in different orders, and publish events before or after."""
    other, project = "platform", ProjectId(new(PROJECT, clock.now()))

    async def write(number: int) -> None:
        async with ctx.transaction():
            for name in (chain, other) if number % 2 else (other, chain):
                await audit.record(ctx, name, "site.change", f"sit_{number}")
                await events.publish(ctx, project_id=project, topic="t", kind="x", data={})

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(number) for number in range(40)))
    for name in (chain, other):
        found = await audit.verify(ctx, name)
        assert (found.entries, found.broken_at) == (40, None)


async def test_what_is_rolled_back_leaves_no_gap(ctx: Context, chain: str) -> None:
    await fill(ctx, chain, 1)
    with pytest.raises(RuntimeError, match="later"):
        async with ctx.transaction():
            await audit.record(ctx, chain, "site.create", "sit_lost")
            raise RuntimeError("later")
    await fill(ctx, chain, 1)
    assert (await audit.verify(ctx, chain)).entries == 2


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(audit_entries).values(action="site.delete"),
        sa.delete(audit_entries),
        sa.text("INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries"),
        sa.text("TRUNCATE audit_entries"),
    ],
    ids=["update", "delete", "replace", "truncate"],
)
async def test_the_database_refuses_to_change_what_was_written(
    platform: Platform, ctx: Context, chain: str, statement: sa.Executable
) -> None:
    await fill(ctx, chain, 2)
    own_of = {"INSERT OR": "sqlite", "TRUNCATE ": "postgresql"}.get(str(statement)[:9], platform.database.dialect)
    if own_of != platform.database.dialect:
        pytest.skip(f"a statement of {own_of}")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        async with platform.database.writing() as connection:
            await connection.execute(statement)
    assert (await audit.verify(ctx, chain)).entries == 2


@pytest.mark.parametrize("column, value", [("action", "site.read"), ("after", {"name": "x"}), ("address", "::1")])
async def test_a_changed_entry_is_named(
    platform: Platform, ctx: Context, chain: str, column: str, value: object
) -> None:
    await fill(ctx, chain, 5)
    changed = sa.update(audit_entries).where(audit_entries.c.chain == chain, audit_entries.c.sequence == 3)
    await without_triggers(platform, changed.values({column: value}))
    found = await audit.verify(ctx, chain)
    assert (found.entries, found.last, found.broken_at) == (2, 2, 3)


async def test_a_removed_entry_is_named(platform: Platform, ctx: Context, chain: str) -> None:
    await fill(ctx, chain, 4)
    gone = sa.delete(audit_entries).where(audit_entries.c.chain == chain, audit_entries.c.sequence == 2)
    await without_triggers(platform, gone)
    assert (await audit.verify(ctx, chain)).broken_at == 2


async def test_an_entry_that_was_changed_with_its_hash_breaks_the_next(
    platform: Platform, ctx: Context, chain: str
) -> None:
    await fill(ctx, chain, 3)
    [entry] = [entry for entry in await audit.entries(ctx, chain) if entry.sequence == 2]
    fields = {name: getattr(entry, name) for name in audit.AuditEntry.__dataclass_fields__}
    forged = {**fields, "action": "site.read"}
    change = sa.update(audit_entries).where(audit_entries.c.id == entry.id)
    await without_triggers(platform, change.values(action="site.read", hash=audit.entry_hash(forged)))
    assert (await audit.verify(ctx, chain)).broken_at == 3


async def test_entries_are_filtered_and_paged(platform: Platform, ctx: Context, chain: str, clock: FixedClock) -> None:
    start = clock.now()
    for number in range(6):
        actor = Actor(ActorKind.USER, user_id=UserId(f"usr_{number % 2}"))
        action = "member.add" if number < 4 else "member_x.add"
        await audit.record(platform.context(actor), chain, action, f"t{number}")
        clock.advance(timedelta(hours=1))

    async def numbers(wanted: Filter) -> list[int]:
        return [entry.sequence for entry in await audit.entries(ctx, chain, wanted)]

    assert await numbers(Filter(action="member.")) == [4, 3, 2, 1]
    assert await numbers(Filter(action="member_")) == [6, 5], "no wildcard"
    assert await numbers(Filter(user_id="usr_1")) == [6, 4, 2]
    assert await numbers(Filter(target="t3")) == [4]
    hour = timedelta(hours=1)
    assert await numbers(Filter(since=start + hour, until=start + 3 * hour)) == [3, 2]
    assert await numbers(Filter(action="member.", user_id="usr_0")) == [3, 1]
    first = await audit.entries(ctx, chain, limit=2)
    second = await audit.entries(ctx, chain, limit=2, after=first[-1].sequence)
    assert [entry.sequence for entry in first + second] == [6, 5, 4, 3]
    every = [entry.sequence async for batch in audit.every_entry(ctx, chain) for entry in batch]
    assert every == [1, 2, 3, 4, 5, 6]
    for wrong in (Filter(since=start.replace(tzinfo=None)), Filter(action="x" * 400), Filter(target="\x00")):
        with pytest.raises(InvalidAuditFilter):
            await audit.entries(ctx, chain, wrong)


async def test_secrets_are_not_recorded(ctx: Context, chain: str) -> None:
    change = {"token": "abc", "clientSecret": "s", "note": "it is af_live_0123456789abcdef", "tokenId": "tok_1"}
    await audit.record(ctx, chain, "token.create", "tok_1", None, {**change, "inner": [{"password": "p"}], "nul": "\0"})
    [entry] = await audit.entries(ctx, chain)
    assert entry.after == {
        "token": "[hidden]",
        "clientSecret": "[hidden]",
        "note": "it is [hidden]",
        "tokenId": "tok_1",
        "inner": [{"password": "[hidden]"}],
        "nul": "?",
    }
    assert (await audit.verify(ctx, chain)).broken_at is None


async def test_a_change_without_bounds_is_refused_with_what_it_changes(ctx: Context, chain: str) -> None:
    with pytest.raises(ChangeTooLarge):
        await audit.record(ctx, chain, "site.change", "sit_1", None, {"text": "x" * 40_000})
    assert await audit.entries(ctx, chain) == []


def test_the_hash_of_an_entry_never_changes(clock: FixedClock) -> None:
    """Format af-audit-1: exports that people keep must stay verifiable."""
    fields = {
        "chain": "platform",
        "sequence": 2,
        "created_at": clock.now(),
        "project_id": None,
        "action": "key.rotate",
        "target": "kid",
        "user_id": "usr_1",
        "token_id": None,
        "session_id": None,
        "address": "::1",
        "user_agent": "ü",
        "request_id": "r",
        "before": None,
        "after": {"b": 1, "a": [True, None]},
        "previous_hash": "00",
    }
    canonical = (
        '["af-audit-1","platform",2,"2026-01-01T00:00:00.000000Z",null,"key.rotate","kid","usr_1",null,null,"::1",'
        '"\\u00fc","r",null,{"a":[true,null],"b":1},"00"]'
    )
    import hashlib

    assert audit.entry_hash(fields) == hashlib.sha256(canonical.encode()).hexdigest()
