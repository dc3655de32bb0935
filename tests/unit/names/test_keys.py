"""Keys: made, brought, given out, replaced, deleted; and whose business that is."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from af import names, projects
from af.core.context import Context, Platform
from af.core.errors import Forbidden, InvalidInput, NotFound
from af.core.ids import ProjectId
from af.names import store
from af.names.errors import AlreadyRotated, InvalidIpnsKey, IpnsNameTaken, IpnsRecordNotFound
from af.protocols.ipfs import ipns, peerkeys
from af.protocols.ipfs.peerkeys import KeyFormat

ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"


async def test_a_new_key_has_a_name_and_leads_nowhere_yet(owner: Context, project: ProjectId, anybody: Context) -> None:
    made = await names.create(owner, project, label="blog")

    assert made.name.startswith("k51")
    assert (made.key_type, made.label, made.value, made.record, made.due_at) == ("ed25519", "blog", "", None, None)
    assert await names.record(anybody, ipns.parse_name(made.name)) is None
    for named in (made.id, made.name, "blog"):
        assert await names.find(owner, project, named) == made


async def test_a_label_is_taken_once_in_a_project(
    owner: Context, project: ProjectId, stranger: Context, strangers_project: ProjectId
) -> None:
    await names.create(owner, project, label="blog")

    with pytest.raises(IpnsNameTaken):
        await names.create(owner, project, label="blog")
    await names.create(stranger, strangers_project, label="blog")


@pytest.mark.parametrize(
    "label", ["", "a b", "-a", "x" * 64, "k51qzi5uqu5dhjdgucgmy3kvofhlluewpc0fvt3zaap3v97v55md1cgcc5844b"]
)
async def test_what_is_no_label_is_refused(owner: Context, project: ProjectId, label: str) -> None:
    with pytest.raises(InvalidInput):
        await names.create(owner, project, label=label)


@pytest.mark.parametrize("key_format", list(KeyFormat))
async def test_a_key_goes_out_and_comes_back_in(
    owner: Context, project: ProjectId, stranger: Context, strangers_project: ProjectId, key_format: KeyFormat
) -> None:
    made = await names.create(owner, project)

    taken = await names.export_key(owner, project, made.name, key_format)
    brought = await names.import_key(stranger, strangers_project, taken, label="brought")

    assert (brought.name, brought.key_type) == (made.name, "ed25519")
    assert await names.export_key(stranger, strangers_project, "brought", key_format) == taken


async def test_keys_are_sealed_where_they_are_kept(owner: Context, project: ProjectId, platform: Platform) -> None:
    made = await names.create(owner, project)
    private = peerkeys.import_key(await names.export_key(owner, project, made.id))
    assert isinstance(private, Ed25519PrivateKey)

    async with owner.reading() as connection:
        row = (await connection.execute(sa.select(store.ipns.ipns_keys))).one()

    assert private.private_bytes_raw() not in row.sealed


async def test_a_key_is_brought_once(owner: Context, project: ProjectId) -> None:
    made = await names.create(owner, project)

    with pytest.raises(IpnsNameTaken):
        await names.import_key(owner, project, await names.export_key(owner, project, made.id))


async def test_a_key_joins_the_record_that_is_here(owner: Context, project: ProjectId) -> None:
    key = generate_private_key(65537, 2048)
    data = ipns.create(key, ROOT.encode(), sequence=7, valid_until="2027-01-01T00:00:00Z", ttl_seconds=60)
    put = await names.put_record(owner, project, ipns.to_text(ipns.name_of(key)), data)

    brought = await names.import_key(owner, project, peerkeys.export_key(key), label="old")
    signed = await names.publish(owner, project, "old", ROOT + "/new")

    assert (brought.id, brought.key_type, brought.record) == (put.id, "rsa", data)
    assert signed.sequence == 8


@pytest.mark.parametrize("data", [b"", b"no key", bytes(64), b"-----BEGIN PRIVATE KEY-----\n"])
async def test_what_is_no_key_is_refused(owner: Context, project: ProjectId, data: bytes) -> None:
    with pytest.raises(InvalidIpnsKey):
        await names.import_key(owner, project, data)


async def test_rotation_hands_over_to_a_new_key(owner: Context, project: ProjectId, anybody: Context) -> None:
    old = await names.create(owner, project, label="blog")
    old = await names.publish(owner, project, "blog", ROOT)

    new = await names.rotate(owner, project, "blog")

    assert new.name != old.name
    assert (new.label, new.value) == ("blog", ROOT)
    assert (await names.find(owner, project, "blog")).id == new.id
    handed = await names.find(owner, project, old.name)
    assert (handed.value, handed.replaced_by, handed.label) == (f"/ipns/{new.name}", new.name, None)
    assert handed.sequence == old.sequence + 1
    assert (await names.resolve(anybody, old.name)).path == ROOT
    assert (await names.resolve(anybody, new.name)).path == ROOT
    with pytest.raises(AlreadyRotated):
        await names.rotate(owner, project, old.name)


async def test_a_deleted_name_leads_nowhere(owner: Context, project: ProjectId, anybody: Context) -> None:
    made = await names.create(owner, project, value=ROOT)
    assert (await names.resolve(anybody, made.name)).path == ROOT

    await names.delete(owner, project, made.name)

    assert await names.record(anybody, ipns.parse_name(made.name)) is None
    with pytest.raises(IpnsRecordNotFound):
        await names.find(owner, project, made.name)


async def test_strangers_see_and_touch_nothing(owner: Context, project: ProjectId, stranger: Context) -> None:
    made = await names.create(owner, project, value=ROOT)

    for named, where in ((made.id, None), (made.id, project), (made.name, project)):
        for use in (names.find, names.export_key, names.rotate, names.delete):
            with pytest.raises(NotFound):
                await use(stranger, where, named)
        with pytest.raises(NotFound):
            await names.publish(stranger, where, named, ROOT)
    with pytest.raises(NotFound):
        await names.list_names(stranger, project)


async def test_a_key_goes_out_only_to_those_who_run_the_project(
    owner: Context, project: ProjectId, stranger: Context
) -> None:
    await projects.add_member(owner, project, user="eve", role=projects.Role.MEMBER)
    made = await names.create(stranger, project, value=ROOT)  # a member may do that

    with pytest.raises(Forbidden):
        await names.export_key(stranger, project, made.id)


async def test_lists_are_paged(owner: Context, project: ProjectId) -> None:
    made = [await names.create(owner, project) for _ in range(3)]

    first = await names.list_names(owner, project, first=2)
    rest = await names.list_names(owner, project, after=first[-1].id)

    assert {name.id for name in first + rest} == {name.id for name in made}
    assert (len(first), len(rest)) == (2, 1)
