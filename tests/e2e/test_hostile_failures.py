"""Processes that die or hang, disks that fill, files that rot, while real deploys go on."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import af, deploy, host_of, write
from tests.e2e.platform import AF, Running, environment, running
from tests.support.processes import wait_until


def now_running(platform: Running) -> dict[str, int]:
    """The present process of each part, from the log."""
    found: dict[str, int] = {}
    for line in platform.process.output().splitlines():
        if '"part started"' in line:
            entry = json.loads(line)
            found[entry["name"]] = entry["pid"]
    return found


def is_ready(platform: Running) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return platform.request("/ready").status == 200
    return False


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def test_parts_killed_during_deploys_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every second deploy, the edge or the worker is killed at a random moment of it; `af deploy` retries by itself."""
    chance = random.Random(7)
    with running(tmp_path) as platform:
        folder = write(tmp_path / "site", {f"f{n}.bin": os.urandom(50_000) for n in range(40)} | {"index.html": b"0"})
        deploy(platform, folder)
        for number in range(1, 9):
            write(folder, {"index.html": str(number).encode(), "f0.bin": os.urandom(3 << 20)})
            part = chance.choice(["edge-0", "worker"]) if number % 2 else ""
            timer = threading.Timer(chance.uniform(0.05, 0.6), _kill, (platform, part))
            if part:
                timer.start()
            done = af(platform, "deploy", folder, "--json")
            timer.cancel()
            assert done.code == 0, (number, part, done.out, done.err)
            wait_until(lambda: is_ready(platform), seconds=20, what="all parts are ready again")
            host = host_of(done.json["site"]["url"])
            assert platform.request("/", host=host).body == str(number).encode()
        listed = platform.graphql('{deployments(siteId:"site"){status}}')["deployments"]
        assert {deployment["status"] for deployment in listed} == {"SUCCESS"}


def _kill(platform: Running, part: str) -> None:
    with contextlib.suppress(ProcessLookupError, KeyError):
        os.kill(now_running(platform)[part], signal.SIGKILL)


def test_everything_killed_in_the_middle_of_deploys_starts_again_whole(tmp_path: Path) -> None:
    chance = random.Random(11)
    acknowledged = ""
    folder = write(tmp_path / "site", {f"f{n}.bin": os.urandom(200_000) for n in range(30)} | {"index.html": b"0"})
    for round_number in range(4):
        with running(tmp_path, log=f"round{round_number}.log") as platform:
            for listed in platform.graphql("{sites{data{deployments{status}}}}")["sites"]["data"]:
                assert {one["status"] for one in listed["deployments"]} <= {"SUCCESS"}
            if acknowledged:
                assert platform.request("/", host="site.localhost").body.decode() >= acknowledged
            write(folder, {"index.html": f"{round_number}a".encode()})
            assert deploy(platform, folder)["deployment"]["status"] == "ready"
            acknowledged = f"{round_number}a"
            write(folder, {"index.html": f"{round_number}b".encode(), "f0.bin": os.urandom(8 << 20)})
            client = subprocess.Popen(
                [AF, "deploy", folder, "--json"],
                env=platform.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(chance.uniform(0.1, 0.8))
            platform.process.kill()
            client.terminate()
            said, _ = client.communicate(timeout=30)
            if client.returncode == 0 and said:
                acknowledged = f"{round_number}b"


# --- a part that hangs -----------------------------------------------------------------------------------------------


def test_sites_are_served_and_deployed_while_the_worker_hangs(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        folder = write(tmp_path / "site", {"index.html": b"one"})
        host = host_of(deploy(platform, folder)["site"]["url"])
        worker = now_running(platform)["worker"]
        os.kill(worker, signal.SIGSTOP)
        try:
            write(folder, {"index.html": b"two"})
            deploy(platform, folder)
            assert platform.request("/", host=host).body == b"two"
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_until(lambda: is_ready(platform), seconds=20, what="the worker goes on")


@pytest.mark.slow
def test_a_client_whose_server_hangs_or_is_gone_gives_up_and_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "site", {"index.html": b"one"})
    with running(tmp_path) as platform:
        deploy(platform, folder)
        os.kill(now_running(platform)["edge-0"], signal.SIGSTOP)
        try:
            _gives_up(platform, folder)
        finally:
            os.kill(now_running(platform)["edge-0"], signal.SIGCONT)
    _gives_up(platform, folder)


def _gives_up(platform: Running, folder: Path) -> None:
    started = time.monotonic()
    done = af(platform, "deploy", folder, "--json")
    assert done.code == 8, (done.out, done.err)
    assert time.monotonic() - started < 30
    assert "error[AF" in done.err
    assert "af up" in done.err


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"NO TMPFS: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
@pytest.mark.parametrize("free_min", ["1048576", "0"], ids=["kept free", "filled to the last byte"])
def test_a_full_disk_refuses_writes_serves_on_and_recovers(small_disk: Path, tmp_path: Path, free_min: str) -> None:
    with running(small_disk, AF_DISK_FREE_BYTES_MIN=free_min) as platform:
        small = write(tmp_path / "small", {"index.html": b"small"})
        host = host_of(deploy(platform, small)["site"]["url"])
        big = write(tmp_path / "big", {f"{n}.bin": os.urandom(10 << 20) for n in range(12)})
        started = time.monotonic()
        done = af(platform, "deploy", big, "--json")
        assert time.monotonic() - started < 10, "waiting does not help"
        assert done.code in (7, 8), (done.code, done.out, done.err)
        assert "full" in done.err.lower() or "disk" in done.err.lower(), done.err
        assert "AF9099" not in done.err
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        for _ in range(5):
            assert platform.request("/", host=host).body == b"small"
        assert platform.request("/health").status == 200
        refused = af(platform, "deploy", write(tmp_path / "more", {"index.html": os.urandom(5_000)}), "--json")
        assert refused.code in (7, 8), (refused.code, refused.err)
        archive = hostile.post(platform, "/v1/sites/small/archive", os.urandom(3 << 20))
        assert archive.status in (503, 507), archive.body
        assert archive.json()["code"] != "internal"
        filler.unlink()
        assert af(platform, "storage", "gc", "--json").code in (0, 2)
        again = af(platform, "deploy", write(tmp_path / "later", {"index.html": b"later"}), "--json")
        assert again.code == 0, (again.out, again.err)
        assert platform.request("/", host=host_of(again.json["site"]["url"])).body == b"later"


@pytest.mark.root
def test_parts_survive_and_come_back_on_a_disk_without_a_single_free_byte(small_disk: Path, tmp_path: Path) -> None:
    """Mapped files (metrics) end a process that touches a page for which there is no room."""
    with running(small_disk, AF_DISK_FREE_BYTES_MIN="0") as platform:
        host = host_of(deploy(platform, write(tmp_path / "site", {"index.html": b"here"}))["site"]["url"])
        before = now_running(platform)
        with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for path in ("/auth/me", "/absent", "/v1/projects/default/content/car", "/graphql", "/store"):
                platform.request(path, method=method, headers={"X-Long": "x" * 100})
        assert platform.request("/", host=host).body == b"here"
        assert now_running(platform) == before, "a part died"
        os.kill(before["edge-0"], signal.SIGKILL)
        wait_until(lambda: _serves(platform, host), seconds=20, what="the site is served by a new edge")
        after = now_running(platform)
        until = time.monotonic() + 3  # longer than the gateway keeps its counts to itself
        while time.monotonic() < until:
            platform.request("/", host=host)
            platform.request("/auth/me")
        assert _serves(platform, host)
        assert now_running(platform) == after, "the new edge died"


def _serves(platform: Running, host: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return platform.request("/", host=host).body == b"here"
    return False


def test_the_gateway_serves_while_the_database_cannot_be_written(tmp_path: Path) -> None:
    """Another process holds the write lock for longer than anybody waits."""
    with running(tmp_path) as platform:
        folder = write(tmp_path / "site", {"index.html": b"one", "other.html": b"other"})
        host = host_of(deploy(platform, folder)["site"]["url"])
        lock = sqlite3.connect(tmp_path / "data" / "platform.sqlite", isolation_level=None, timeout=10)
        lock.execute("BEGIN IMMEDIATE")
        try:
            took = hostile.seconds_for(
                lambda: [platform.request(path, host=host) for path in ("/", "/other.html", "/absent")]
            )
            assert took < 2
            assert platform.request("/", host=host).body == b"one"
            assert platform.request("/auth/me", headers=hostile.owner(platform)).status == 200
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        write(folder, {"index.html": b"two"})
        deploy(platform, folder)
        assert platform.request("/", host=host).body == b"two"


# --- rot -------------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_is_never_served_and_is_found_and_healed(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    with running(tmp_path) as platform:
        site = write(tmp_path / "site", {"index.html": b"fine", "rot.bin": content})
        host = host_of(deploy(platform, site)["site"]["url"])
    (segment,) = [
        path
        for path in (tmp_path / "data" / "blocks").rglob("*")
        if path.is_file() and content[:64] in path.read_bytes()
    ]
    at = segment.read_bytes().index(content[:64]) + 1000
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(bytes([content[1000] ^ 1]))
    with running(tmp_path, log="again.log") as platform:
        with contextlib.suppress(Exception):
            reply = platform.request("/rot.bin", host=host)
            assert reply.body == content or reply.status >= 500 or len(reply.body) < len(content), "wrong bytes served"
        assert platform.request("/", host=host).body == b"fine"
        report = platform.graphql("mutation{scrubBlocks{blocks corrupt}}")["scrubBlocks"]
        assert len(report["corrupt"]) == 1
        write(site, {"new.txt": b"so that the root differs"})
        deploy(platform, site)
        assert platform.request("/rot.bin", host=host).body == content
        assert platform.graphql("mutation{scrubBlocks{corrupt}}")["scrubBlocks"]["corrupt"] == []


@pytest.mark.parametrize("damage", ["deleted", "garbage"])
def test_an_index_that_is_lost_is_made_again(tmp_path: Path, damage: str) -> None:
    with running(tmp_path) as platform:
        host = host_of(deploy(platform, write(tmp_path / "site", {"index.html": b"still here"}))["site"]["url"])
        secret = os.urandom(5_000)
        cid = hostile.raw_block(secret)
        body = hostile.car_of(cid, [(cid, secret)])
        assert hostile.post(platform, "/v1/projects/default/content/import?public=false", body).status == 200
    for path in (tmp_path / "data" / "blocks").glob("index.sqlite*"):
        path.unlink()
    if damage != "deleted":
        (tmp_path / "data" / "blocks" / "index.sqlite").write_bytes(b"garbage" * 2_000)
    with running(tmp_path, log="again.log") as platform:
        wait_until(
            lambda: platform.request("/", host=host).body == b"still here", seconds=20, what="the site is served again"
        )
        from af.protocols.ipfs import cid as cids

        path = f"/v1/projects/default/content/{cids.to_text(cid)}/file/"
        wait_until(
            lambda: platform.request(path, headers=hostile.owner(platform)).body == secret,
            seconds=20,
            what="private content is readable by its project again",
        )
        assert platform.request(f"/ipfs/{cids.to_text(cid)}", host="127.0.0.1").status == 404


def test_a_damaged_master_key_is_named_and_not_replaced(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    key = tmp_path / "data" / "keys" / "master.key"
    before = key.read_bytes()
    for damaged in (b"", before[:5], b"not a key at all\n"):
        key.write_bytes(damaged)
        command = [AF, "up", "--port", "0", "--data", tmp_path / "data"]
        done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60)
        assert done.returncode not in (0, 70), (done.returncode, done.stderr)
        assert "master.key" in done.stderr
        assert "fix:" in done.stderr
        assert key.read_bytes() == damaged
    key.write_bytes(before)
    with running(tmp_path, log="again.log") as platform:
        assert is_ready(platform)


def test_a_copied_folder_starts_under_another_name(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        host = host_of(deploy(platform, write(tmp_path / "site", {"index.html": b"copied"}))["site"]["url"])
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere" / "data")
    with running(tmp_path / "elsewhere") as platform:
        assert platform.request("/", host=host).body == b"copied"
