"""Upkeep of the whole store: garbage collection, scrubbing, figures. For operators and for the schedule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from af import projects
from af.core.context import Context
from af.core.metrics import Gauges
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage import store
from af.storage.backends import Progress
from af.storage.errors import StoreFailed
from af.storage.models import BlockStats, Collection, PinState, ScrubReport, Swept
from af.storage.service.access import block_store
from af.storage.service.dag import reachable, share

_ROOTS_PAGE = 500


async def collect(ctx: Context, dry_run: bool = False) -> Collection:
    """Free the blocks that no root reaches and that nobody has wanted for ``collect_grace_seconds``. `backends.sweep`
    says why this is safe while others upload and deploy. Dry: count only.

    A root with an unreadable inner node stops the sweep (`Collection.blocked`): what is below that node cannot be
    told from garbage. Heal it (upload again) or delete what keeps it.

    :raises StoreBusy: another collection is running
    """
    await projects.authorize_operator(ctx)
    started = ctx.now  # before the roots are read
    marks = _Marks(ctx)
    try:
        swept = await block_store(ctx).collect(
            marks.all(),
            untouched_since=started - timedelta(seconds=ctx.settings.collect_grace_seconds),
            dry_run=dry_run,
        )
    except _Blocked:
        swept = Swept(blocks=0, bytes=0)
    if not dry_run:
        async with ctx.transaction() as tx:
            await store.delete_expired(tx, started)
    report = Collection(dry_run=dry_run, roots=marks.count, swept=swept, blocked=tuple(marks.blocked))
    ctx.log.info(
        "content collected",
        dry_run=dry_run,
        roots=report.roots,
        blocks=swept.blocks,
        bytes=swept.bytes,
        freed_bytes=swept.freed_bytes,
        blocked=len(report.blocked),
    )
    return report


class _Blocked(Exception):
    """Ends a collection before its sweep."""


class _Marks:
    """What must stay, in batches, from all roots."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.count = 0
        self.blocked: list[CID] = []

    async def all(self) -> AsyncIterator[Sequence[CID]]:
        """:raises _Blocked: after the last root, if a kept one could not be walked"""
        # Leases may be of something not wholly uploaded, so what they pass over says nothing about kept roots.
        seen: dict[bool, set[CID]] = {True: set(), False: set()}
        async for root in roots(self._ctx):
            self.count += 1
            unreadable: list[CID] = []
            kept = root.kind != "upload"
            blocks = block_store(self._ctx)
            async for batch in reachable(blocks, root.cid, seen=seen[kept], unreadable=unreadable):
                yield batch
            if unreadable and kept:
                self.blocked.append(root.cid)
        if self.blocked:
            raise _Blocked


async def roots(ctx: Context) -> AsyncIterator[store.Root]:
    """All roots, a page for each read."""
    last: store.Root | None = None
    while True:
        async with ctx.reading() as connection:
            page = await store.roots_after(connection, last, ctx.now, _ROOTS_PAGE)
        for root in page:
            yield root
        if len(page) < _ROOTS_PAGE:
            return
        last = page[-1]


async def scrub(ctx: Context, progress: Progress | None = None) -> ScrubReport:
    """Re-hash every block; damaged ones are no longer served until they are uploaded again."""
    await projects.authorize_operator(ctx)
    return await block_store(ctx).scrub(progress)


async def block_stats(ctx: Context) -> BlockStats:
    """Figures of the whole store."""
    await projects.authorize_operator(ctx)
    return await block_store(ctx).stats()


async def figures(ctx: Context) -> Gauges:
    """What storage shows in ``/metrics``."""
    await projects.authorize_operator(ctx)
    stats = await block_store(ctx).stats()
    async with ctx.reading() as connection:
        by_state = await store.requests.counts_by_state(connection)
    return {
        "af_storage_blocks": {(): stats.blocks},
        "af_storage_bytes": {(): stats.bytes},
        "af_storage_corrupt_blocks": {(): stats.corrupt_blocks},
        "af_storage_dead_bytes": {(): stats.dead_bytes},
        "af_storage_pin_requests": {(state.value,): by_state.get(state.value, 0) for state in PinState},
    }


async def rights_to_restore(ctx: Context) -> str:
    """Which rebuilding of the index still waits for `restore_visibility`; empty for none. For the worker."""
    return await block_store(ctx).rebuilt()


async def restore_visibility(ctx: Context) -> int:
    """After the index was made anew from the segments: tell it again who may see what, from the roots. Returns how many
    roots were told; 0 when there was nothing to do."""
    await projects.authorize_operator(ctx)
    blocks = block_store(ctx)
    if not await blocks.rebuilt():
        return 0
    told = 0
    async for root in roots(ctx):
        if root.kind == "upload":
            continue  # begun, maybe not whole: what is below it may be another project's. It is uploaded again.
        await share(blocks, root.cid, scope=None if root.public else root.project_id)
        told += 1
    await blocks.restored()
    ctx.log.info("visibility restored", roots=told)
    return told


async def ping(ctx: Context) -> None:
    """For ``/ready``: does the store answer? :raises StoreFailed:"""
    try:
        await block_store(ctx).missing([cids.EMPTY_DIRECTORY], scope="")
    except OSError as error:
        raise StoreFailed("The block store does not answer.", detail=str(error)) from error
