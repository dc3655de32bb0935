"""IPNS keys: made here or brought, given out, replaced, deleted."""

from __future__ import annotations

from dataclasses import replace

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import SiteId
from af.names import rules, store
from af.names.errors import AlreadyRotated, InvalidIpnsKey, IpnsNameTaken
from af.names.models import IpnsName
from af.names.service import signing
from af.names.service.access import TAKE, WRITE, may_write, name_for
from af.protocols.ipfs import ipns, peerkeys
from af.protocols.ipfs.errors import InvalidKey
from af.protocols.ipfs.peerkeys import KeyFormat, PrivateKey


async def create(
    ctx: Context, project_id: str, *, label: str | None = None, site_id: SiteId | None = None, value: str = ""
) -> IpnsName:
    """A new Ed25519 key and its name. With ``value`` it is published at once; with ``site_id`` it follows that site,
    which the caller has found and which leads to ``value``.

    :raises IpnsNameTaken: the label is in use. :raises TooManyIpnsNames:
    """
    project = await may_write(ctx, project_id, of_site=site_id is not None)
    label = None if label is None else rules.check_label(label)
    key = signing.new_key()
    fresh = signing.new_name(ctx, project.id, ipns.name_of(key), label=label)
    name = replace(fresh, key_type=_type_of(key), site_id=site_id, value=value and rules.read_target(value).path)
    async with ctx.transaction():
        await signing.keep_name(ctx, name, key)
        await projects.audit(ctx, "ipns.create", name.project_id, name.id, None, {"name": name.name, "label": label})
        return await signing.sign(ctx, name) if value else name


async def import_key(ctx: Context, project_id: str, data: bytes, *, label: str | None = None) -> IpnsName:
    """Take in a private key in either format of ``ipfs key export``; a record of its name that is here already stays.

    :raises InvalidIpnsKey: neither format. :raises IpnsNameTaken: the project has the key, or the label is in use.
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    label = None if label is None else rules.check_label(label)
    try:
        key = peerkeys.import_key(data)
    except InvalidKey as error:
        raise InvalidIpnsKey("That is no private key we can use.", hint=str(error), field="key") from None
    fresh = signing.new_name(ctx, project.id, ipns.name_of(key), label=label)
    async with ctx.transaction() as tx:
        known = await store.ipns.in_project(tx, project.id, fresh.name)
        if known is not None and known.key_type:
            raise IpnsNameTaken(f"The project has the key of {fresh.name} already.", field="key")
        if known is None:
            name = replace(fresh, key_type=_type_of(key))
            await signing.keep_name(ctx, name, key)
        else:
            name = replace(known, key_type=_type_of(key), label=label or known.label, updated_at=ctx.now)
            await store.ipns.update(tx, name)
            await signing.keep_key(ctx, name, key)
        await projects.audit(ctx, "ipns.import", name.project_id, name.id, None, {"name": name.name, "label": label})
    return name


async def export_key(ctx: Context, project_id: str | None, named: str, key_format: str = KeyFormat.LIBP2P) -> bytes:
    """The private key as ``ipfs key export`` writes it. For those who run the project.

    :raises NoIpnsKey: it is not here.
    """
    if key_format not in list(KeyFormat):
        raise InvalidInput(f"The format is one of {', '.join(KeyFormat)}.", field="format")
    name = await name_for(ctx, TAKE, project_id, named)
    async with ctx.transaction():
        key = await signing.key_of(ctx, name)
        await projects.audit(ctx, "ipns.export", name.project_id, name.id, None, {"name": name.name})
    try:
        return peerkeys.export_key(key, KeyFormat(key_format))
    except ValueError as error:
        raise InvalidInput(f"A key of type {name.key_type} has no such form.", field="format") from error


async def rotate(ctx: Context, project_id: str | None, named: str) -> IpnsName:
    """A new key takes the old one's place: label, site and value. The old name goes on, and from now on leads to the
    new one, so nobody who knows it is lost. Returns the new one.

    :raises AlreadyRotated: :raises NoIpnsKey: the old key is not here, so it cannot hand over.
    """
    found = await name_for(ctx, WRITE, project_id, named)
    key = signing.new_key()
    async with ctx.transaction():
        old = await signing.locked(ctx, found.id)
        if old.replaced_by is not None:
            raise AlreadyRotated(f"{old.name} leads to {old.replaced_by} already.", hint="Rotate that one.")
        fresh = signing.new_name(ctx, old.project_id, ipns.name_of(key), label=old.label)
        fresh = replace(
            fresh,
            key_type=_type_of(key),
            site_id=old.site_id,
            value=old.value,
            lifetime_seconds=old.lifetime_seconds,
            ttl_seconds=old.ttl_seconds,
        )
        handing_over = replace(old, label=None, site_id=None, value=f"/ipns/{fresh.name}", replaced_by=fresh.name)
        await signing.sign(ctx, handing_over)  # gives the label free, too
        await signing.keep_name(ctx, fresh, key)
        await projects.audit(ctx, "ipns.rotate", old.project_id, old.id, {"name": old.name}, {"name": fresh.name})
        return await signing.sign(ctx, fresh) if fresh.value else fresh


async def delete(ctx: Context, project_id: str | None, named: str) -> IpnsName:
    """Forget the name, its record and its key. Nobody can publish under it again who has no copy of the key."""
    found = await name_for(ctx, WRITE, project_id, named)
    async with ctx.transaction() as tx:
        name = await signing.locked(ctx, found.id)
        await store.ipns.delete(tx, name.id)
        ctx.ring("names")
        before = {"name": name.name, "label": name.label, "value": name.value}
        await projects.audit(ctx, "ipns.delete", name.project_id, name.id, before, None)
    return name


def _type_of(key: PrivateKey) -> str:
    return peerkeys.type_of(key).name.lower()
