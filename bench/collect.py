"""Garbage collection beside readers: half of 100,000 blocks go while other blocks are read as fast as it goes.

    .venv/bin/python bench/collect.py [--blocks 100000] [--bytes 4096] [--readers 4] [--where own,other] [--folder DIR]

``own``: the collection runs in the readers' process, as `collectGarbage` asked of an HTTP process does; ``other``: in a
process of its own, as the worker does. Readers get blocks that stay, at random, and check each one's length; a stall is
the time of one read. Half of the blocks are kept by what the collection is told, two thirds of each segment go, so
segments are compacted, too. Before it the same readers run for as long without a collection: ``quiet`` says what the
machine's other work costs by itself. Prints one JSON line per place. Bar: no stall over 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import SegmentStore
from af.storage.models import Swept

BAR_MS = 100.0
QUIET_SECONDS = 3.0
_BATCH = 1000
_SCOPE = "prj_bench"
SEGMENT_BYTES = 64 << 20


def open_store(folder: Path) -> SegmentStore:
    return SegmentStore(folder, clock=SystemClock(), segment_bytes=SEGMENT_BYTES)


async def fill(folder: Path, count: int, size: int) -> list[CID]:
    """The blocks that are to stay: each second one of the first two thirds of the store's, and a few more."""
    store = open_store(folder)
    every: list[CID] = []
    for start in range(0, count, _BATCH):
        bodies = [os.urandom(size) for _ in range(min(_BATCH, count - start))]
        blocks = [(cids.of(cids.RAW, body), body) for body in bodies]
        await store.put(blocks, scope=_SCOPE)
        every += [cid for cid, _ in blocks]
    await store.close()
    third = count // 3
    return [*every[: 2 * third : 3], *every[2 * third :]][: count // 2]


async def collect(store: SegmentStore, kept: Sequence[CID]) -> Swept:
    async def reachable() -> AsyncIterator[Sequence[CID]]:
        for start in range(0, len(kept), _BATCH):
            yield kept[start : start + _BATCH]

    later = SystemClock().now() + timedelta(seconds=1)  # nothing is spared for being new
    return await store.collect(reachable(), untouched_since=later, dry_run=False)


class Readers:
    """Read at random until told to stop; ``times`` has the milliseconds of each read."""

    def __init__(self, store: SegmentStore, kept: Sequence[CID], size: int) -> None:
        self._store = store
        self._kept = kept
        self._size = size
        self._ended = False
        self.times: list[float] = []

    async def during(self, work: Callable[[], Awaitable[object]], count: int) -> float:
        """Seconds that ``work`` took, with ``count`` readers beside it."""
        tasks = [asyncio.create_task(self._read()) for _ in range(count)]
        started = time.perf_counter()
        await work()
        seconds = time.perf_counter() - started
        self._ended = True
        await asyncio.gather(*tasks)
        return seconds

    async def _read(self) -> None:
        while not self._ended:
            started = time.perf_counter()
            data = await self._store.get(random.choice(self._kept))
            await asyncio.sleep(0)  # a turn of the loop is part of what a visitor waits for
            self.times.append((time.perf_counter() - started) * 1000)
            if len(data) != self._size:
                raise SystemExit("a block came back cut")

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.times)
        return {
            "reads": len(ordered),
            "p50_ms": round(ordered[len(ordered) // 2], 3),
            "p999_ms": round(ordered[len(ordered) * 999 // 1000], 2),
            "longest_ms": round(ordered[-1], 1),
        }


async def measure(options: argparse.Namespace, where: str, folder: Path) -> None:
    kept = await fill(folder, options.blocks, options.bytes)
    store = open_store(folder)
    quiet = Readers(store, kept, options.bytes)
    await quiet.during(lambda: asyncio.sleep(QUIET_SECONDS), options.readers)
    beside = Readers(store, kept, options.bytes)
    swept: dict[str, int] = {}

    async def own() -> None:
        found = await collect(store, kept)
        swept.update(blocks=found.blocks, freed_bytes=found.freed_bytes)

    async def other() -> None:
        (folder / "kept").write_bytes(b"".join(kept))
        command = [sys.executable, __file__, "--collect", str(folder)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        if process.returncode != 0:
            raise SystemExit("the collecting process failed")
        swept.update(json.loads(out))

    seconds = await beside.during(own if where == "own" else other, options.readers)
    figures = beside.figures()
    await store.close()
    row = {
        "bench": "collect",
        "where": where,
        "blocks": options.blocks,
        "collected": swept,
        "seconds": round(seconds, 2),
        "quiet": quiet.figures(),
        "collecting": figures,
        "bar_ms": BAR_MS,
        "met": figures["longest_ms"] <= BAR_MS,
        "load": round(os.getloadavg()[0], 1),
    }
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def collect_here(folder: Path) -> None:
    """The child's part of ``other``."""
    data = (folder / "kept").read_bytes()
    width = len(cids.of(cids.RAW, b""))
    store = open_store(folder)
    swept = await collect(store, [CID(data[start : start + width]) for start in range(0, len(data), width)])
    await store.close()
    sys.stdout.write(json.dumps({"blocks": swept.blocks, "freed_bytes": swept.freed_bytes}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Stalls of readers beside a garbage collection.")
    parser.add_argument("--blocks", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--where", default="own,other")
    parser.add_argument("--folder", type=Path, help="where to work: the disk that is measured")
    parser.add_argument("--collect", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.collect:
        asyncio.run(collect_here(options.collect))
        return
    for where in options.where.split(","):
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="af-collect-") as folder:
            asyncio.run(measure(options, where, Path(folder)))


if __name__ == "__main__":
    main()
