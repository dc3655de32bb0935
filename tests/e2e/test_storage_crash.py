"""kill -9 of a process that writes blocks, at random moments: what was acknowledged is there, nothing else breaks."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import SegmentStore, files
from tests.support.processes import wait_until

ROUNDS = 15
SCOPE = "prj_ada"

# Puts blocks that follow from (round, number) and writes a number to stdout once its put has returned.
_WRITER = """
import asyncio, hashlib, os, sys
from pathlib import Path
from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.storage.backends.segments import SegmentStore

async def put(store, name, number):
    data = hashlib.sha512(f"{name}-{number}".encode()).digest() * (1 + number * 37 % 900)
    await store.put([(cids.of(cids.RAW, data), data)], scope="prj_ada")
    os.write(1, f"{number}\\n".encode())

async def main(folder, name):
    store = SegmentStore(Path(folder), clock=SystemClock(), segment_bytes=400_000, free_bytes_min=0)
    number = 0
    while True:
        await asyncio.gather(*(put(store, name, number + n) for n in range(4)))
        number += 4

asyncio.run(main(*sys.argv[1:]))
"""


def _data(name: str, number: int) -> bytes:
    return hashlib.sha512(f"{name}-{number}".encode()).digest() * (1 + number * 37 % 900)


def _acknowledged(output: Path) -> list[int]:
    """Whole lines only: the last one may be half a number."""
    return [int(line) for line in output.read_bytes().split(b"\n")[:-1]]


async def _check(folder: Path, acknowledged: dict[str, list[int]]) -> None:
    store = SegmentStore(folder, clock=SystemClock(), free_bytes_min=0)
    wanted: list[CID] = []
    for name, numbers in acknowledged.items():
        for number in numbers:
            data = _data(name, number)
            wanted.append(cids.of(cids.RAW, data))
            assert await store.get(wanted[-1]) == data, f"{name}-{number} was acknowledged"
    assert await store.missing(wanted, scope=SCOPE) == []
    report = await store.scrub()
    assert report.corrupt == ()
    await store.close()


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    chance = random.Random(20260101)
    acknowledged: dict[str, list[int]] = {}
    for round_number in range(ROUNDS):
        names = [f"round{round_number}-{n}" for n in range(1 + round_number % 2)]
        outputs = [tmp_path / name for name in names]
        writers = []
        for name, output in zip(names, outputs, strict=True):
            with output.open("wb") as sink:
                command = [sys.executable, "-c", _WRITER, str(folder), name]
                writers.append(subprocess.Popen(command, stdout=sink, start_new_session=True))  # noqa: ASYNC220
        enough = chance.randrange(4, 60)
        try:
            for output in outputs:
                wait_until(
                    lambda o=output, n=enough: len(_acknowledged(o)) >= n, seconds=30, what="acknowledged blocks"
                )
        finally:
            for writer in writers:
                os.kill(writer.pid, signal.SIGKILL)
                writer.wait()
        for name, output in zip(names, outputs, strict=True):
            acknowledged[name] = _acknowledged(output)
        await _check(folder, acknowledged)
    assert sum(map(len, acknowledged.values())) > ROUNDS * 4


_COLLECTOR = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.storage.backends.segments import SegmentStore

async def main(folder, kept):
    clock = SystemClock()
    store = SegmentStore(Path(folder), clock=clock, segment_bytes=400_000, free_bytes_min=0)
    async def marks():
        yield [cids.parse(text) for text in kept.split(",")]
    sys.stdout.write("begins\\n")
    sys.stdout.flush()
    while True:
        await store.collect(marks(), untouched_since=clock.now() + timedelta(days=1), dry_run=False)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_kill_9_of_a_compaction_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    chance = random.Random(7)
    for round_number in range(6):
        store = SegmentStore(folder, clock=SystemClock(), segment_bytes=400_000, free_bytes_min=0)
        stored = [(cids.of(cids.RAW, data), data) for data in (os.urandom(20_000) for _ in range(120))]
        for start in range(0, 120, 6):
            await store.put(stored[start : start + 6], scope=SCOPE)
        await store.close()
        kept = stored[::3]
        output = tmp_path / f"collector{round_number}"
        with output.open("wb") as sink:
            names = ",".join(cids.to_text(cid) for cid, _ in kept)
            command = [sys.executable, "-c", _COLLECTOR, str(folder), names]
            collector = subprocess.Popen(command, stdout=sink, start_new_session=True)  # noqa: ASYNC220
        try:
            wait_until(lambda o=output: o.read_bytes(), seconds=30, what="the collection begins")
            before = len(files.numbers(folder))
            delay = chance.random() * 0.03
            limit = SystemClock().now() + timedelta(seconds=delay)
            wait_until(
                lambda t=limit, b=before: SystemClock().now() > t or len(files.numbers(folder)) != b,
                seconds=30,
                what="a moment in the compaction",
            )
        finally:
            os.kill(collector.pid, signal.SIGKILL)
            collector.wait()
        store = SegmentStore(folder, clock=SystemClock(), free_bytes_min=0)
        for cid, data in kept:
            assert await store.get(cid) == data
        assert (await store.scrub()).corrupt == ()
        await store.close()
