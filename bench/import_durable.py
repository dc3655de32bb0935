"""Durable import: 1 GiB in one file, and a site of 5,000 files, into our block store and into Kubo (``sync: true``).

    .venv/bin/python bench/import_durable.py [--runs 3] [--gib 1] [--folder DIR]

Both read the same files from disk with the profile unixfs-v1-2025 and must end with the same CID; they take turns,
each run into a new empty store, after one run of each that does not count (a fresh disk is slow at first). Time is
from the first byte read to "durable": for us the last put acknowledged, for Kubo the exit of ``ipfs add`` (its start,
measured with ``ipfs version``, is taken off). Prints one JSON line; ratios above 1 mean that we are faster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from af.core.clock import SystemClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import SegmentStore
from af.storage.service.archive import BlockSink
from tests.support import kubo

FILES = 5000
FILE_BYTES = 10_000
KUBO_FLAGS = ("--cid-version=1", "--raw-leaves", "--chunker=size-1048576", "--max-file-links=1024")


def import_path(source: Path, put: unixfs.Put) -> CID:
    """What `storage.import_archive` does with each file, from a folder."""
    if source.is_file():
        with source.open("rb", buffering=0) as file:
            return unixfs.import_file(file.read, put).cid
    entries = []
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            with path.open("rb", buffering=0) as file:
                entries.append((path.relative_to(source).as_posix(), unixfs.import_file(file.read, put)))
    return unixfs.build_tree(entries, put).cid


def ours(source: Path, work: Path) -> tuple[float, str]:
    async def run(directory: Path) -> tuple[float, str]:
        started = time.perf_counter()
        store = SegmentStore(directory, clock=SystemClock())
        sink = BlockSink(store, "prj_bench")

        def work() -> CID:
            root = import_path(source, sink.put)
            sink.finish()
            return root

        root = await sink.run(work)
        seconds = time.perf_counter() - started
        await store.close()
        return seconds, cids.to_text(root)

    with tempfile.TemporaryDirectory(dir=work) as directory:
        return asyncio.run(run(Path(directory)))


def theirs(binary: Path, source: Path, work: Path) -> tuple[float, str]:
    with tempfile.TemporaryDirectory(dir=work) as directory:
        repository = kubo.KuboRepository(binary, Path(directory), sync=True)
        started = time.perf_counter()
        repository.run("version")
        start_seconds = time.perf_counter() - started
        started = time.perf_counter()
        root = repository.run("add", "--recursive", "--quieter", *KUBO_FLAGS, str(source)).decode().strip()
        return time.perf_counter() - started - start_seconds, root


def make_site(folder: Path) -> Path:
    site = folder / "site"
    for number in range(FILES):
        path = site / f"d{number % 50}" / f"f{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    return site


def make_file(folder: Path, gib: float) -> Path:
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(round(gib * 256)):
            file.write(os.urandom(4 << 20))
    return path


def measure(binary: Path, source: Path, work: Path, runs: int) -> dict[str, object]:
    own: list[float] = []
    other: list[float] = []
    for _ in range(1 + runs):
        os.sync()
        seconds, root = ours(source, work)
        own.append(seconds)
        os.sync()
        seconds, other_root = theirs(binary, source, work)
        other.append(seconds)
        if root != other_root:
            raise SystemExit(f"different CIDs: {root} and {other_root}")
    own, other = own[1:], other[1:]
    mine, kubos = statistics.median(own), statistics.median(other)
    return {
        "seconds": [round(value, 3) for value in own],
        "kubo_seconds": [round(value, 3) for value in other],
        "median_seconds": round(mine, 3),
        "kubo_median_seconds": round(kubos, 3),
        "ratio": round(kubos / mine, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="where to work: the disk that is measured")
    options = parser.parse_args()
    binary = kubo.kubo_binary()
    if binary is None:
        raise SystemExit(f"no Kubo: {kubo.why_missing()}")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="af-import-") as directory:
        work = Path(directory)
        large = measure(binary, make_file(work, options.gib), work, options.runs)
        large["mb_per_second"] = round(options.gib * 1073.74 / float(str(large["median_seconds"])), 1)
        site = measure(binary, make_site(work), work, options.runs)
    print(json.dumps({"bench": "import_durable", "kubo": kubo.VERSION, "large": large, "site": site}))


if __name__ == "__main__":
    main()
