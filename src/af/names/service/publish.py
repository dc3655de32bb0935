"""Publishing: a record signed here, or one signed elsewhere and brought."""

from __future__ import annotations

from dataclasses import replace

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput
from af.names import rules, store
from af.names.errors import InvalidIpnsRecord, IpnsRecordOutdated, NameInvalid
from af.names.models import IpnsName
from af.names.service import signing
from af.names.service.access import WRITE, name_for
from af.protocols.ipfs import ipns
from af.protocols.ipfs.errors import InvalidRecord


async def publish(
    ctx: Context,
    project_id: str | None,
    named: str,
    value: str,
    *,
    lifetime_seconds: int = rules.LIFETIME_SECONDS,
    ttl_seconds: float = rules.TTL_SECONDS,
    sequence: int | None = None,
) -> IpnsName:
    """Sign that the name leads to ``value`` (a path, or a CID alone). It is visible at once, and from then on the
    record is renewed in time by itself. The sequence is one more than that of the newest record here, unless given.

    :raises NoIpnsKey, NameInvalid: :raises IpnsRecordOutdated: the sequence given is not higher.
    """
    found = await name_for(ctx, WRITE, project_id, named)
    path = rules.read_target(value).path
    rules.check_times(lifetime_seconds, ttl_seconds)
    if sequence is not None and not 0 <= sequence <= ipns.MAX_SEQUENCE:
        raise InvalidInput("The sequence is between 0 and 2^63 - 1.", field="sequence")
    if path == f"/ipns/{found.name}" or path.startswith(f"/ipns/{found.name}/"):
        raise NameInvalid("A name cannot lead to itself.", field="value")
    async with ctx.transaction():
        name = await signing.locked(ctx, found.id)
        if sequence is not None:
            newest = await signing.newest(ctx, ipns.parse_name(name.name))
            if newest is not None and sequence <= newest.sequence:
                raise IpnsRecordOutdated(
                    f"Sequence {sequence} is not above {newest.sequence}, which is here already.", field="sequence"
                )
        wanted = replace(name, value=path, lifetime_seconds=lifetime_seconds, ttl_seconds=ttl_seconds, replaced_by=None)
        signed = await signing.sign(ctx, wanted, sequence=sequence)
        await _record(ctx, "ipns.publish", name, signed)
    return signed


async def put_record(ctx: Context, project_id: str, name_text: str, data: bytes) -> IpnsName:
    """Keep a record that was signed elsewhere; the key need not be here. Putting the newest again changes nothing.

    :raises NameInvalid: not an IPNS name. :raises InvalidIpnsRecord: does not verify, or leads to no path.
    :raises IpnsRecordOutdated: expired, or not newer than what is here.
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    name, record, value = _verified(ctx, name_text, data)
    async with ctx.transaction() as tx:
        newest = await signing.newest(ctx, name)
        if newest is not None and newest.data != data and ipns.newer(newest, record) is newest:
            raise IpnsRecordOutdated(
                f"A newer record of {ipns.to_text(name)} is here: its sequence is {newest.sequence}, that of this one "
                f"{record.sequence}.",
                hint="Publish again with a higher sequence.",
            )
        known = await store.ipns.in_project(tx, project.id, ipns.to_text(name))
        if known is None:
            known = signing.new_name(ctx, project.id, name)
            await signing.keep_name(ctx, known)
        elif known.record == data:
            return known
        left = record.valid_until - ctx.now
        kept = replace(
            known,
            value=value,
            record=data,
            sequence=record.sequence,
            valid_until=record.valid_until,
            ttl_seconds=record.ttl_seconds,
            due_at=ctx.now + left / 2 if known.key_type else None,
            announce_at=ctx.now,
            updated_at=ctx.now,
        )
        await store.ipns.update(tx, kept)
        ctx.ring("names")
        ctx.ring("work")
        await _record(ctx, "ipns.put", known, kept)
    return kept


def _verified(ctx: Context, name_text: str, data: bytes) -> tuple[ipns.Name, ipns.Record, str]:
    name = rules.as_ipns_name(name_text.removeprefix("/ipns/"))
    if name is None:
        raise NameInvalid(f"{name_text[:80]!r} is not an IPNS name.", field="name")
    try:
        record = ipns.read(name, data)
        value = rules.read_target(record.value.decode("utf-8")).path
    except (InvalidRecord, UnicodeDecodeError) as error:
        raise InvalidIpnsRecord(f"That is no record of {ipns.to_text(name)}: {error}.", field="record") from None
    except NameInvalid as error:
        raise InvalidIpnsRecord(f"The record leads nowhere: {error.message}", field="record") from None
    if record.is_expired(ctx.now):
        raise IpnsRecordOutdated(f"The record expired on {record.valid_until:%Y-%m-%d at %H:%M} UTC.")
    return name, record, value


async def _record(ctx: Context, action: str, before: IpnsName, after: IpnsName) -> None:
    changed = [{"value": name.value, "sequence": name.sequence} for name in (before, after)]
    await projects.audit(ctx, action, after.project_id, after.id, *changed)
