"""Signing records with a key that is kept here, inside the caller's transaction; nothing of it waits for anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af.core import ids
from af.core.context import Context
from af.core.ids import IpnsRecordId, ProjectId
from af.core.seal import Sealer
from af.names import rules, store
from af.names.errors import IpnsRecordNotFound, NoIpnsKey, TooManyIpnsNames
from af.names.models import IpnsName
from af.protocols.ipfs import ipns, peerkeys
from af.protocols.ipfs.peerkeys import PrivateKey


def new_key() -> PrivateKey:
    return Ed25519PrivateKey.generate()


def new_name(ctx: Context, project_id: ProjectId, name: ipns.Name, *, label: str | None = None) -> IpnsName:
    """A name that has no record yet."""
    return IpnsName(
        id=IpnsRecordId(ids.new(ids.IPNS_RECORD, ctx.now)),
        project_id=project_id,
        name=ipns.to_text(name),
        label=label,
        site_id=None,
        key_type="",
        value="",
        record=None,
        sequence=-1,
        valid_until=None,
        lifetime_seconds=rules.LIFETIME_SECONDS,
        ttl_seconds=rules.TTL_SECONDS,
        due_at=None,
        announce_at=None,
        replaced_by=None,
        created_at=ctx.now,
        updated_at=ctx.now,
    )


async def keep_name(ctx: Context, name: IpnsName, key: PrivateKey | None = None) -> None:
    """:raises TooManyIpnsNames, IpnsNameTaken:"""
    async with ctx.transaction() as tx:
        if await store.ipns.count(tx, name.project_id) >= rules.NAMES_PER_PROJECT_MAX:
            raise TooManyIpnsNames(f"A project may have {rules.NAMES_PER_PROJECT_MAX:,} IPNS names.")
        await store.ipns.insert(tx, name)
        if key is not None:
            await keep_key(ctx, name, key)


async def keep_key(ctx: Context, name: IpnsName, key: PrivateKey) -> None:
    sealed = ctx.get(Sealer).seal(peerkeys.export_key(key), purpose=_purpose(name))
    async with ctx.transaction() as tx:
        await store.ipns.insert_key(tx, name.id, sealed, ctx.now)


async def key_of(ctx: Context, name: IpnsName) -> PrivateKey:
    """:raises NoIpnsKey: it is not here. :raises SealBroken: it cannot be opened."""
    async with ctx.looking_up() as connection:
        sealed = await store.ipns.key(connection, name.id)
    if sealed is None:
        raise NoIpnsKey(
            f"The private key of {name.name} is not here.", hint="Import it (`af ipns import`), or sign it elsewhere."
        )
    return peerkeys.import_key(ctx.get(Sealer).open(sealed, purpose=_purpose(name)))


async def locked(ctx: Context, record_id: IpnsRecordId) -> IpnsName:
    """The name, which nobody else changes until the caller's transaction ends."""
    async with ctx.transaction() as tx:
        name = await store.ipns.by_id(tx, record_id, locked=True)
    if name is None:
        raise IpnsRecordNotFound("The IPNS name was deleted meanwhile.")
    return name


async def newest(ctx: Context, name: ipns.Name, *, valid_at: datetime | None = None) -> ipns.Record | None:
    """The newest record that any project keeps of the name; with ``valid_at`` of those that have not expired then."""
    async with ctx.looking_up() as connection:
        kept = await store.ipns.records_of(connection, ipns.to_text(name))
    found: ipns.Record | None = None
    for data in kept:
        record = ipns.read(name, data)
        if valid_at is None or not record.is_expired(valid_at):
            found = record if found is None else ipns.newer(found, record)
    return found


async def sign(ctx: Context, name: IpnsName, *, sequence: int | None = None) -> IpnsName:
    """Sign a record that says ``name.value``, valid from now for its lifetime, and write the row. The caller has locked
    it. Without ``sequence`` it beats every record that is here."""
    key = await key_of(ctx, name)
    if sequence is None:
        before = await newest(ctx, ipns.parse_name(name.name))
        sequence = 0 if before is None else before.sequence + 1
    valid_until = ctx.now + timedelta(seconds=name.lifetime_seconds)
    signed = replace(
        name,
        record=ipns.create(
            key,
            name.value.encode(),
            sequence=sequence,
            valid_until=valid_until,
            ttl_seconds=name.ttl_seconds,
        ),
        sequence=sequence,
        valid_until=valid_until,
        due_at=rules.next_signing(ctx.now, name.lifetime_seconds),
        announce_at=ctx.now,
        updated_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        await store.ipns.update(tx, signed)
        ctx.ring("names")
        ctx.ring("work")
    return signed


def _purpose(name: IpnsName) -> str:
    return f"ipns-key:{name.id}"
