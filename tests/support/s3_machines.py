"""Several machines on one bucket and one index, in this process."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from af.core.clock import FixedClock
from af.storage.backends.s3 import S3Store
from tests.support import s3


@dataclass
class Machines:
    """Stores on one bucket and one database, each with a cache and connections of its own."""

    server: s3.S3Server
    bucket: str
    folder: Path
    url: str
    clock: FixedClock
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    count: int = 0

    async def open(self, *, cache: str = "", bucket: str = "", url: str = "", cache_bytes: int = 64 << 20) -> S3Store:
        self.count += 1
        folder = self.folder / (cache or f"machine-{self.count}")
        address = self.server.address(bucket or self.bucket, prefix="team/blocks/")
        opened = s3.opened(folder, address, url or self.url, self.clock, cache_bytes=cache_bytes)
        return await self.stack.enter_async_context(opened)

    @property
    def objects(self) -> list[Path]:
        """The files that the server keeps the objects in."""
        return sorted((self.server.data / self.bucket / "team/blocks/objects").glob("*.car"))
