"""How fast we compute CIDs next to Kubo: one big file, and a site of many small files. Hash only, nothing stored.

    .venv/bin/python bench/import_kubo.py [--mebibytes 1024] [--files 5000] [--runs 3]

Prints one JSON line: medians in seconds, and Kubo / ours (over 1: we are faster). Runs alternate, so that a busy
machine slows both. Kubo's time includes starting the command (`kubo_start_seconds`); ours is the importer alone.
Both read the same files, in the page cache, with the 2025 profile; roots must be equal or the bench fails.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import shake_128
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from af.protocols.ipfs import cid, unixfs
from af.protocols.ipfs.unixfs import Entry
from tests.support.kubo import KuboRepository, kubo_binary, temporary_repository, why_missing

Result = TypeVar("Result")

MIB = 1024 * 1024
FILES_PER_FOLDER = 100


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare hash-only import with Kubo.")
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of the big file")
    parser.add_argument("--files", type=int, default=5000, help="files in the site, about 10 KB each")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    binary = kubo_binary()
    if binary is None:
        sys.stderr.write(f"NO KUBO: {why_missing()}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-import-") as directory, temporary_repository(binary) as kubo:
        big, site = Path(directory) / "big", Path(directory) / "site"
        _write_big(big, options.mebibytes)
        site_bytes = _write_site(site, options.files)
        kubo.run("config", "--json", "Import.UnixFSHAMTDirectorySizeEstimation", '"block"')
        result = {
            "bench": "import_kubo",
            "kubo_start_seconds": round(_seconds(lambda: kubo.run("version"))[0], 3),
            "file_bytes": options.mebibytes * MIB,
            "file": _compare(kubo, big, _import_file, options.runs),
            "site_files": options.files,
            "site_bytes": site_bytes,
            "site": _compare(kubo, site, _import_site, options.runs),
            "runs": options.runs,
            "cpus": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 1),
        }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _write_big(path: Path, mebibytes: int) -> None:
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(shake_128(b"%d" % number).digest(MIB))


def _write_site(folder: Path, files: int) -> int:
    written = 0
    for number in range(files):
        content = shake_128(b"s%d" % number).digest(200 + number * 7919 % 20_000)
        path = folder / f"folder-{number // FILES_PER_FOLDER:03d}" / f"page-{number:05d}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += len(content)
    return written


def _compare(kubo: KuboRepository, path: Path, ours: Callable[[Path], Entry], runs: int) -> dict[str, float]:
    flags = ("--only-hash", "--cid-version=1", "--raw-leaves=true", "--chunker=size-1048576", "--max-file-links=1024")
    kubo_times, our_times = [], []
    for _ in range(runs):
        seconds, output = _seconds(lambda: kubo.run("add", "-r", "-Q", *flags, str(path)))
        kubo_times.append(seconds)
        seconds, entry = _seconds(lambda: ours(path))
        our_times.append(seconds)
        if cid.to_text(entry.cid) != output.decode().strip():
            raise RuntimeError(f"roots differ: {cid.to_text(entry.cid)} and Kubo's {output.decode().strip()}")
    kubo_median, our_median = statistics.median(kubo_times), statistics.median(our_times)
    return {
        "kubo_seconds": round(kubo_median, 3),
        "our_seconds": round(our_median, 3),
        "ratio": round(kubo_median / our_median, 2),
    }


def _seconds(call: Callable[[], Result]) -> tuple[float, Result]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def _import_file(path: Path) -> Entry:
    with path.open("rb", buffering=0) as file:
        return unixfs.import_file(file.read, unixfs.discard)


def _import_site(folder: Path) -> Entry:
    return unixfs.build_tree(_site_entries(folder), unixfs.discard)


def _site_entries(folder: Path) -> Iterator[tuple[str, Entry]]:
    prefix = len(str(folder)) + 1
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            yield path[prefix:], _import_file(Path(path))


if __name__ == "__main__":
    sys.exit(main())
