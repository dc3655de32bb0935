"""Sizes: many files, huge files, and the memory that they cost. Run with ``-s`` to see the figures."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import host_of
from tests.e2e.platform import AF, Running, running
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
GROWTH_BYTES_MAX = 100 << 20


@dataclass
class Peaks:
    """The most resident memory of each process, and what it was at the start (bytes)."""

    first: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    def see(self, name: str, pid: int) -> None:
        try:
            now = hostile.rss_bytes(pid)
        except (ProcessLookupError, FileNotFoundError):
            return
        self.first.setdefault(name, now)
        self.most[name] = max(self.most.get(name, 0), now)

    def growth(self, name: str) -> int:
        return self.most[name] - self.first[name]


@contextmanager
def watched(pids: dict[str, int]) -> Iterator[Peaks]:
    """Looks at the processes' memory every 50 ms."""
    peaks, stop = Peaks(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for name, pid in list(pids.items()):
                peaks.see(name, pid)

    for name, pid in pids.items():
        peaks.see(name, pid)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


def deploy(platform: Running, folder: Path, label: str) -> tuple[Any, Peaks]:
    """A real `af deploy` with everybody's memory watched; prints one line of figures."""
    pids = hostile.part_pids(platform)
    command = [AF, "deploy", folder, "--json"]
    started = time.monotonic()
    with watched(pids) as peaks:
        client = subprocess.Popen(command, env=platform.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        pids["client"] = client.pid
        out, err = client.communicate(timeout=800)
    seconds = time.monotonic() - started
    assert client.returncode == 0, (out[-500:], err[-2000:])
    figures = {
        "what": label,
        "seconds": round(seconds, 1),
        **{f"{name} MB": f"{peaks.first[name] >> 20} → {peaks.most[name] >> 20}" for name in peaks.first},
    }
    print(json.dumps(figures, ensure_ascii=False))
    return json.loads(out), peaks


def test_two_gibibytes_cost_neither_client_nor_server_memory(tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "index.html").write_bytes(b"big")
    with (folder / "data.bin").open("wb") as file:
        for _ in range(2 << 30 >> 24):
            file.write(os.urandom(1 << 24))
    with running(tmp_path) as platform:
        done, peaks = deploy(platform, folder, "2 GiB in one file")
        assert done["deployment"]["bytes"] == (2 << 30) + 3
        for name in ("edge-0", "worker", "client"):
            assert peaks.growth(name) <= GROWTH_BYTES_MAX, (name, peaks)
        pids = hostile.part_pids(platform)
        with watched(pids) as reading:
            url = f"http://127.0.0.1:{platform.port}/data.bin"
            host = f"Host: {host_of(done['site']['url'])}"
            got = subprocess.run(
                ["sh", "-c", 'curl -sf -H "$1" "$2" | sha256sum', "sh", host, url], capture_output=True, check=True
            )
        own = subprocess.run(["sha256sum", folder / "data.bin"], capture_output=True, check=True)
        assert got.stdout[:64] == own.stdout[:64]
        print(json.dumps({"what": "2 GiB read back", "edge MB": reading.most["edge-0"] >> 20}))
        assert reading.growth("edge-0") <= GROWTH_BYTES_MAX


def test_a_sparse_file_of_five_gibibytes(tmp_path: Path) -> None:
    folder = tmp_path / "sparse"
    folder.mkdir()
    (folder / "index.html").write_bytes(b"sparse")
    with (folder / "zeros.bin").open("wb") as file:
        file.truncate(5 << 30)
    with running(tmp_path) as platform:
        done, peaks = deploy(platform, folder, "5 GiB sparse")
        assert done["deployment"]["bytes"] == (5 << 30) + 6
        assert done["deployment"]["uploadedBytes"] < 8 << 20, "equal blocks are sent once"
        assert peaks.growth("edge-0") <= GROWTH_BYTES_MAX
        reply = platform.request(
            "/zeros.bin", host=host_of(done["site"]["url"]), headers={"Range": f"bytes={(5 << 30) - 10}-"}
        )
        assert (reply.status, reply.body) == (206, bytes(10))


def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for top in range(100):
        (folder / f"d{top:02}").mkdir(parents=True)
        for number in range(1_000):
            (folder / f"d{top:02}" / f"f{number:03}.txt").write_bytes(b"%d/%d" % (top, number))
    (folder / "index.html").write_bytes(b"many")
    with running(tmp_path) as platform:
        done, peaks = deploy(platform, folder, "100,001 files")
        assert done["deployment"]["files"] == 100_001
        host = host_of(done["site"]["url"])
        assert platform.request("/d42/f042.txt", host=host).body == b"42/42"
        assert peaks.growth("edge-0") <= GROWTH_BYTES_MAX, peaks
        (folder / "d42" / "f042.txt").write_bytes(b"changed")
        again, _ = deploy(platform, folder, "100,001 files, one changed")
        assert again["deployment"]["uploadedFiles"] == 1
        assert platform.request("/d42/f042.txt", host=host).body == b"changed"


def test_a_folder_of_fifty_thousand_names_is_sharded_and_listed(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(50_000):
        (folder / f"some-longer-name-{number:06}.txt").write_bytes(b"%d" % number)
    (folder / "index.html").write_bytes(b"flat")
    with running(tmp_path) as platform:
        done, _ = deploy(platform, folder, "50,000 files in one folder")
        host = host_of(done["site"]["url"])
        assert platform.request("/some-longer-name-049999.txt", host=host).body == b"49999"
        assert platform.request("/some-longer-name-050000.txt", host=host).status == 404


def test_two_gibibytes_in_an_archive(tmp_path: Path) -> None:
    """Unpacked by the worker, whose memory must stay flat as well."""
    source = tmp_path / "files"
    source.mkdir()
    (source / "index.html").write_bytes(b"packed")
    for number in range(15):
        with (source / f"{number}.bin").open("wb") as file:
            for _ in range(8):
                file.write(os.urandom(1 << 24))
    subprocess.run(["tar", "-cf", tmp_path / "site.tar", "-C", source, "."], check=True)
    with running(tmp_path) as platform:
        platform.graphql('mutation{createSite(data:{name:"packed"}){id}}')
        pids = hostile.part_pids(platform)
        started = time.monotonic()
        with watched(pids) as peaks:
            url = f"http://127.0.0.1:{platform.port}/v1/sites/packed/archive"
            token = f"Authorization: Bearer {platform.profile()['token']}"
            command = [
                "curl",
                "-sf",
                "-T",
                tmp_path / "site.tar",
                "-X",
                "POST",
                "-H",
                "Host: localhost",
                "-H",
                token,
                url,
            ]
            sent = subprocess.run(command, capture_output=True, check=True)
            deployment = json.loads(sent.stdout)["deployment"]["id"]
            ended = wait_until(
                lambda: hostile.final_deployment(platform, deployment, seconds=300), seconds=300, what="the end"
            )
        assert ended["status"] == "SUCCESS", ended
        figures = {name: f"{peaks.first[name] >> 20} → {peaks.most[name] >> 20}" for name in peaks.first}
        print(json.dumps({"what": "1.9 GiB tar", "seconds": round(time.monotonic() - started, 1), **figures}))
        for name in ("edge-0", "worker"):
            assert peaks.growth(name) <= GROWTH_BYTES_MAX, (name, peaks)
