"""Public content on the open network: copies in the Kubo node, which announces them and gives them to other nodes.

Public roots (`content_roots`) are the truth, rows of ``kubo_copies`` say how far the node is with each: they change
with the roots (`dag.hold`, `dag.release`), and are compared with all of them now and then. Only blocks that everybody
may see are read, so nothing private can get there. Nothing waits for the node: while it is down, rows wait.

wanted -> pinned -> announced; when no public root holds it any more: leaving -> gone, until the node has collected it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from af.core import metrics
from af.core.context import Context, only_the_platform
from af.core.errors import Error
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage import store
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.errors import BlockServiceFailed, KuboNotConfigured
from af.storage.models import CopyState, KuboCopy
from af.storage.service.access import copies_are_kept
from af.storage.service.export import public_car
from af.storage.store import copies

DUE_MAX = 200
"""Copies that one look finds; the rest waits for the next one."""
_PAGE = 500
_ANSWER_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 15.0
_LONGEST_DELAY_SECONDS = 3600.0
_ERROR_MAX = 500


def kubo_node(ctx: Context) -> KuboRpc | None:
    """The node that talks to others, if the settings name one."""
    return _named(ctx) if copies_are_kept(ctx) else None


async def check_kubo(ctx: Context) -> str:
    """For ``/ready``: the node's version. :raises KuboNotConfigured, BlockServiceFailed:"""
    node = _named(ctx)
    if node is None:
        raise _not_configured()
    return await node.version(timeout_seconds=_ANSWER_SECONDS)


async def publish_ipns_record(ctx: Context, name: str, record: bytes) -> None:
    """Give a valid IPNS record that is public here to the network. ``name`` is the IPNS name as text. The caller has
    authorised and verified, and tries again when it fails. In a network of peers alone there is nowhere to put it.

    :raises KuboNotConfigured: there is no node. :raises BlockServiceFailed: it is down, or refused
    """
    node = kubo_node(ctx)
    if node is None:
        raise _not_configured()
    if _has_routing(ctx):
        await node.put_ipns_record(name, record)


async def copies_due(ctx: Context) -> list[KuboCopy]:
    """Copies to be worked on: none while the node is down. For the worker."""
    only_the_platform(ctx)
    node = kubo_node(ctx)
    if node is None:
        return []
    async with ctx.reading() as connection:
        found = await copies.due(connection, ctx.now, DUE_MAX)
    if found:
        try:
            await node.version(timeout_seconds=_ANSWER_SECONDS)
        except BlockServiceFailed as error:  # `/ready` shows it; the log would say it every few seconds
            ctx.log.debug("the Kubo node does not answer; copies wait", waiting=len(found), why=error.message)
            return []
    return found


async def compare_copies(ctx: Context) -> int:
    """Bring the rows in line with all public roots, some hundreds at once: what was held before there was a node, or by
    a process that knows of none, or let go of with a whole project. Returns how many changed. For the worker."""
    only_the_platform(ctx)
    if kubo_node(ctx) is None:
        return 0
    async with ctx.reading() as connection:
        changes = await copies.changes(connection, _PAGE)
    if changes:
        async with ctx.transaction() as tx:
            await copies.want(tx, (*changes.fresh, *changes.again), ctx.now)
            await copies.let_go(tx, changes.unheld, ctx.now)
    return len(changes.fresh) + len(changes.again) + len(changes.unheld)


async def tend_copy(ctx: Context, root: CID) -> None:
    """Do what the copy's row asks for. A failure is noted in the row, which is then due again later."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        copy = await copies.get(connection, root)
    node = kubo_node(ctx)
    if copy is None or node is None:
        return
    try:
        if copy.state is CopyState.LEAVING:
            await _take_back(ctx, node, copy)
        elif copy.state in (CopyState.WANTED, CopyState.PINNED):
            await _give(ctx, node, copy)
    except Error as error:
        await copy_failed(ctx, root, error)


async def copy_failed(ctx: Context, root: CID, error: Exception) -> None:
    """Note why it did not work, and when to try again."""
    only_the_platform(ctx)
    reason = error.message if isinstance(error, Error) else "Something went wrong on our side."
    async with ctx.transaction() as tx:
        copy = await copies.get(tx, root)
        if copy is None or copy.state not in (CopyState.WANTED, CopyState.PINNED, CopyState.LEAVING):
            return
        delay = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(copy.attempts, 10))
        await copies.become(
            tx,
            [root],
            copy.state,
            now=ctx.now,
            due_at=ctx.now + timedelta(seconds=delay),
            attempts=copy.attempts + 1,
            error=reason[:_ERROR_MAX],
        )
    _count("failed")
    ctx.log.warning("copy in Kubo will be tried again", root=cids.to_text(root), state=copy.state, why=reason)


async def _give(ctx: Context, node: KuboRpc, copy: KuboCopy) -> None:
    turn = copy.turn
    if copy.state is CopyState.WANTED:
        if not await _is_public(ctx, copy.root):
            await _note(ctx, copy, CopyState.LEAVING, turn=turn, due_at=ctx.now)
            return
        if not await node.is_pinned(copy.root):
            await node.import_car(public_car(ctx, copy.root))
        announces = _has_routing(ctx)
        await _note(ctx, copy, CopyState.PINNED, turn=turn, due_at=ctx.now if announces else None)
        turn += 1
        _count("pinned")
        if not announces:
            return
    await node.provide(copy.root)
    await _note(ctx, copy, CopyState.ANNOUNCED, turn=turn, due_at=None)
    _count("announced")


async def _take_back(ctx: Context, node: KuboRpc, copy: KuboCopy) -> None:
    """What is unpinned is gone when the node collects its garbage; see `tend_kubo`."""
    if await _is_public(ctx, copy.root):  # again, while another let go of it
        await _note(ctx, copy, CopyState.WANTED, turn=copy.turn, due_at=ctx.now)
        return
    await node.pin_rm(copy.root)
    await _note(ctx, copy, CopyState.GONE, turn=copy.turn, due_at=None)
    _count("unpinned")


async def tend_kubo(ctx: Context) -> None:
    """From time to time: remove unpinned content from a node that is ours alone, and want copies again that the node
    has lost, say because it is another one now."""
    only_the_platform(ctx)
    node = kubo_node(ctx)
    if node is None:
        return
    try:
        await _collect_gone(ctx, node)
        await _want_lost(ctx, node)
    except BlockServiceFailed as error:
        ctx.log.warning("the Kubo node could not be tended", why=error.message)


async def _collect_gone(ctx: Context, node: KuboRpc) -> None:
    started = ctx.now
    async with ctx.reading() as connection:
        gone = await copies.in_states(connection, [CopyState.GONE], after=None, limit=1)
    if not gone:
        return
    if ctx.settings.kubo:  # of a node elsewhere we do not know what it holds besides
        await node.collect_garbage()
    async with ctx.transaction() as tx:
        await copies.delete_gone(tx, started)


async def _want_lost(ctx: Context, node: KuboRpc) -> None:
    pinned = {cid async for cid in node.pins()}
    after: CID | None = None
    while True:
        async with ctx.reading() as connection:
            states = [CopyState.PINNED, CopyState.ANNOUNCED]
            page = await copies.in_states(connection, states, after=after, limit=_PAGE)
        lost = [copy.root for copy in page if copy.root not in pinned]
        if lost:
            ctx.log.warning("copies in Kubo were lost", count=len(lost))
            async with ctx.transaction() as tx:
                await copies.become(tx, lost, CopyState.WANTED, now=ctx.now, due_at=ctx.now)
        if len(page) < _PAGE:
            return
        after = page[-1].root


async def _is_public(ctx: Context, root: CID) -> bool:
    async with ctx.reading() as connection:
        return await store.is_held_publicly(connection, root)


async def _note(ctx: Context, copy: KuboCopy, state: CopyState, *, turn: int, due_at: datetime | None) -> None:
    """Unless the row was changed meanwhile: then another run follows."""
    async with ctx.transaction() as tx:
        await copies.become(tx, [copy.root], state, now=ctx.now, due_at=due_at, turn=turn)
    ctx.log.info("copy in Kubo", root=cids.to_text(copy.root), state=state)


def _named(ctx: Context) -> KuboRpc | None:
    found: KuboRpc | None = ctx.platform.ports.get(KuboRpc)
    return found


def _has_routing(ctx: Context) -> bool:
    """Whether the node can tell others at all; of a node elsewhere we suppose so."""
    return not (ctx.settings.kubo and ctx.settings.kubo_network == "peers")


def _not_configured() -> KuboNotConfigured:
    return KuboNotConfigured(
        "No Kubo node is configured that talks to others.",
        hint="Start with `af up --kubo`, or set AF_KUBO_RPC_URL to a node that is not the block store.",
    )


def _count(outcome: str) -> None:
    metrics.counter("af_storage_kubo_copies_total").labels(outcome).inc()
