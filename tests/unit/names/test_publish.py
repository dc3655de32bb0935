"""Publishing, records that are brought, and renewal: what counts is the newest genuine record."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af import names, projects
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.errors import Forbidden, InvalidInput, NotFound
from af.core.ids import IpnsRecordId, ProjectId
from af.names import jobs, rules, service, store
from af.names.errors import (
    InvalidIpnsRecord,
    IpnsRecordOutdated,
    NameInvalid,
    NoIpnsKey,
    TooManyIpnsNames,
)
from af.protocols.ipfs import ipns, messages, peerkeys
from tests.support.platforms import START

ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NAME = ipns.to_text(ipns.name_of(KEY))
UNTIL = START + timedelta(days=2)


def record(
    sequence: int = 1, *, key: Ed25519PrivateKey = KEY, value: str = ROOT, until: datetime = UNTIL, ttl: float = 60
) -> bytes:
    return ipns.create(key, value.encode(), sequence=sequence, valid_until=until, ttl_seconds=ttl)


async def kept(ctx: Context, name: str = NAME) -> ipns.Record | None:
    data = await names.record(ctx, ipns.parse_name(name))
    return None if data is None else ipns.read(ipns.parse_name(name), data)


async def test_publishing_signs_a_record_that_everybody_can_verify(
    owner: Context, project: ProjectId, anybody: Context
) -> None:
    made = await names.create(owner, project)

    for sequence, path in enumerate([ROOT, ROOT + "/a", ROOT]):
        published = await names.publish(owner, project, made.name, path)
        found = await kept(anybody, made.name)
        assert found is not None
        assert (found.value.decode(), found.sequence, found.ttl_seconds) == (path, sequence, 300)
        assert found.valid_until == START + timedelta(hours=48)
        assert (published.value, published.sequence) == (path, sequence)


async def test_publications_at_once_follow_one_another(owner: Context, project: ProjectId, anybody: Context) -> None:
    made = await names.create(owner, project)

    done = await asyncio.gather(*(names.publish(owner, project, made.name, f"{ROOT}/{n}") for n in range(8)))

    assert sorted(each.sequence for each in done) == list(range(8))
    found = await kept(anybody, made.name)
    assert found is not None
    assert (found.sequence, found.value.decode()) == next((e.sequence, e.value) for e in done if e.sequence == 7)


async def test_lifetime_sequence_and_time_to_live_can_be_chosen(
    owner: Context, project: ProjectId, anybody: Context
) -> None:
    made = await names.create(owner, project)

    await names.publish(owner, project, made.name, ROOT, lifetime_seconds=3600, ttl_seconds=5, sequence=40)

    found = await kept(anybody, made.name)
    assert found is not None
    assert (found.sequence, found.ttl_seconds, found.valid_until) == (40, 5, START + timedelta(hours=1))
    for sequence in (40, 39):
        with pytest.raises(IpnsRecordOutdated):
            await names.publish(owner, project, made.name, ROOT, sequence=sequence)


@pytest.mark.parametrize(
    "value",
    ["", "/", "/ipfs", "/ipfs/", "/ipfs/no", "/http/x", "/ipns/", "/ipns/x", "no", "/ipfs/../x", ROOT + "/\x00",
     ROOT + "/\ud800", ROOT + "/" + "a" * 2048],
)  # fmt: skip
async def test_a_name_leads_to_paths_only(owner: Context, project: ProjectId, value: str) -> None:
    made = await names.create(owner, project)

    with pytest.raises(NameInvalid):
        await names.publish(owner, project, made.name, value)


async def test_a_name_does_not_lead_to_itself(owner: Context, project: ProjectId) -> None:
    made = await names.create(owner, project)

    for value in (f"/ipns/{made.name}", f"/ipns/{made.name}/a"):
        with pytest.raises(NameInvalid):
            await names.publish(owner, project, made.name, value)


@pytest.mark.parametrize(("lifetime", "ttl"), [(59, 1), (11 * 366 * 86_400, 1), (3600, -1)])
async def test_times_have_bounds(owner: Context, project: ProjectId, lifetime: int, ttl: float) -> None:
    made = await names.create(owner, project)

    with pytest.raises(InvalidInput):
        await names.publish(owner, project, made.name, ROOT, lifetime_seconds=lifetime, ttl_seconds=ttl)


# --- records that are brought --------------------------------------------------------------------------------------


async def test_a_record_that_is_brought_is_kept_as_it_is(owner: Context, project: ProjectId, anybody: Context) -> None:
    data = record()

    put = await names.put_record(owner, project, NAME, data)

    assert await names.record(anybody, ipns.parse_name(NAME)) == data
    assert (put.name, put.value, put.sequence, put.key_type, put.due_at) == (NAME, ROOT, 1, "", None)
    assert await names.put_record(owner, project, NAME, data) == put
    with pytest.raises(NoIpnsKey):
        await names.publish(owner, project, NAME, ROOT)


async def test_an_older_record_replaces_nothing(
    owner: Context, project: ProjectId, stranger: Context, strangers_project: ProjectId, anybody: Context
) -> None:
    new = record(5)
    await names.put_record(owner, project, NAME, new)

    for old in (record(4), record(4, until=UNTIL + timedelta(days=9)), record(5, until=UNTIL - timedelta(hours=1))):
        for who, where in ((owner, project), (stranger, strangers_project)):
            with pytest.raises(IpnsRecordOutdated):
                await names.put_record(who, where, NAME, old)
    assert await names.record(anybody, ipns.parse_name(NAME)) == new


async def test_an_old_record_is_refused_even_when_the_newer_one_has_expired(
    owner: Context, project: ProjectId, anybody: Context, clock: FixedClock
) -> None:
    await names.put_record(owner, project, NAME, record(5, until=START + timedelta(hours=1)))
    clock.advance(timedelta(hours=2))

    with pytest.raises(IpnsRecordOutdated):
        await names.put_record(owner, project, NAME, record(4))
    assert await kept(anybody) is None


async def test_the_newest_counts_whoever_brought_it(
    owner: Context, project: ProjectId, stranger: Context, strangers_project: ProjectId, anybody: Context
) -> None:
    await names.put_record(owner, project, NAME, record(5))
    await names.put_record(stranger, strangers_project, NAME, record(6))
    assert (found := await kept(anybody)) is not None
    assert found.sequence == 6

    await names.delete(stranger, strangers_project, NAME)

    assert (found := await kept(anybody)) is not None
    assert found.sequence == 5


async def test_a_published_sequence_rises_above_what_was_brought(
    owner: Context, project: ProjectId, anybody: Context
) -> None:
    await names.import_key(owner, project, peerkeys.export_key(KEY))
    await names.put_record(owner, project, NAME, record(17))

    await names.publish(owner, project, NAME, ROOT + "/new")

    assert (found := await kept(anybody)) is not None
    assert found.sequence == 18


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(record(key=OTHER), id="wrong key"),
        pytest.param(messages.encode(messages.decode(record()) | {5: 9}), id="V1 and V2 differ"),
        pytest.param(messages.encode({n: v for n, v in messages.decode(record()).items() if n < 8}), id="V1 alone"),
        pytest.param(record() + bytes(10_240), id="over 10 KiB"),
        pytest.param(record(value="/nowhere/x"), id="leads nowhere"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_forged_records_are_refused(owner: Context, project: ProjectId, anybody: Context, data: bytes) -> None:
    with pytest.raises(InvalidIpnsRecord):
        await names.put_record(owner, project, NAME, data)
    assert await kept(anybody) is None


async def test_an_expired_record_is_refused(owner: Context, project: ProjectId) -> None:
    with pytest.raises(IpnsRecordOutdated):
        await names.put_record(owner, project, NAME, record(until=START - timedelta(seconds=1)))


async def test_a_record_goes_to_projects_of_ones_own_only(stranger: Context, project: ProjectId) -> None:
    with pytest.raises(NotFound):
        await names.put_record(stranger, project, NAME, record())


async def test_a_project_has_so_many_names(owner: Context, project: ProjectId) -> None:
    one = await names.create(owner, project)
    rows = [
        asdict(replace(one, id=IpnsRecordId(f"{one.id[:-4]}{number:04}"), name=f"k{number}"))
        for number in range(rules.NAMES_PER_PROJECT_MAX - 1)
    ]
    async with owner.transaction() as tx:
        await tx.execute(store.ipns.ipns_records.insert(), rows)

    with pytest.raises(TooManyIpnsNames):
        await names.create(owner, project)
    with pytest.raises(TooManyIpnsNames):
        await names.put_record(owner, project, NAME, record())


# --- renewal -------------------------------------------------------------------------------------------------------


DUE, FORGETTING = (
    next(each for each in jobs.RECONCILERS if each.name == name) for name in ("names.due", "names.deleted_projects")
)
RENEW = next(each for each in jobs.WORKFLOWS if each.name == DUE.workflow)


async def run_due(system: Context) -> int:
    """What the worker does: returns how many names were due."""
    found = await DUE.find(system)
    for _, arguments in found:
        await RENEW.run(system, *arguments)
    return len(found)


async def test_records_are_renewed_before_they_end(
    owner: Context, project: ProjectId, system: Context, anybody: Context, clock: FixedClock
) -> None:
    made = await names.create(owner, project)
    await names.publish(owner, project, made.name, ROOT)
    assert await run_due(system) == 0

    for _ in range(5):
        clock.advance(timedelta(hours=24))
        assert await run_due(system) == 1
        assert await run_due(system) == 0
        found = await kept(anybody, made.name)
        assert found is not None
        assert found.valid_until == clock.now() + timedelta(hours=48)
        assert (found.sequence, found.value.decode()) == (0, ROOT)


async def test_without_renewal_a_name_ends(
    owner: Context, project: ProjectId, anybody: Context, clock: FixedClock
) -> None:
    made = await names.create(owner, project, value=ROOT)
    clock.advance(timedelta(hours=48))
    assert await kept(anybody, made.name) is not None

    clock.advance(timedelta(seconds=1))

    assert await kept(anybody, made.name) is None


async def test_renewal_does_not_beat_what_was_published_elsewhere(
    owner: Context, project: ProjectId, stranger: Context, strangers_project: ProjectId, system: Context,
    anybody: Context, clock: FixedClock,
) -> None:  # fmt: skip
    await names.import_key(owner, project, peerkeys.export_key(KEY))
    await names.publish(owner, project, NAME, ROOT)
    await names.put_record(
        stranger, strangers_project, NAME, record(1, value=ROOT + "/new", until=START + 9 * (UNTIL - START))
    )
    clock.advance(timedelta(hours=25))

    await run_due(system)

    assert (found := await kept(anybody)) is not None
    assert found.value.decode() == ROOT + "/new"


async def test_a_record_that_cannot_be_signed_is_tried_again_later(
    owner: Context, project: ProjectId, system: Context, clock: FixedClock
) -> None:
    await names.create(owner, project, value=ROOT)
    clock.advance(timedelta(hours=24))
    [(_, arguments)] = await DUE.find(system)

    failed = RENEW.failed
    assert failed is not None
    await failed(system, RuntimeError(), *arguments)

    assert await service.due(system) == []
    clock.advance(timedelta(minutes=10))
    assert await run_due(system) == 1


async def test_renewal_is_the_platforms_business(owner: Context) -> None:
    for use in (service.due, service.projects_to_forget):
        with pytest.raises(Forbidden):
            await use(owner)


async def test_names_of_a_deleted_project_go(
    owner: Context, project: ProjectId, system: Context, anybody: Context
) -> None:
    made = await names.create(owner, project, value=ROOT)
    await projects.delete_project(owner, project)

    for _, arguments in await FORGETTING.find(system):
        await service.forget_project(system, *arguments)

    assert await kept(anybody, made.name) is None
    assert await FORGETTING.find(system) == []
