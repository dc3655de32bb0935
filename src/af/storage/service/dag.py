"""Whole DAGs: is everything below a root there, how many files is it, may everybody see it, why is it kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from af.core.context import Context, in_transaction
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link
from af.protocols.ipfs.errors import InvalidBlock, IpfsError, UnsupportedCodec
from af.storage import store
from af.storage.backends import BlockStore
from af.storage.errors import MISSING_SHOWN, BlockCorrupt, BlockMissing, DagTooLarge, InvalidDag, MissingBlocks
from af.storage.models import DagSummary, RootKind
from af.storage.service.access import block_store, copies_are_kept
from af.storage.service.blocks import batches

LEASE = timedelta(hours=1)
_BLOCKS_MAX = 1_000_000
_BATCH_BLOCKS = 1000
_YIELD_NODES = 64  # decoded between two turns of the event loop


async def verify_dag(ctx: Context, project_id: str, root: CID) -> DagSummary:
    """Check that every block below ``root`` is there and that the project may use it. The caller has authorised.

    The content is then safe from garbage collection for `LEASE`: time enough to `hold` it. Blocks were verified when
    they were stored, so this reads inner nodes only.

    :raises MissingBlocks: not all is there. :raises InvalidDag: a node cannot be read.
    :raises DagTooLarge: over ``files_max``, or too many blocks or levels
    """
    assert not in_transaction(), "the lease must be committed before the first block is touched"
    blocks = block_store(ctx)
    if await blocks.missing([root], scope=project_id):
        raise MissingBlocks(root, [root], 1)
    await _lease(ctx, project_id, root)
    walk = _Walk(blocks, project_id)
    await walk.run(root)
    if walk.missing:
        raise MissingBlocks(root, walk.missing, walk.missing_count)
    files, size = _totals(root, walk.nodes)
    if files > ctx.settings.files_max:
        raise DagTooLarge(f"The content has {files:,} files, {ctx.settings.files_max:,} are allowed (AF_FILES_MAX).")
    if root not in walk.nodes:
        size = len(await blocks.get(root))  # a file of one raw block: no link claims its size
    return DagSummary(root=root, files=files, bytes=size, blocks=len(walk.seen))


async def publish(ctx: Context, root: CID) -> None:
    """Let everybody see the DAG: call it before the transaction that holds ``root`` publicly. Quick for a DAG that is
    held publicly already. The caller has authorised and verified."""
    assert not in_transaction(), "the block store is not part of the transaction"
    async with ctx.reading() as connection:
        if await store.is_held_publicly(connection, root):
            return
    await share(block_store(ctx), root, scope=None)


async def share(blocks: BlockStore, root: CID, *, scope: str | None) -> None:
    """Let ``scope`` (or everybody) see what is stored of the DAG."""
    async for batch in reachable(blocks, root, seen=set(), unreadable=[]):
        await blocks.publish(batch, scope=scope)


async def hold(ctx: Context, project_id: ProjectId, root: CID, kind: RootKind, ref: str, public: bool = True) -> None:
    """Keep the DAG for as long as ``(kind, ref)`` is not released. Joins the caller's transaction; the caller has
    authorised, verified and (for ``public``) published it."""
    async with ctx.transaction() as tx:
        await store.hold(tx, cid=root, kind=kind, ref=ref, project_id=project_id, public=public, now=ctx.now)
        if public and copies_are_kept(ctx):
            await store.copies.want(tx, [root], ctx.now)


async def release(ctx: Context, kind: RootKind, *refs: str) -> None:
    """No longer keep what ``(kind, ref)`` held; its blocks go at a later collection if nothing else needs them. Joins
    the caller's transaction; the caller has authorised."""
    async with ctx.transaction() as tx:
        public = await store.public_roots(tx, kind, refs) if copies_are_kept(ctx) else []
        await store.release(tx, kind, refs)
        await store.copies.let_go(tx, public, ctx.now)


async def _lease(ctx: Context, project_id: str, root: CID) -> None:
    """See `backends.sweep` for why this comes before the walk."""
    async with ctx.reading() as connection:
        ends = await store.lease_ends(connection, root, project_id)
    if ends is not None and ends > ctx.now + LEASE / 2:
        return
    async with ctx.transaction() as tx:
        await store.hold(
            tx,
            cid=root,
            kind="upload",
            ref=project_id,
            project_id=project_id,
            public=False,
            now=ctx.now,
            expires_at=ctx.now + LEASE,
        )


# --- walking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """An inner node. ``kind`` is `None` for what is not UnixFS."""

    kind: Kind | None
    size: int
    links: tuple[Link, ...]


@dataclass(slots=True)
class _Walk:
    """Breadth first, so that each level is looked up in few large questions."""

    blocks: BlockStore
    scope: str
    seen: set[CID] = field(default_factory=set)
    nodes: dict[CID, _Node] = field(default_factory=dict)
    missing: list[CID] = field(default_factory=list)
    missing_count: int = 0

    async def run(self, root: CID) -> None:
        level = [root]
        self.seen.add(root)
        for _ in range(export.MAX_WALK_DEPTH):
            if not level:
                return
            below: list[CID] = []
            for batch in batches(level, _BATCH_BLOCKS):
                absent = set(await self.blocks.missing(batch, scope=self.scope))
                self.missing_count += len(absent)
                self.missing += list(absent)[: MISSING_SHOWN - len(self.missing)]
                below += await self._read([cid for cid in batch if cid not in absent])
            level = below
        raise DagTooLarge(f"The content is more than {export.MAX_WALK_DEPTH} levels deep.")

    async def _read(self, present: Sequence[CID]) -> list[CID]:
        """Decode the inner nodes among ``present``; returns their children that are new."""
        fresh: list[CID] = []
        inner = [cid for cid in present if cids.codec(cid) != cids.RAW]
        for number, cid in enumerate(inner, 1):
            block = await self.blocks.get(cid)
            children = self._decode(cid, block)
            for child in children:
                if child not in self.seen:
                    self.seen.add(child)
                    fresh.append(child)
            if len(self.seen) > _BLOCKS_MAX:
                raise DagTooLarge(f"The content has more than {_BLOCKS_MAX:,} blocks.")
            if number % _YIELD_NODES == 0:
                await asyncio.sleep(0)
        return fresh

    def _decode(self, cid: CID, block: bytes) -> list[CID]:
        try:
            if cids.codec(cid) != cids.DAG_PB:
                return export.links_of(cid, block)
            node = dagpb.decode_node(block)
            self.nodes[cid] = _node(node)
            return [link.cid for link in node.links]
        except (InvalidBlock, UnsupportedCodec) as error:
            raise InvalidDag(f"The block {cids.to_text(cid)} cannot be read: {error}.") from error


def _node(node: dagpb.Node) -> _Node:
    """Files keep no links: what is below them does not count as files."""
    if node.data is None:
        return _Node(None, 0, node.links)
    try:
        message = dagpb.decode_unixfs(node.data)
    except InvalidBlock:
        return _Node(None, 0, node.links)  # dag-pb of another kind may be kept, though not be a site
    is_folder = message.kind in (Kind.DIRECTORY, Kind.HAMT_SHARD)
    size = len(message.data or b"") if message.size_bytes is None else message.size_bytes
    return _Node(message.kind, size, node.links if is_folder else ())


def _totals(root: CID, nodes: dict[CID, _Node]) -> tuple[int, int]:
    """(files, bytes) below ``root``. A folder that is linked twice counts twice but is added up once: nested twins
    double at each level, so counting paths one by one would not end."""
    if root not in nodes:
        return (1, 0) if cids.codec(root) == cids.RAW else (0, 0)
    done: dict[CID, tuple[int, int]] = {}
    pending: list[tuple[CID, Iterator[Link]]] = [(root, iter(nodes[root].links))]
    while pending:
        cid, links = pending[-1]
        deeper = next((link.cid for link in links if link.cid in nodes and link.cid not in done), None)
        if deeper is not None:
            pending.append((deeper, iter(nodes[deeper].links)))
            continue
        pending.pop()
        done[cid] = _sum(nodes[cid], done)
    return done[root]


def _sum(node: _Node, done: dict[CID, tuple[int, int]]) -> tuple[int, int]:
    if node.kind not in (Kind.DIRECTORY, Kind.HAMT_SHARD):
        return (1, node.size)
    files = size = 0
    for link in node.links:
        below = done.get(link.cid, (1, link.tsize))  # not an inner node: a file of one raw block
        files += below[0]
        size += below[1]
    return files, size


async def reachable(
    blocks: BlockStore, root: CID, *, seen: set[CID], unreadable: list[CID]
) -> AsyncIterator[Sequence[CID]]:
    """Batches of the CIDs below ``root``. ``seen`` holds the inner nodes walked before (by earlier calls too): they and
    what is below them are passed over; leaves may come more than once. Nodes that cannot be read are noted in
    ``unreadable``. For upkeep: asks for no rights."""
    if root in seen:
        return
    seen.add(root)
    pending, batch = [root], [root]
    while pending:
        cid = pending.pop()
        if cids.codec(cid) == cids.RAW:
            continue
        try:
            links = export.links_of(cid, await blocks.get(cid))
        except (BlockMissing, BlockCorrupt, IpfsError):
            unreadable.append(cid)
            continue
        fresh = [link for link in dict.fromkeys(links) if link not in seen]
        inner = [link for link in fresh if cids.codec(link) != cids.RAW]
        seen.update(inner)
        pending += inner
        batch += fresh
        if len(batch) >= _BATCH_BLOCKS:
            yield batch
            batch = []
    if batch:
        yield batch
