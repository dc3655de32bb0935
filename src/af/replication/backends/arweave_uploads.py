"""One body of data to Arweave: priced, sent by the way that is configured, and followed until it is final.

With an upload service (Turbo) it travels as an ANS-104 item: its id follows from its content, so sending it again after
a crash is known there and not paid twice. Without one it is a format-2 transaction at the gateway: what the wallet has
sent already is looked up in the gateway's index, and its chunks, which cost nothing, are sent again instead of paying.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from af.protocols import ans104
from af.protocols.arweave import chunks, encoding, transactions
from af.protocols.arweave.chunks import Chunk, ChunkHasher, ChunkTree, InvalidChunks
from af.protocols.arweave.encoding import BlobDigest, BlobHasher
from af.protocols.arweave.transactions import Tag
from af.protocols.arweave.wallets import Wallet
from af.replication.backends.arweave_errors import TooExpensive
from af.replication.backends.arweave_network import Gateway, UploadService
from af.replication.errors import ProviderFailed, ProviderRefused
from af.replication.models import CopyState, Cost, Receipt

APP = Tag.of("App-Name", "AlternateFutures")
ANCHOR_BLOCKS = 50
"""A transaction that no block took within so many after its anchor never will be in one."""
_TRIES = 4
_FIRST_WAIT_SECONDS = 1.0
_POSTED_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent: ``open`` gives its ``size_bytes`` bytes anew each time. ``tags`` describe it, ``key`` (one more
    tag) tells it from everything else of this wallet."""

    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]
    tags: tuple[Tag, ...]
    key: Tag

    @property
    def all_tags(self) -> tuple[Tag, ...]:
        return (*self.tags, APP, self.key)


@dataclass(frozen=True, slots=True)
class _Posted:
    """A transaction and the height of the chain when it was posted (or of its block)."""

    id: str
    height: int


class Uploads:
    """A wallet's way to Arweave."""

    def __init__(
        self,
        wallet: Wallet,
        gateway: Gateway,
        service: UploadService | None,
        *,
        winston_max: int,
        confirmations: int,
    ) -> None:
        self._wallet = wallet
        self._gateway = gateway
        self._service = service
        self._winston_max = winston_max
        self._confirmations = confirmations
        self._posted: OrderedDict[tuple[bytes, Tag], _Posted] = OrderedDict()
        self._posting = asyncio.Lock()

    async def estimate(self, body: Body) -> Cost:
        """What it would cost now. :raises ProviderFailed:"""
        if self._service is None:
            return Cost(amount=await self._gateway.price(body.size_bytes), unit="winston")
        return Cost(amount=await self._service.price(body.size_bytes + ans104.head_bytes(body.all_tags)), unit="winc")

    async def store(self, body: Body) -> Receipt:
        """Send it, or find it sent already. :raises TooExpensive, NotPaid, ProviderRefused, ProviderFailed:"""
        if not 0 < body.size_bytes <= chunks.DATA_BYTES_MAX:
            raise ProviderRefused(f"Arweave takes 1 to {chunks.DATA_BYTES_MAX} bytes at once.")
        return await (self._send_transaction(body) if self._service is None else self._send_item(self._service, body))

    async def status(self, ref: str) -> Receipt:
        """:raises ProviderFailed:"""
        id, _, posted = ref.partition(".")
        if posted:
            return await self._status_of_transaction(id, int(posted))
        return await self._status_of_item(id)

    # --- items ------------------------------------------------------------------------------------------------------

    async def _send_item(self, service: UploadService, body: Body) -> Receipt:
        head = ans104.sign(self._wallet, await digest(body), tags=body.all_tags)
        known = await service.standing(head.id)
        if known is None or known.state == "failed":
            cost = await self.estimate(body)
            self._refuse_above_limit(cost)
            written = ans104.encode_head(head)
            await service.send(head.id, _with_head(written, body), len(written) + body.size_bytes)
        return await self._status_of_item(head.id)

    async def _status_of_item(self, id: str) -> Receipt:
        found = await self._service.standing(id) if self._service else None
        if found is None:
            return await self._status_by_index(id)
        match found.state:
            case "permanent":
                return self._receipt(id, id, CopyState.FINAL, f"in the bundle {found.bundle}" if found.bundle else "")
            case "failed":
                return self._receipt(id, id, CopyState.FAILED, found.reason or "the upload service gave up")
            case "pending":
                return self._receipt(id, id, CopyState.STORED, f"on its way in a bundle {found.bundle}".rstrip())
        return self._receipt(id, id, CopyState.WAITING, "taken by the upload service, not yet in a bundle")

    async def _status_by_index(self, id: str) -> Receipt:
        """Of an item that the upload service no longer (or never) knew."""
        found = await self._gateway.look_up(id)
        if found is None:
            return self._receipt(id, id, CopyState.LOST, "neither the upload service nor the gateway knows it")
        if found.height is None:
            return self._receipt(id, id, CopyState.WAITING, "waits for a block")
        return self._confirmed(id, id, await self._gateway.height() - found.height + 1)

    # --- transactions -----------------------------------------------------------------------------------------------

    async def _send_transaction(self, body: Body) -> Receipt:
        tree = await self._tree(body)
        inline = await _collected(body) if tree.count == 1 else None
        async with self._posting:  # two tasks with the same content pay once
            found = await self._remembered(tree, body) or await self._find(body)
            posted = found or await self._post(body, tree, inline=inline)
            self._remember(tree, body, posted)
        if inline is None or found:  # a crash may have cut the chunks off; nodes take again what they have
            await self._send_chunks(body, tree)
        return await self._status_of_transaction(posted.id, posted.height)

    async def _remembered(self, tree: ChunkTree, body: Body) -> _Posted | None:
        """What this process has posted for it: the gateway's index may not have it yet."""
        found = self._posted.get((tree.root, body.key))
        if found is None or (await self._status_of_transaction(found.id, found.height)).state is CopyState.LOST:
            return None
        return found

    def _remember(self, tree: ChunkTree, body: Body, posted: _Posted) -> None:
        self._posted[tree.root, body.key] = posted
        if len(self._posted) > _POSTED_MAX:
            self._posted.popitem(last=False)

    async def _find(self, body: Body) -> _Posted | None:
        """The transaction that this wallet sent for it and that is still on its way, or there."""
        for found in await self._gateway.find(self._wallet.address, (APP, body.key)):
            if found.data_bytes != body.size_bytes:
                continue
            standing = await self._gateway.standing(found.id)
            if standing is not None:
                return _Posted(found.id, await self._gateway.height() if found.height is None else found.height)
        return None

    async def _post(self, body: Body, tree: ChunkTree, *, inline: bytes | None) -> _Posted:
        cost = await self.estimate(body)
        self._refuse_above_limit(cost)
        height = await self._gateway.height()
        transaction = transactions.sign(
            self._wallet,
            tree=tree,
            tags=body.all_tags,
            anchor=await self._gateway.anchor(),
            reward_winston=cost.amount,
        )
        await self._gateway.post(transaction.to_json(inline))
        return _Posted(transaction.id, height)

    async def _send_chunks(self, body: Body, tree: ChunkTree) -> None:
        index, held = 0, bytearray()
        async for piece in body.open():
            held += piece
            while index < tree.count and len(held) >= (chunk := tree.chunk(index)).size_bytes:
                await self._send_chunk(tree, chunk, bytes(held[: chunk.size_bytes]))
                del held[: chunk.size_bytes]
                index += 1
        if index != tree.count or held:
            raise ProviderFailed("The content changed while it was sent to Arweave.")

    async def _send_chunk(self, tree: ChunkTree, chunk: Chunk, data: bytes) -> None:
        sent = transactions.chunk_to_json(tree, chunk, data)
        for attempt in range(_TRIES):
            try:
                await self._gateway.post_chunk(sent)
            except ProviderFailed:
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
            else:
                return

    async def _status_of_transaction(self, id: str, posted: int) -> Receipt:
        ref = f"{id}.{posted}"
        standing = await self._gateway.standing(id)
        if standing is None:
            blocks = await self._gateway.height() - posted
            if blocks > ANCHOR_BLOCKS:
                return self._receipt(id, ref, CopyState.LOST, f"no block took it within {ANCHOR_BLOCKS} blocks")
            return self._receipt(id, ref, CopyState.WAITING, "the gateway does not know it yet")
        if not standing.mined:
            return self._receipt(id, ref, CopyState.WAITING, "waits for a block")
        return self._confirmed(id, ref, standing.confirmations)

    # --- both -------------------------------------------------------------------------------------------------------

    def _confirmed(self, id: str, ref: str, confirmations: int) -> Receipt:
        final = confirmations >= self._confirmations
        shown = f"{confirmations} confirmations" + ("" if final else f" of {self._confirmations}")
        return self._receipt(id, ref, CopyState.FINAL if final else CopyState.STORED, shown)

    def _receipt(self, id: str, ref: str, state: CopyState, detail: str) -> Receipt:
        return Receipt(ref=ref, state=state, url=f"{self._gateway.base}/{id}", detail=detail)

    def _refuse_above_limit(self, cost: Cost) -> None:
        if cost.amount > self._winston_max:
            raise TooExpensive(
                f"Arweave would take {encoding.to_ar(cost.amount)} AR for this, and the limit is "
                f"{encoding.to_ar(self._winston_max)} AR.",
                hint="Nothing was sent. Raise AF_ARWEAVE_WINSTON_MAX, or store less.",
            )

    async def _tree(self, body: Body) -> ChunkTree:
        hasher = ChunkHasher(body.size_bytes)
        try:
            async for piece in body.open():
                hasher.update(piece)
            return hasher.finish()
        except InvalidChunks as error:
            raise ProviderFailed("The content is not as large as it was said to be.", detail=str(error)) from error


async def digest(body: Body) -> BlobDigest:
    """:raises ProviderFailed: it is not as large as it was said to be"""
    hasher = BlobHasher()
    async for piece in body.open():
        hasher.update(piece)
    found = hasher.digest()
    if found.size_bytes != body.size_bytes:
        raise ProviderFailed(f"The content has {found.size_bytes} bytes, {body.size_bytes} were said.")
    return found


async def _collected(body: Body) -> bytes:
    return b"".join([piece async for piece in body.open()])


async def _with_head(head: bytes, body: Body) -> AsyncIterator[bytes]:
    yield head
    async for piece in body.open():
        yield piece
