"""Requests a second for static content: our gateway next to Kubo's, Caddy and nginx, each on loopback, in turn.

    .venv/bin/python bench/gateway.py [--seconds 5] [--rounds 3] [--only af,kubo] [--cases site] [--minimal]

Cases: one file of 10 KB, one of 1 MB, and a site of 5,000 files of about 10 KB asked for at random. Load comes from
``wrk -t2 -c32`` (it shares the machine's cores). Prints one JSON line per case: medians of requests a second, p50 and
p99 in milliseconds, proportional memory in MB, and ours / theirs (over 1: we are faster). Bars (DESIGN §6), against
Kubo: 3 times at 10 KB and on the site, 1.5 times at 1 MB.

All servers answer the same bytes, checked before measuring. Ours is ``af up`` with a deployed site; ``--minimal``
serves the same tree from a segment store in a bare process instead (no database, no API). Servers that are not
installed are left out: see ``bin/setup --bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import shake_128
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.kubo import KuboDaemon, kubo_binary, why_missing

ROOT = Path(__file__).resolve().parents[1]
FILES, FILES_PER_FOLDER = 5_000, 100
SMALL, BIG = "small.bin", "big.bin"
BARS = {"10KB": 3.0, "1MB": 1.5, "site": 3.0}
START_SECONDS = 60.0


@dataclass(frozen=True)
class Contestant:
    """A running server: the tree is below ``prefix`` on ``host``; ``pids`` are its processes."""

    name: str
    port: int
    host: str
    prefix: str
    pids: Callable[[], list[int]]


@dataclass(frozen=True)
class Sample:
    requests_per_second: float
    p50_ms: float
    p99_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare static serving with Kubo, Caddy and nginx.")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="af,kubo,caddy,nginx")
    parser.add_argument("--cases", default=",".join(BARS))
    parser.add_argument("--minimal", action="store_true")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve_minimal(Path(options.serve))
        return 0
    if shutil.which("wrk") is None:
        sys.stderr.write("NO WRK: bin/setup --bench installs it\n")
        return 1
    wanted = options.only.split(",")
    starters: dict[str, Any] = {
        "af": _minimal if options.minimal else _af,
        "kubo": _kubo,
        "caddy": _caddy,
        "nginx": _nginx,
    }
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as directory, contextlib.ExitStack() as stack:
        work = Path(directory)
        tree = work / "tree"
        names = _write_tree(tree)
        contestants: list[Contestant] = []
        for name in wanted:
            place = work / name
            place.mkdir()
            started = stack.enter_context(starters[name](tree, place))
            if started is not None:
                _check(started, tree, names)
                contestants.append(started)
        for case, paths in {"10KB": [SMALL], "1MB": [BIG], "site": names}.items():
            if case in options.cases.split(","):
                _print_row(case, paths, contestants, options, work)
    return 0


def _print_row(case: str, paths: list[str], contestants: list[Contestant], options: Any, work: Path) -> None:
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for turn in range(-1, options.rounds):
        for contestant in contestants:
            sample = _wrk(contestant, paths, 1 if turn < 0 else options.seconds, work)
            if turn >= 0:  # the first turn only warms up
                samples[contestant.name].append(sample)
    row: dict[str, Any] = {"bench": "gateway", "case": case}
    for contestant in contestants:
        found = samples[contestant.name]
        row[contestant.name] = {
            "requests_per_second": round(statistics.median(s.requests_per_second for s in found)),
            "p50_ms": round(statistics.median(s.p50_ms for s in found), 2),
            "p99_ms": round(statistics.median(s.p99_ms for s in found), 2),
            "memory_mb": round(sum(map(_memory_mb, contestant.pids()))),
        }
    ours = row.get("af", {}).get("requests_per_second")
    for contestant in contestants:
        if ours and contestant.name != "af":
            row[f"ratio_{contestant.name}"] = round(ours / row[contestant.name]["requests_per_second"], 2)
    row |= {"bar_kubo": BARS[case], "rounds": options.rounds, "seconds": options.seconds, "cpus": os.cpu_count()}
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


# --- the tree and the load -----------------------------------------------------------------------------------------


def _write_tree(tree: Path) -> list[str]:
    """The files; returns the names of the site's."""
    noise = shake_128(b"gateway").digest(1_000_000 + 20_000)
    tree.mkdir()
    (tree / SMALL).write_bytes(noise[:10_240])
    (tree / BIG).write_bytes(noise[:1_000_000])
    names = []
    for number in range(FILES):
        name = f"site/{number // FILES_PER_FOLDER:02}/page-{number}.bin"
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise[number * 97 : number * 97 + 2_048 + number * 7919 % 16_384])
        names.append(name)
    return names


def _check(contestant: Contestant, tree: Path, names: list[str]) -> None:
    for name in (SMALL, BIG, *names[:: len(names) // 10]):
        url = f"http://127.0.0.1:{contestant.port}{contestant.prefix}/{name}"
        request = urllib.request.Request(url, headers={"Host": contestant.host})
        with urllib.request.urlopen(request, timeout=30) as response:
            if response.read() != (tree / name).read_bytes():
                raise SystemExit(f"{contestant.name} gave other bytes for {name}")


def _wrk(contestant: Contestant, paths: list[str], seconds: int, work: Path) -> Sample:
    script = work / "paths.lua"
    listed = ",".join(f'"{contestant.prefix}/{path}"' for path in paths)
    script.write_text(
        f'local paths = {{{listed}}}\nlocal headers = {{["Host"] = "{contestant.host}"}}\nlocal ready = {{}}\n'
        'init = function() for i, p in ipairs(paths) do ready[i] = wrk.format("GET", p, headers) end end\n'
        "request = function() return ready[math.random(#ready)] end\n"
    )
    command = ["wrk", "-t2", "-c32", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{contestant.port}/"], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"{contestant.name} failed under load:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate is not None, done.stdout
    return Sample(float(rate[1]), _milliseconds("50%", done.stdout), _milliseconds("99%", done.stdout))


def _milliseconds(label: str, output: str) -> float:
    found = re.search(rf"{label}\s+([\d.]+)(us|ms|s)\b", output)
    assert found is not None, output
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1_000.0}[found[2]]


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


# --- the servers ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _process(command: list[str], *, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _family(int(child)))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _until_open(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing listens on port {port}")
        time.sleep(0.05)


@contextlib.contextmanager
def _af(tree: Path, place: Path) -> Iterator[Contestant]:
    """The whole platform, and the tree deployed as a user does it."""
    af = str(ROOT / ".venv/bin/af")
    env = {**os.environ, "XDG_CONFIG_HOME": str(place), "HOME": str(place)}
    with _process([af, "up", "--port", "0", "--data", str(place / "data"), "--json"], env=env) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline() or b"{}")
        if ready.get("event") != "ready":
            raise SystemExit("af up did not start; --minimal measures the gateway without it")
        env["AF_API_URL"] = ready["url"]
        deploy = [af, "deploy", str(tree), "--site", "bench", "--json"]
        subprocess.run(deploy, env=env, check=True, stdout=subprocess.DEVNULL)
        yield Contestant("af", ready["port"], f"bench.localhost:{ready['port']}", "", lambda: _family(process.pid))


@contextlib.contextmanager
def _minimal(tree: Path, place: Path) -> Iterator[Contestant]:
    command = [sys.executable, __file__, "--serve", str(place)]
    with _process(command, env={**os.environ, "BENCH_TREE": str(tree)}) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Contestant("af", port, "bench.localhost", "", lambda: [process.pid])


@contextlib.contextmanager
def _kubo(tree: Path, place: Path) -> Iterator[Contestant | None]:
    binary = kubo_binary()
    if binary is None:
        sys.stderr.write(f"NO KUBO: {why_missing()}\n")
        yield None
        return
    with KuboDaemon(binary) as kubo:
        root = kubo.repository.run("add", "-r", "-Q", "--cid-version=1", str(tree)).decode().strip()
        port = int(kubo.gateway_url.rpartition(":")[2])
        daemon = [child for child in _family(os.getpid()) if _command(child) == "ipfs"]
        yield Contestant("kubo", port, "127.0.0.1", f"/ipfs/{root}", lambda: daemon)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@contextlib.contextmanager
def _caddy(tree: Path, place: Path) -> Iterator[Contestant | None]:
    if shutil.which("caddy") is None:
        sys.stderr.write("NO CADDY\n")
        yield None
        return
    port = _free_port()
    config = place / "Caddyfile"
    config.write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n root * {tree}\n file_server\n}}\n"
    )
    command = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
    with _process(command, env={**os.environ, "HOME": str(place)}) as process:
        _until_open(port)
        yield Contestant("caddy", port, f"127.0.0.1:{port}", "", lambda: _family(process.pid))


@contextlib.contextmanager
def _nginx(tree: Path, place: Path) -> Iterator[Contestant | None]:
    """Two workers, sendfile, open files kept: what an administrator would set for static files."""
    if shutil.which("nginx") is None:
        sys.stderr.write("NO NGINX\n")
        yield None
        return
    port = _free_port()
    config = place / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(
        f"{user} worker_processes 2; daemon off; pid {place}/pid; error_log {place}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n"
        "open_file_cache max=10000 inactive=60s;\n"
        f"client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};\n"
        f"uwsgi_temp_path {place}; scgi_temp_path {place};\n"
        f"server {{ listen 127.0.0.1:{port}; root {tree}; }} }}\n"
    )
    with _process(["nginx", "-c", str(config), "-p", str(place)]) as process:
        _until_open(port)
        yield Contestant("nginx", port, "127.0.0.1", "", lambda: _family(process.pid))


# --- our gateway without the rest ----------------------------------------------------------------------------------


def _serve_minimal(place: Path) -> None:
    """Imports the tree into a segment store and serves it; prints the port first."""
    import uvicorn
    import uvloop

    from af.core.bell import Bell
    from af.core.clock import SystemClock
    from af.core.settings import Settings
    from af.gateway import Gateway
    from af.gateway.protocol import bound
    from af.protocols.ipfs import unixfs
    from af.protocols.ipfs.cid import CID
    from af.storage.backends.segments import SegmentStore
    from tests.support.blocks import HostRows

    async def serve() -> None:
        settings = Settings(data=place)
        blocks: list[tuple[CID, bytes]] = []
        tree = Path(os.environ["BENCH_TREE"])
        entries = []
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    entry = unixfs.import_file(file.read, lambda cid, block: blocks.append((cid, block)))
                entries.append((str(path.relative_to(tree)), entry))
        root = unixfs.build_tree(entries, lambda cid, block: blocks.append((cid, block)))
        store = SegmentStore(place / "blocks", clock=SystemClock())
        for start in range(0, len(blocks), 500):
            await store.put(blocks[start : start + 500], scope="prj_bench")
        hosts = HostRows()
        hosts.bind("bench", root.cid)
        gateway = Gateway(settings, Bell(place / "bell"), hosts, store)
        config = uvicorn.Config(
            gateway, http=bound(gateway), loop="uvloop", lifespan="off", access_log=False, log_level="critical",
            server_header=False, ws="none", timeout_graceful_shutdown=1,
        )  # fmt: skip
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        blocks.clear()
        await uvicorn.Server(config).serve([listener])
        await store.close()

    uvloop.run(serve())


if __name__ == "__main__":
    sys.exit(main())
