"""Re-hashing everything in the bucket, object by object."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends import Progress
from af.storage.backends.s3 import objects
from af.storage.backends.s3.client import Bucket
from af.storage.backends.s3.store import Placement, SharedIndex
from af.storage.models import ScrubReport

_PAGE_OBJECTS = 500
_CORRUPT_MAX = 10_000  # listed in a report
_log = structlog.get_logger()


async def scrub(index: SharedIndex, bucket: Bucket, progress: Progress | None) -> ScrubReport:
    """Damaged blocks (and those of objects that are gone) are marked, ones found whole again are unmarked."""
    total = (await index.blocks.stats()).blocks
    blocks = size = 0
    corrupt: list[CID] = []
    after = -1
    while numbers := await index.blocks.used_objects(after, _PAGE_OBJECTS):
        after = numbers[-1]
        for number in numbers:
            body = await bucket.get(objects.key_of(number), limit=objects.OBJECT_BYTES_MAX)
            placements = await index.blocks.in_object(number)  # read after the object: who moved meanwhile is not here
            damaged = await asyncio.to_thread(_damaged, placements, body or b"")
            await _mark(index, placements, damaged)
            blocks += len(placements)
            size += sum(placement.length for placement in placements)
            corrupt += sorted(damaged)[: _CORRUPT_MAX - len(corrupt)]
            if progress is not None:
                progress(blocks, max(total, blocks))
    if progress is not None:
        progress(blocks, blocks)
    if corrupt:
        _log.error("damaged blocks found", count=len(corrupt), first=cids.to_text(corrupt[0]))
    return ScrubReport(blocks=blocks, bytes=size, corrupt=tuple(corrupt))


def _damaged(placements: Sequence[Placement], body: bytes) -> set[CID]:
    return {
        placement.cid
        for placement in placements
        if not cids.matches(placement.cid, body[placement.offset : placement.offset + placement.length])
    }


async def _mark(index: SharedIndex, placements: Sequence[Placement], damaged: set[CID]) -> None:
    """Write only what changes."""
    marked = await index.blocks.locate([placement.cid for placement in placements])
    for placement in placements:
        at = marked.get(placement.cid)
        if at is not None and at.corrupt != (placement.cid in damaged):
            await index.blocks.set_corrupt(placement, placement.cid in damaged)
