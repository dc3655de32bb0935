"""Blocks in a Kubo node, by its RPC API (https://docs.ipfs.tech/reference/kubo/rpc/), with our own index beside it.

Kubo keeps the bytes; who may see them and when they were last wanted is in the same SQLite index that the segment store
has. Kubo's own garbage collection must be off (it is by default): blocks are not pinned there one by one. Kubo's
datastore must be ``sync: true`` for puts to be durable. The node may hold other blocks; they are never shown. It must
not be reachable for other nodes (`ipfs daemon --offline`): it would give private blocks to whoever knows their CIDs.
Kubo finds blocks by multihash, whatever the codec in the CID.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from af.core.clock import Clock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import varint
from af.protocols.ipfs.cid import CID
from af.storage.backends import Progress, Reachable
from af.storage.backends.index import BlockIndex, Claim, Placement
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.backends.sweep import Sweep, only_one
from af.storage.errors import BlockCorrupt, BlockMissing, BlockServiceFailed
from af.storage.models import BlockStats, ScrubReport, Swept

_HASHES = {cids.SHA2_256: "sha2-256", cids.SHA2_512: "sha2-512", cids.BLAKE2B_256: "blake2b-256"}
_CODECS = (cids.DAG_PB, cids.RAW, cids.DAG_CBOR, cids.DAG_JSON)
_REQUEST_BYTES = 8 << 20
_REQUEST_BLOCKS = 1000
_REMOVED_AT_ONCE = 100  # CIDs go in the address
_PROGRESS_BLOCKS = 200
T = TypeVar("T")


class KuboStore:
    """A `BlockStore` over the node behind ``rpc``; the index lives in ``directory``."""

    def __init__(self, directory: Path, *, rpc: KuboRpc, clock: Clock, touch_slack_seconds: float = 0.0) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._index = BlockIndex(directory / "index.sqlite")
        self._rpc = rpc
        self._clock = clock
        self._slack = int(touch_slack_seconds * 1000)

    async def rebuilt(self) -> str:
        return ""  # a lost index is not rebuilt: the node's blocks do not say which of them are ours

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        return cids.digest(cid) if cids.is_identity(cid) else None

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        if cids.is_identity(cid):
            return cids.digest(cid)
        location = self._index.locate(cid)
        if location is None or (public_only and not location.public):
            raise BlockMissing(cid)
        if location.corrupt:
            raise BlockCorrupt(cid)
        data = await self._fetch(cid)
        if data is None:
            raise BlockMissing(cid, detail="the index has it, the node does not")
        if not cids.matches(cid, data):
            raise BlockCorrupt(cid, detail="the node answered other bytes")
        return data

    async def read(self, cid: CID, offset: int, length: int, *, public_only: bool = False) -> bytes:
        return (await self.get(cid, public_only=public_only))[offset : offset + length]

    async def put(self, blocks: Sequence[tuple[CID, bytes]], *, scope: str) -> int:
        wanted = {cid: data for cid, data in blocks if not cids.is_identity(cid)}
        visible = await self._in_thread(partial(self._index.visible, list(wanted), scope))
        with await self._in_thread(partial(_Lock, self._directory, fcntl.LOCK_SH)):
            known = [cid for cid in wanted if (at := self._index.locate(cid)) is not None and not at.corrupt]
            fresh = {cid: wanted[cid] for cid in wanted.keys() - set(known)}
            await asyncio.gather(*(self._send(function, batch) for function, batch in _requests(fresh)))
            placements = [Placement(cid, None, 0, len(data)) for cid, data in fresh.items()]
            record = partial(self._index.record, placements, known, [Claim(scope, list(wanted))])
            vanished = await self._in_thread(partial(record, segment_end=None, now=self._now()))
            assert not vanished, "collections wait for the lock"
        return len(wanted) - len(visible)

    async def missing(self, cids: Sequence[CID], *, scope: str) -> list[CID]:
        return await self._in_thread(partial(self._index.missing, cids, scope, self._now(), self._slack))

    async def publish(self, cids: Sequence[CID], *, scope: str | None = None) -> None:
        await self._in_thread(partial(self._index.grant, cids, scope))

    async def collect(self, reachable: Reachable, *, untouched_since: datetime, dry_run: bool) -> Swept:
        cutoff = int(untouched_since.timestamp() * 1000)
        blocks = size = 0
        with only_one(self._directory):
            sweep = await self._in_thread(partial(Sweep, self._index))
            try:
                async for batch in reachable:
                    await self._in_thread(partial(sweep.mark, batch))
                steps = sweep.sweep(cutoff, dry_run=dry_run)
                while True:
                    # A put between the removal of a row and that of its bytes would lose them: it waits.
                    with await self._in_thread(partial(_Lock, self._directory, fcntl.LOCK_EX)):
                        removed = await self._in_thread(partial(next, steps, None))
                        if removed is None:
                            break
                        if not dry_run:
                            await self._remove([row.cid for row in removed])
                    blocks += len(removed)
                    size += sum(row.length for row in removed)
            finally:
                await self._in_thread(sweep.close)
        return Swept(blocks=blocks, bytes=size, freed_bytes=0 if dry_run else size)

    async def scrub(self, progress: Progress | None = None) -> ScrubReport:
        with only_one(self._directory, "scrub"):
            return await self._scrub(progress)

    async def _scrub(self, progress: Progress | None) -> ScrubReport:
        every = await self._in_thread(self._index.every_cid)
        corrupt: list[CID] = []
        blocks = size = 0
        for cid in every:
            location = self._index.locate(cid)
            if location is None:
                continue
            data = await self._fetch(cid)
            whole = data is not None and cids.matches(cid, data)
            if whole == bool(location.corrupt):
                await self._in_thread(partial(self._index.set_corrupt, cid, location, not whole))
            if not whole:
                corrupt.append(cid)
            blocks += 1
            size += location.length
            if progress is not None and blocks % _PROGRESS_BLOCKS == 0:
                progress(blocks, len(every))
        if progress is not None:
            progress(blocks, len(every))
        return ScrubReport(blocks=blocks, bytes=size, corrupt=tuple(corrupt))

    async def stats(self) -> BlockStats:
        return await self._in_thread(self._index.stats)

    async def restored(self) -> None:
        """Nothing to note: see `rebuilt`."""

    async def close(self) -> None:
        self._index.close()

    # The node

    async def _fetch(self, cid: CID) -> bytes | None:
        return await self._rpc.block_get(cid)

    async def _send(self, function: str, blocks: dict[CID, bytes]) -> None:
        """Put blocks with one hash function, and check that the node made the same multihashes of them."""
        made = await self._rpc.block_put(list(blocks.values()), function=function)
        if [cids.multihash(key) for key in made] != [cids.multihash(cid) for cid in blocks]:
            raise BlockServiceFailed("The Kubo node stored other blocks than it was sent.", detail=f"{len(made)} keys")

    async def _remove(self, removed: Sequence[CID]) -> None:
        unused = [cid for cid in removed if not any(self._index.locate(twin) for twin in _twins(cid))]
        for start in range(0, len(unused), _REMOVED_AT_ONCE):
            await self._rpc.block_rm(unused[start : start + _REMOVED_AT_ONCE])

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


class _Lock:
    """Puts share it, the removal of blocks has it alone; between processes too. Made (and waited for) in a thread."""

    def __init__(self, directory: Path, how: int) -> None:
        self._descriptor = -1
        self._descriptor = os.open(directory / "put.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, how)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.__del__()

    def __del__(self) -> None:  # also when the task that waited for the lock was cancelled and never entered it
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _requests(blocks: dict[CID, bytes]) -> Iterator[tuple[str, dict[CID, bytes]]]:
    """Bounded requests, each with one hash function."""
    by_function: dict[str, list[CID]] = {}
    for cid in blocks:
        code, _ = varint.decode(cids.multihash(cid))
        by_function.setdefault(_HASHES[code], []).append(cid)
    for function, members in by_function.items():
        batch: dict[CID, bytes] = {}
        size = 0
        for cid in members:
            batch[cid] = blocks[cid]
            size += len(blocks[cid])
            if size >= _REQUEST_BYTES or len(batch) >= _REQUEST_BLOCKS:
                yield function, batch
                batch, size = {}, 0
        if batch:
            yield function, batch


def _twins(cid: CID) -> Iterator[CID]:
    """The CIDs under which the index may know the same bytes."""
    multihash = cids.multihash(cid)
    if multihash[:2] == b"\x12\x20":
        yield CID(multihash)
    for codec in _CODECS:
        yield CID(b"\x01" + varint.encode(codec) + multihash)
