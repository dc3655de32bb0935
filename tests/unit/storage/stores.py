"""Segment stores to test: opened, filled, damaged."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from af.core.clock import FixedClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import SegmentStore, files

ADA = "prj_ada"
Block = tuple[CID, bytes]


def opened(folder: Path, clock: FixedClock, **options: int) -> SegmentStore:
    return SegmentStore(folder, clock=clock, **{"free_bytes_min": 0, **options})


def blocks(count: int, size: int = 1000) -> list[Block]:
    data = [os.urandom(size) for _ in range(count)]
    return [(cids.of(cids.RAW, part), part) for part in data]


def segments(folder: Path) -> list[Path]:
    return [files.path_of(folder, number) for number in files.numbers(folder)]


async def nothing() -> AsyncIterator[Sequence[CID]]:
    for batch in ():
        yield batch


async def assert_all(store: SegmentStore, stored: Sequence[Block]) -> None:
    for cid, data in stored:
        assert await store.get(cid) == data


def flip(segment: Path, data: bytes) -> None:
    at = segment.read_bytes().index(data)
    with segment.open("r+b") as file:
        file.seek(at)
        first = file.read(1)
        file.seek(at)
        file.write(bytes([first[0] ^ 1]))
