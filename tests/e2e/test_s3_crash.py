"""kill -9 of processes that write to a shared bucket and collect in it: what was acknowledged stays."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from af.core.clock import SystemClock, monotonic
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.support import s3
from tests.support.processes import wait_until

pytestmark = [pytest.mark.s3, pytest.mark.postgres]

# Puts blocks that follow from (name, number) and writes a number to stdout once its put has returned.
_WRITER = """
import asyncio, hashlib, os, sys
from pathlib import Path
from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.protocols.sigv4 import Credentials
from af.storage.backends.s3.client import Address
from tests.support import s3

async def put(store, name, number):
    data = hashlib.sha512(f"{name}-{number}".encode()).digest() * (1 + number * 37 % 900)
    await store.put([(cids.of(cids.RAW, data), data)], scope="prj_ada")
    os.write(1, f"{number}\\n".encode())

async def main(endpoint, bucket, url, name):
    address = Address(endpoint, s3.REGION, bucket, "", s3.ROOT)
    async with s3.opened(Path(name), address, url, SystemClock()) as store:
        number = 0
        while True:
            await asyncio.gather(*(put(store, name, number + n) for n in range(4)))
            number += 4

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_was_acknowledged_survives_kill_9(
    request: pytest.FixtureRequest, s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    """And a collection afterwards takes what the dead left half done, nothing else."""
    chance = random.Random(3)
    acknowledged: dict[str, list[int]] = {}
    async with s3.index_url(request, "postgresql", tmp_path) as url:
        for round_number in range(3):
            names = [str(tmp_path / f"round{round_number}-{n}") for n in range(2)]
            outputs = [Path(f"{name}.out") for name in names]
            writers = []
            for name, output in zip(names, outputs, strict=True):
                with output.open("wb") as sink:
                    command = [sys.executable, "-c", _WRITER, s3_server.endpoint, s3_bucket, url, name]
                    writers.append(subprocess.Popen(command, stdout=sink, start_new_session=True))  # noqa: ASYNC220
            enough = chance.randrange(4, 40)
            try:
                for output in outputs:
                    wait_until(lambda o=output, n=enough: len(_numbers(o)) >= n, seconds=30, what="acknowledged blocks")
            finally:
                for writer in writers:
                    os.kill(writer.pid, signal.SIGKILL)
                    writer.wait()
            acknowledged.update({name: _numbers(output) for name, output in zip(names, outputs, strict=True)})
        stored = [_block(name, number) for name, numbers in acknowledged.items() for number in numbers]
        ids = [cids.of(cids.RAW, data) for data in stored]
        address = s3_server.address(s3_bucket)
        async with s3.opened(tmp_path / "after", address, url, SystemClock()) as store:
            assert await store.missing(ids, scope="prj_ada") == []
            assert [await store.get(cid) for cid in ids] == stored

            async def marks() -> Any:
                yield ids

            await store.collect(marks(), untouched_since=SystemClock().now(), dry_run=False)
            assert await store.missing(ids, scope="prj_ada") == []
            assert (await store.scrub()).corrupt == ()


# Collects again and again. Without the claim: the one of a killed process is free after a minute only.
_COLLECTOR = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.storage.backends.s3.client import Address
from tests.support import s3

async def main(endpoint, bucket, url, folder, kept):
    clock = SystemClock()
    async with s3.opened(Path(folder), Address(endpoint, s3.REGION, bucket, "", s3.ROOT), url, clock) as store:
        async def marks():
            yield [cids.parse(text) for text in kept.split(",")]
        sys.stdout.write("begins\\n")
        sys.stdout.flush()
        while True:
            await store._collector.sweep(marks(), clock.now() + timedelta(days=1), dry_run=False)
            await store._collector.compact()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_kill_9_of_a_collection_loses_nothing(
    request: pytest.FixtureRequest, s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    chance = random.Random(5)
    address = s3_server.address(s3_bucket)
    objects = s3_server.data / s3_bucket / "objects"
    async with s3.index_url(request, "postgresql", tmp_path) as url:
        kept: list[tuple[CID, bytes]] = []
        for round_number in range(4):
            async with s3.opened(tmp_path / "writer", address, url, SystemClock()) as store:
                for _ in range(15):
                    batch = [(cids.of(cids.RAW, data), data) for data in (os.urandom(20_000) for _ in range(6))]
                    await store.put(batch, scope="prj_ada")
                    kept += batch[::3]
            before = {path.name for path in objects.iterdir()}
            output = tmp_path / f"collector{round_number}"
            with output.open("wb") as sink:
                texts = ",".join(cids.to_text(cid) for cid, _ in kept)
                command = [sys.executable, "-c", _COLLECTOR, s3_server.endpoint, s3_bucket, url, tmp_path / "c", texts]
                collector = subprocess.Popen(command, stdout=sink, start_new_session=True)  # noqa: ASYNC220
            try:
                wait_until(lambda o=output: o.read_bytes(), seconds=30, what="the collection begins")
                stop_at = monotonic() + chance.random() * 0.2
                wait_until(
                    lambda at=stop_at, old=before: (
                        monotonic() > at and {path.name for path in objects.iterdir()} != old
                    ),
                    seconds=30,
                    what="an object is written or deleted",
                )
            finally:
                os.kill(collector.pid, signal.SIGKILL)
                collector.wait()
            async with s3.opened(tmp_path / f"fresh{round_number}", address, url, SystemClock()) as store:
                assert [await store.get(cid) for cid, _ in kept] == [data for _, data in kept]
                assert await store.missing([cid for cid, _ in kept], scope="prj_ada") == []


def _block(name: str, number: int) -> bytes:
    return hashlib.sha512(f"{name}-{number}".encode()).digest() * (1 + number * 37 % 900)


def _numbers(output: Path) -> list[int]:
    """Whole lines only: the last one may be half a number."""
    return [int(line) for line in output.read_bytes().split(b"\n")[:-1]]
