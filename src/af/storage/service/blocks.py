"""Blocks in and out: what is missing, CARs received, the reader that other domains use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from af.core.context import Context
from af.protocols.ipfs import car, export
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCar, UnsupportedHash
from af.storage.backends import BlockStore
from af.storage.errors import BlockMissing, InvalidCarBlock, InvalidCarFile
from af.storage.models import CarReceipt
from af.storage.service.access import block_store, may_upload

_CHUNK_BYTES = 1 << 20
"""What a thread parses and hashes at a time."""
_BATCH_BYTES = 4 << 20
"""What is stored at a time; two batches may be in memory for each upload."""
Block = tuple[CID, bytes]


async def missing(ctx: Context, project_id: str, cids: Sequence[CID]) -> list[CID]:
    """Those of ``cids`` that the project must still upload."""
    project = await may_upload(ctx, project_id)
    return await block_store(ctx).missing(cids, scope=project.id)


def reader(ctx: Context, project_id: str) -> export.Get:
    """A function that gets the blocks which the project can see. The caller has authorised.

    :raises BlockMissing, BlockCorrupt: (from the function)
    """
    store = block_store(ctx)

    async def get(cid: CID) -> bytes:
        data = store.peek(cid, public_only=True)
        if data is None and await store.missing([cid], scope=project_id):
            raise BlockMissing(cid)
        return data if data is not None else await store.get(cid)

    return get


async def receive_car(
    ctx: Context, project_id: str, chunks: AsyncIterator[bytes], *, public: bool = False
) -> CarReceipt:
    """Store the blocks of a CAR as it arrives. Every block is verified before it is stored; of those
    before a bad one, some stay. ``public``: everybody may see them at once, whether they are whole content or not.

    :raises InvalidCarBlock: a block does not match its CID; names both CID and offset
    :raises InvalidCarFile: the CAR is malformed, cut short or followed by something else
    """
    project = await may_upload(ctx, project_id)
    return await _Receiver(block_store(ctx), project.id, ctx.settings.block_bytes_max, public).receive(chunks)


class _Receiver:
    """One CAR on its way in: while a batch becomes durable, the next one is parsed and hashed."""

    def __init__(self, store: BlockStore, scope: str, block_bytes_max: int, public: bool) -> None:
        self._store = store
        self._scope = scope
        self._public = public
        self._reader = car.CarReader(max_block_bytes=block_bytes_max)
        self._batch: list[Block] = []
        self._batch_bytes = 0
        self._storing: asyncio.Task[int] | None = None
        self._blocks = self._bytes = self._new = 0

    async def receive(self, chunks: AsyncIterator[bytes]) -> CarReceipt:
        try:
            async for part in _regroup(chunks):
                self._take(await asyncio.to_thread(partial(self._parse, part)))
                if self._batch_bytes >= _BATCH_BYTES:
                    await self._store_batch()
            with _as_invalid_car():
                self._reader.finish()
            await self._store_batch()
        finally:
            await self._await_storing()  # also after an error: nothing goes on behind the caller's back
        assert self._reader.roots is not None
        return CarReceipt(roots=self._reader.roots, blocks=self._blocks, new_blocks=self._new, bytes=self._bytes)

    def _parse(self, part: bytes) -> list[Block]:
        """In a thread: the verified blocks that are now whole."""
        blocks: list[Block] = []
        with _as_invalid_car():
            for cid, data in self._reader.feed(part):
                _verify(cid, data, self._reader.offset)
                blocks.append((cid, data))
        return blocks

    def _take(self, blocks: list[Block]) -> None:
        self._batch += blocks
        self._batch_bytes += sum(len(data) for _, data in blocks)

    async def _store_batch(self) -> None:
        await self._await_storing()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self._blocks += len(batch)
            self._bytes += sum(len(data) for _, data in batch)
            self._storing = asyncio.create_task(self._put(batch))

    async def _put(self, batch: list[Block]) -> int:
        new = await self._store.put(batch, scope=self._scope)
        if self._public:
            await self._store.publish([cid for cid, _ in batch])
        return new

    async def _await_storing(self) -> None:
        storing, self._storing = self._storing, None
        if storing is not None:
            self._new += await storing


def _verify(cid: CID, data: bytes, offset: int) -> None:
    try:
        if not cids.verify(cid, data):
            raise InvalidCarBlock(cid, offset, "does not match its CID")
    except UnsupportedHash as error:
        raise InvalidCarBlock(cid, offset, f"cannot be checked: {error}") from error


@contextmanager
def _as_invalid_car() -> Iterator[None]:
    """Turns the reader's complaint into ours."""
    try:
        yield
    except InvalidCar as error:
        raise InvalidCarFile(f"Not a whole CAR: {error}.", error.offset) from error


async def _regroup(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in parts of about `_CHUNK_BYTES`, so that a thread is worth its switch."""
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def batches(blocks: Sequence[CID], count: int) -> Iterator[Sequence[CID]]:
    """``blocks`` in slices of ``count``."""
    for start in range(0, len(blocks), count):
        yield blocks[start : start + count]
