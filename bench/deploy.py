"""Time to live: from the start of one command to the first 200 with the new bytes at the stable address.

    .venv/bin/python bench/deploy.py [--rounds 5] [--files 1000] [--file-bytes 22000]

Rows: cold, unchanged, one file changed, rollback. Ours is `af deploy` / `af rollback` against a warm platform, synced
to disk. Peers, run in turn on the same files and disk: Kubo 0.40 (`ipfs add -r` on a warm daemon, then a GET by the
printed CID; its default does not sync) and `rsync` into a fresh folder with a symlink flip under a running Caddy, the
hand-made atomic deploy. Prints one JSON line per row: medians in milliseconds, ours / theirs (under 1: we are faster),
and for rollback what a client that hammers the address saw; for our deploys also the bytes sent (median) and the peak
resident memory of `af`. Bars (DESIGN §6): cold ≤ 2.5 × Kubo; one file ≤ 500 ms;
rollback request to new bytes ≤ 50 ms with 0 failures.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alternatefutures import Client
from bench._platform import AF, environment, platform
from tests.support.kubo import KuboDaemon, kubo_binary, why_missing

PROBE = "index.html"
GIVE_UP_SECONDS = 60.0


@dataclass
class Contestant:
    """``deploy(folder)`` publishes; ``fetch()`` is what the stable address answers for the probe file, or `None`."""

    deploy: Callable[[Path], None]
    fetch: Callable[[], bytes | None]
    rollback: Callable[[], None]
    request_rollback: Callable[[], object] = lambda: None
    """The rollback as one API request of a client that is running already."""
    times: dict[str, list[float]] = field(default_factory=dict)
    runs: list[dict[str, int]] = field(default_factory=list)
    """Bytes sent and peak memory of each command, in order, where they are known."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare deploys with Kubo and with rsync + Caddy.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--file-bytes", type=int, default=22_000)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="af-bench-")))
        contestants = {
            "af": stack.enter_context(_af(place / "af")),
            "kubo": stack.enter_context(_kubo()),
            "caddy": stack.enter_context(_caddy(place / "caddy")),
        }
        present = {name: one for name, one in contestants.items() if one is not None}
        for number in range(options.rounds):
            _round(place, present, number, options.files, options.file_bytes)
        hammered = _hammered_rollback(present["af"], place / "site-0")
        for row, bar in (("cold", "kubo 2.5"), ("unchanged", ""), ("one_file", "500 ms"), ("rollback", "")):
            _print(row, present, bar, options.rounds)
        print(json.dumps({"bench": "rollback_hammered", **hammered, "bar_ms": 50, "bar_failures": 0}))
    return 0


def _round(place: Path, contestants: dict[str, Contestant], number: int, files: int, file_bytes: int) -> None:
    """Fresh content each round, the same for all, in an order that changes."""
    folder = _make_site(place / f"site-{number}", files, file_bytes, seed=number)
    order = list(contestants.values())
    order = order[number % len(order) :] + order[: number % len(order)]
    for one in order:
        _timed(one, "cold", folder)
    for one in order:
        _timed(one, "unchanged", folder)
    before = (folder / PROBE).read_bytes()
    (folder / PROBE).write_bytes(b"changed %d" % number)
    for one in order:
        _timed(one, "one_file", folder)
    for one in order:
        began = time.perf_counter()
        one.rollback()
        _until(one, before)
        one.times.setdefault("rollback", []).append(time.perf_counter() - began)


def _timed(one: Contestant, row: str, folder: Path) -> None:
    wanted = (folder / PROBE).read_bytes()
    began = time.perf_counter()
    one.deploy(folder)
    _until(one, wanted)
    one.times.setdefault(row, []).append(time.perf_counter() - began)


def _until(one: Contestant, wanted: bytes) -> None:
    deadline = time.perf_counter() + GIVE_UP_SECONDS
    while one.fetch() != wanted:
        if time.perf_counter() > deadline:
            raise SystemExit(f"the new bytes did not appear: {wanted!r}, but {one.fetch()!r}")
        time.sleep(0.005)


def _print(row: str, contestants: dict[str, Contestant], bar: str, rounds: int) -> None:
    own = contestants["af"].runs
    rows = ("cold", "unchanged", "one_file", "rollback")
    of_row = own[rows.index(row) :: len(rows)][:rounds]  # one command of each row in each round
    cost = {key: round(statistics.median(run[key] for run in of_row)) for key in ("sent_bytes", "af_peak_rss_bytes")}
    medians = {name: statistics.median(one.times[row]) * 1000 for name, one in contestants.items()}
    ratios = {f"af/{name}": round(medians["af"] / value, 2) for name, value in medians.items() if name != "af"}
    shown = {f"{name}_ms": round(value) for name, value in medians.items()}
    print(json.dumps({"bench": f"deploy_{row}", **shown, **ratios, **cost, "rounds": rounds, "bar": bar}), flush=True)


def _make_site(folder: Path, files: int, file_bytes: int, *, seed: int) -> Path:
    source = random.Random(seed)
    for index in range(files - 1):
        path = folder / f"{index % 20:02d}" / f"{index:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(file_bytes))
    (folder / PROBE).write_bytes(b"fresh %d" % seed)
    return folder


@contextlib.contextmanager
def _af(folder: Path) -> Iterator[Contestant]:
    folder.mkdir()
    with platform(folder) as ready:
        env = environment(folder)

        runs: list[dict[str, int]] = []

        def run(*arguments: str | Path) -> None:
            command = [AF, *arguments, "--site", "bench", "--json"]
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                answer = json.loads(process.stdout.read())
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise SystemExit(f"af ended with {process.returncode}: {answer}")
            sent = answer["deployment"].get("uploadedBytes", 0)
            runs.append({"sent_bytes": sent, "af_peak_rss_bytes": used.ru_maxrss * 1024})

        def fetch() -> bytes | None:
            return _get("127.0.0.1", ready["port"], f"/{PROBE}", f"bench.localhost:{ready['port']}")

        profile = json.loads((folder / "config" / "credentials.json").read_text())["profiles"]["local"]
        client = Client(url=profile["apiUrl"], token=profile["token"], project_id=profile["projectId"])
        sites: list[str] = []

        def request_rollback() -> None:
            if not sites:
                sites.extend(site.id for site in client.sites())
            client.rollback(sites[0])

        yield Contestant(lambda site: run("deploy", site), fetch, lambda: run("rollback"), request_rollback, runs=runs)


@contextlib.contextmanager
def _kubo() -> Iterator[Contestant | None]:
    binary = kubo_binary()
    if binary is None:
        sys.stderr.write(f"NO KUBO: {why_missing()}\n")
        yield None
        return
    with KuboDaemon(binary) as kubo:
        gateway = urlsplit(kubo.gateway_url)
        roots: list[str] = []

        def add(site: Path) -> None:
            command = ("add", "-r", "-Q", "--cid-version=1", "--raw-leaves", str(site))
            roots.append(kubo.repository.run(*command).decode().strip())

        def fetch() -> bytes | None:
            assert gateway.hostname is not None
            assert gateway.port is not None
            return _get(gateway.hostname, gateway.port, f"/ipfs/{roots[-1]}/{PROBE}", f"127.0.0.1:{gateway.port}")

        yield Contestant(add, fetch, lambda: roots.append(roots[-2]))  # its rollback is a change of address only


@contextlib.contextmanager
def _caddy(folder: Path) -> Iterator[Contestant | None]:
    if shutil.which("caddy") is None or shutil.which("rsync") is None:
        sys.stderr.write("NO CADDY OR RSYNC: bin/setup --bench installs them\n")
        yield None
        return
    folder.mkdir()
    releases: list[Path] = []
    current = folder / "current"
    port = _free_port()
    (folder / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n root * {current}\n file_server\n}}\n"
    )

    def flip(release: Path) -> None:
        fresh = folder / "next"
        fresh.symlink_to(release)
        fresh.replace(current)

    def publish(site: Path) -> None:
        release = folder / f"release-{len(releases)}"
        against = [f"--link-dest={releases[-1]}"] if releases else []
        subprocess.run(["rsync", "-a", *against, f"{site}/", f"{release}/"], check=True)
        releases.append(release)
        flip(release)

    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        yield Contestant(
            publish, lambda: _get("127.0.0.1", port, f"/{PROBE}", f"127.0.0.1:{port}"), lambda: flip(releases[-2])
        )
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _hammered_rollback(one: Contestant, site: Path) -> dict[str, Any]:
    """Rollbacks by API request under a client that asks for the page without a pause."""
    (site / PROBE).write_bytes(b"version A")
    one.deploy(site)
    (site / PROBE).write_bytes(b"version B")
    one.deploy(site)
    fork = multiprocessing.get_context("fork")  # a process, so that it does not compete for our interpreter
    stop, counts = fork.Event(), fork.Array("q", 2)

    def hammer() -> None:
        while not stop.is_set():
            counts[0] += 1
            counts[1] += one.fetch() not in (b"version A", b"version B")

    client = fork.Process(target=hammer)
    client.start()
    waits = []
    one.request_rollback()  # opens the connection
    one.request_rollback()
    try:
        for wanted in (b"version A", b"version B") * 10:
            began = time.perf_counter()
            one.request_rollback()
            answered = time.perf_counter()
            _until(one, wanted)
            waits.append((time.perf_counter() - began, time.perf_counter() - answered))
    finally:
        stop.set()
        client.join()
    return {
        "request_to_new_bytes_ms": round(statistics.median(whole for whole, _ in waits) * 1000, 1),
        "answer_to_new_bytes_ms": round(statistics.median(after for _, after in waits) * 1000, 1),
        "requests": counts[0],
        "failures": counts[1],
    }


def _get(address: str, port: int, path: str, host: str) -> bytes | None:
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        body = response.read()
        return body if response.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
