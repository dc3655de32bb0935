"""Copies: which are wanted, and what each one wants next. The rows are the truth; a run brings one row one step on."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from af import domains, projects, storage
from af.core import metrics
from af.core.context import Context, only_the_platform
from af.core.errors import Error
from af.core.ids import CopyId, ProjectId
from af.core.metrics import Gauges
from af.protocols.ipfs import car, export
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError, LimitExceeded
from af.replication import rules, store
from af.replication.backends import Provider
from af.replication.errors import NotReadable, ProviderFailed
from af.replication.models import Copy, CopyState, Receipt, Source
from af.replication.rules import Step
from af.replication.service.access import READ, WRITE, providers
from af.replication.store import Wanted
from af.storage import InvalidDag

PAGE_MAX = 500
DUE_MAX = 100
_PROJECTS_PAGE = 200
_ERROR_MAX = 500
_RANDOM = random.SystemRandom()


async def list_copies(
    ctx: Context, project_id: str, *, root: CID | None = None, first: int = PAGE_MAX, after: str | None = None
) -> list[Copy]:
    """Oldest first, at most ``first`` behind the id ``after``; with ``root`` only those of that content."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        limit = max(1, min(first, PAGE_MAX + 1))
        return await store.of_project(connection, project.id, root=root, after=after, limit=limit)


async def look_again(ctx: Context, project_id: str, root: CID) -> int:
    """Tend the project's copies of a root now rather than when they are due; how many there are."""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    async with ctx.transaction() as tx:
        count = await store.make_due(tx, project.id, root, ctx.now)
        ctx.ring("work")
    return count


async def figures(ctx: Context) -> Gauges:
    """What copies show in ``/metrics``."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        counts = await store.counts(connection)
        oldest = await store.oldest_wanted(connection)
    lag = 0.0 if oldest is None else max(0.0, (ctx.now - oldest).total_seconds())
    return {
        "af_replication_copies": {(state.value,): counts.get(state.value, 0) for state in CopyState},
        "af_replication_lag_seconds": {(): lag},
    }


# --- which are wanted ------------------------------------------------------------------------------------------------


async def align_all(ctx: Context) -> None:
    """Bring the rows in line with the policies and with what is live, project by project."""
    only_the_platform(ctx)
    after = ""
    while True:
        async with ctx.reading() as connection:
            page = await store.projects_after(connection, after, _PROJECTS_PAGE)
        for project_id in page:
            await align(ctx, project_id)
        if len(page) < _PROJECTS_PAGE:
            break
        after = page[-1]


async def align(ctx: Context, project_id: ProjectId) -> None:
    """Bring the rows of one project in line, and wake the worker if any changed."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        policies = await store.policies_of(connection, project_id)
        known = await store.wanted_keys(connection, project_id)
    wanted: dict[tuple[str, str], Wanted] = {}
    if policies:
        for content in await _live(ctx, project_id):
            for policy in policies:
                if policy.site_id is None or policy.site_id == content.site_id:
                    for provider in policy.providers:
                        key = (cids.to_text(content.root), provider)
                        wanted.setdefault(key, Wanted(content.root, content.name, provider))
    fresh = [each for key, each in wanted.items() if key not in known]
    gone = known - wanted.keys()
    if not fresh and not gone:
        return
    async with ctx.transaction() as tx:
        if fresh:
            await store.want(tx, project_id, fresh, ctx.now)
        await store.let_go(tx, project_id, gone, ctx.now, ctx.now + rules.KEEP_UNWANTED)
        ctx.ring("work")


class _Live:
    """Content that shows now; ``site_id`` is empty for pins."""

    __slots__ = ("name", "root", "site_id")

    def __init__(self, root: CID, name: str, site_id: str) -> None:
        self.root = root
        self.name = name
        self.site_id = site_id


async def _live(ctx: Context, project_id: ProjectId) -> list[_Live]:
    found = [_Live(root, name, "") for root, name in await storage.public_pins(ctx, project_id)]
    for entry in await domains.live(ctx, project_id):
        assert entry.root is not None, "live entries lead somewhere"
        found.append(_Live(cids.parse(entry.root), entry.name, entry.site_id))
    return found


# --- one step of one copy --------------------------------------------------------------------------------------------


async def copies_due(ctx: Context) -> list[Copy]:
    """Those to be worked on."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        return await store.due(connection, ctx.now, DUE_MAX)


async def tend_copy(ctx: Context, copy_id: str) -> None:
    """Do what a copy wants next, and note it in its row. A failure is noted, too; the row is then due again later."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        copy = await store.get(connection, CopyId(copy_id))
    if copy is None or copy.due_at > ctx.now:
        return
    step = rules.next_step(copy, ctx.now)
    try:
        provider = providers(ctx).get(copy.provider)
        if step is Step.REMOVE:
            await _remove(ctx, provider, copy)
            return
        changed = await _stepped(ctx, provider, copy, step)
    except Error as error:
        await copy_failed(ctx, copy_id, error)
        return
    await _save(ctx, changed)
    metrics.counter("af_replication_steps_total").labels(copy.provider, str(step)).inc()


async def _stepped(ctx: Context, provider: Provider, copy: Copy, step: Step) -> Copy:
    """The copy after a step that went well."""
    if step is Step.STORE:
        source = await source_of(ctx, copy.root, copy.name)
        cost = await provider.estimate(source)
        receipt = await provider.store(source)
        changed = replace(copy, cost=cost, car_bytes=source.car_bytes, blocks_proved=0, proved_at=None, attempts=0)
        return _with(changed, receipt, ctx.now, proved=False)
    assert copy.receipt is not None, "only stored copies are polled and proved"
    receipt = await provider.status(copy.root, copy.receipt.ref)
    if receipt.state in (CopyState.STORED, CopyState.FINAL) and step is Step.PROVE:
        return await _proved(ctx, provider, copy, receipt)
    waits = receipt.state is CopyState.WAITING
    return _with(replace(copy, attempts=copy.attempts + 1 if waits else 0), receipt, ctx.now, proved=False)


async def _proved(ctx: Context, provider: Provider, copy: Copy, receipt: Receipt) -> Copy:
    """Reads a sample back from the provider; one wrong or missing block means that the copy is lost."""
    sample = await sample_of(ctx, copy.root)
    try:
        for cid in sample:
            if not cids.matches(cid, await provider.read(copy.root, receipt.ref, cid)):
                raise ProviderFailed(f"{copy.provider} gave wrong bytes for the block {cids.to_text(cid)}.")
    except NotReadable as error:
        return replace(_with(copy, receipt, ctx.now, proved=True), error=error.message)
    proved = replace(copy, blocks_proved=len(sample), proved_at=ctx.now, attempts=0)
    return _with(proved, receipt, ctx.now, proved=True)


async def _remove(ctx: Context, provider: Provider, copy: Copy) -> None:
    if copy.receipt is not None:
        await provider.remove(copy.root, copy.receipt.ref)
    async with ctx.transaction() as tx:
        await store.delete(tx, copy)
    ctx.log.info("copy let go", root=cids.to_text(copy.root), provider=copy.provider)


async def copy_failed(ctx: Context, copy_id: str, error: Exception) -> None:
    """Note why it did not work, and when it is tried again. A copy that could not be proved twice is made anew."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        copy = await store.get(connection, CopyId(copy_id))
    if copy is None:
        return
    reason = error.message if isinstance(error, Error) else "Something went wrong on our side."
    attempts = copy.attempts + 1
    state = copy.state
    if state in (CopyState.STORED, CopyState.FINAL) and attempts >= rules.LOST_AFTER:
        state = CopyState.LOST
    elif state not in (CopyState.STORED, CopyState.FINAL, CopyState.WAITING, CopyState.LOST):
        state = CopyState.FAILED
    due_at = rules.due_after_failure(attempts, ctx.now)
    changed = replace(copy, state=state, attempts=attempts, error=reason[:_ERROR_MAX], due_at=due_at)
    await _save(ctx, replace(changed, updated_at=ctx.now))
    metrics.counter("af_replication_steps_total").labels(copy.provider, "failed").inc()
    ctx.log.warning(
        "copy will be tried again", root=cids.to_text(copy.root), provider=copy.provider, state=state, why=reason
    )


def _with(copy: Copy, receipt: Receipt, now: datetime, *, proved: bool) -> Copy:
    due_at = rules.due_after(receipt.state, proved=proved, attempts=copy.attempts, now=now)
    if copy.unwanted_at is not None:
        due_at = copy.unwanted_at + rules.KEEP_UNWANTED  # nobody proves it any more
    return replace(copy, state=receipt.state, receipt=receipt, error="", due_at=due_at, updated_at=now)


async def _save(ctx: Context, copy: Copy) -> None:
    async with ctx.transaction() as tx:
        await store.save(tx, copy)


# --- what is copied --------------------------------------------------------------------------------------------------


async def source_of(ctx: Context, root: CID, name: str) -> Source:
    """The content as a CAR of known length, of public blocks only. :raises BlockMissing, InvalidDag:"""
    size = len(car.header([root]))
    try:
        async for cid, block in export.walk(storage.public_reader(ctx), root):
            size += len(car.frame(cid, block))
    except IpfsError as error:
        raise InvalidDag(f"The content cannot be read whole: {error}.") from error
    return Source(root=root, name=name, car_bytes=size, car=lambda: storage.public_car(ctx, root))


async def sample_of(ctx: Context, root: CID) -> list[CID]:
    """The root and other blocks by chance, or all where there are few: by reservoir, so that memory does not grow."""
    sample: list[CID] = []
    seen = 0
    try:
        async for cid in _below(ctx, root):
            seen += 1
            if len(sample) < rules.SAMPLE_BLOCKS:
                sample.append(cid)
            elif (place := _RANDOM.randrange(1, seen)) < rules.SAMPLE_BLOCKS:
                sample[place] = cid
    except IpfsError as error:
        raise InvalidDag(f"The content cannot be read whole: {error}.") from error
    return sample


async def _below(ctx: Context, root: CID) -> AsyncIterator[CID]:
    """The public blocks from ``root`` down that can be fetched, each once. Leaves are named by what is above them, so
    they are not read: content is proved daily, wherever it is copied."""
    get = storage.public_reader(ctx)
    pending, seen = [root], {root}
    while pending:
        cid = pending.pop()
        held = cids.is_identity(cid)
        if not held:
            yield cid
        if cids.codec(cid) == cids.RAW:
            continue
        links = export.links_of(cid, cids.digest(cid) if held else await get(cid))
        fresh = [link for link in dict.fromkeys(links) if link not in seen]
        seen.update(fresh)
        pending += reversed(fresh)
        if len(seen) > export.MAX_WALK_BLOCKS:
            raise LimitExceeded(f"the DAG has more than {export.MAX_WALK_BLOCKS:,} blocks")
