"""A provider of copies that is a dictionary: what replication does is tested against it, what providers do is not."""

from __future__ import annotations

from af.core.errors import Error
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication.errors import ProviderFailed
from af.replication.models import CopyState, Cost, Receipt, Source


class Shelf:
    """Keeps what it is given. ``state`` is what it says of every copy, ``failure`` is raised by every call while it is
    set, ``wrong`` blocks come back with other bytes."""

    def __init__(self, name: str = "shelf") -> None:
        self.name = name
        self.kept: dict[CID, dict[CID, bytes]] = {}
        self.stored = 0
        self.read_blocks: list[CID] = []
        self.state = CopyState.STORED
        self.failure: Error | None = None
        self.wrong: set[CID] = set()
        self.cost: Cost | None = Cost(amount=7, unit="shells")

    async def estimate(self, source: Source) -> Cost | None:
        self._fail()
        return self.cost

    async def store(self, source: Source) -> Receipt:
        self._fail()
        reader = car.CarReader()
        data = b"".join([piece async for piece in source.car()])
        assert len(data) == source.car_bytes
        self.kept[source.root] = dict(reader.feed(data))
        reader.finish()
        self.stored += 1
        return await self.status(source.root, "")

    async def status(self, root: CID, ref: str) -> Receipt:
        self._fail()
        state = self.state if root in self.kept else CopyState.LOST
        return Receipt(ref=cids.to_text(root), state=state, url="https://shelf.example/")

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        self._fail()
        self.read_blocks.append(cid)
        if cid not in self.kept[root]:
            raise ProviderFailed("The shelf has no such block.")
        return b"something else" if cid in self.wrong else self.kept[root][cid]

    async def remove(self, root: CID, ref: str) -> None:
        self._fail()
        self.kept.pop(root, None)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
