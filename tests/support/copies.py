"""Content to copy elsewhere, as the service gives it to a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from af.protocols.ipfs import car
from af.replication.models import Source
from tests.support.blocks import MemoryBlocks


def source_of(files: Mapping[str, bytes]) -> tuple[Source, MemoryBlocks]:
    """A folder of these files as a source, and its blocks."""
    blocks = MemoryBlocks()
    root = blocks.folder(files)
    frames = [car.header([root])]
    for cid, block in sorted(blocks.data.items(), key=lambda entry: entry[0] != root):
        frames.append(car.frame(cid, block))

    async def opened() -> AsyncIterator[bytes]:
        for frame in frames:
            yield frame

    return Source(root=root, name="site", car_bytes=sum(map(len, frames)), car=opened), blocks
