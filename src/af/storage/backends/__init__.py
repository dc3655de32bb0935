"""The port for blocks: where bytes are kept under their CID, and who may see them.

Visibility: knowing a CID gives nothing. A block is visible to everybody once it is public, and before that to each
scope (a project id) that has put its bytes. Adapters store what they are given: callers verify.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from af.protocols.ipfs.cid import CID
from af.storage.models import BlockStats, ScrubReport, Swept

Reachable: TypeAlias = AsyncIterator[Sequence[CID]]
"""Batches of CIDs that must be kept. A consumer takes them all."""
Progress: TypeAlias = Callable[[int, int], None]
"""Told (blocks done, blocks in all) now and then."""


class BlockStore(Protocol):
    """One process's view of the store. Every method may be called by many tasks at once.

    :raises StorageFull, StoreFailed: from every writing method
    """

    async def rebuilt(self) -> str:
        """Not empty after the index was made anew from the blocks: it then does not know who may see what until the
        owner has told it (`publish`) and calls `restored`. The text differs between rebuildings. Cheap."""
        ...

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        """The block if it can be had without waiting, else `None`. Never blocks on the disk for the data."""
        ...

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        """The block. :raises BlockMissing, BlockCorrupt:"""
        ...

    async def read(self, cid: CID, offset: int, length: int, *, public_only: bool = False) -> bytes:
        """Part of a block; shorter where the block ends. :raises BlockMissing, BlockCorrupt:"""
        ...

    async def put(self, blocks: Sequence[tuple[CID, bytes]], *, scope: str) -> int:
        """Store verified blocks; they are durable and visible to ``scope`` on return. Returns how many ``scope`` could
        not see before."""
        ...

    async def missing(self, cids: Sequence[CID], *, scope: str) -> list[CID]:
        """Those that ``scope`` cannot see or that are damaged, in the order given. The others are *touched*: a
        collection that began before now will not take them (see `collect`)."""
        ...

    async def publish(self, cids: Sequence[CID], *, scope: str | None = None) -> None:
        """Make stored blocks visible to ``scope``, or to everybody when it is `None`. Unknown CIDs are ignored."""
        ...

    async def collect(self, reachable: Reachable, *, untouched_since: datetime, dry_run: bool) -> Swept:
        """Remove blocks that are neither reachable nor touched since. ``reachable`` must be computed from roots read
        *after* the moment from which ``untouched_since`` was derived: whoever touches later than that moment is spared
        by the touch, whoever was recorded as a root earlier is spared by reachability."""
        ...

    async def scrub(self, progress: Progress | None = None) -> ScrubReport:
        """Re-hash every block. Damaged ones are no longer served until they are put again; nothing is deleted."""
        ...

    async def stats(self) -> BlockStats: ...

    async def restored(self) -> None:
        """Everybody's rights have been told anew with `publish`, after `rebuilt`."""
        ...
