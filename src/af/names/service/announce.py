"""IPNS records on the open network: the Kubo node beside the platform puts them into its routing system, where other
nodes find them. Nothing waits for it: while the node is away, rows wait."""

from __future__ import annotations

from datetime import datetime, timedelta

from af import storage
from af.core.context import Context, only_the_platform
from af.core.errors import Error
from af.core.ids import IpnsRecordId
from af.names import store

AT_ONCE_MAX = 100
AGAIN_AFTER = timedelta(hours=12)
"""Nodes of the network forget a record after one or two days."""
RETRY_AFTER = timedelta(minutes=10)


async def to_announce(ctx: Context) -> list[tuple[IpnsRecordId, datetime]]:
    """Names whose record is to be given to the network, and since when; none without a Kubo node. For the worker."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        found = await store.ipns.to_announce(connection, ctx.now, AT_ONCE_MAX)
    if found:
        try:
            await storage.check_kubo(ctx)
        except Error as error:  # not configured, or down, which `/ready` shows
            ctx.log.debug("IPNS records wait for a Kubo node", waiting=len(found), why=error.message)
            return []
    return found


async def announce(ctx: Context, record_id: IpnsRecordId) -> None:
    """Give the record to the network, if it is still due. Harmless when repeated."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        name = await store.ipns.by_id(connection, record_id)
    if name is None or name.record is None or name.announce_at is None or name.announce_at > ctx.now:
        return
    pause = AGAIN_AFTER
    try:
        await storage.publish_ipns_record(ctx, name.name, name.record)
    except Error as error:
        pause = RETRY_AFTER
        ctx.log.warning("IPNS record not announced", name=name.name, why=error.message, detail=error.detail)
    async with ctx.transaction() as tx:
        await store.ipns.announce_next(tx, name.id, name.announce_at, ctx.now + pause)
