"""`af up --kubo`: a real Kubo node beside the platform, and a second one that gets content from it by Bitswap."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.server import offspring
from tests.e2e.platform import AF, Running, environment, running
from tests.support import kubo
from tests.support.processes import start, wait_until

pytestmark = pytest.mark.kubo
_CREATE_SITE = "mutation ($slug: String!) { createSite(data: { name: $slug, slug: $slug }) { id } }"


@dataclass(frozen=True)
class Beside:
    """A platform with its node."""

    platform: Running

    @property
    def repository(self) -> Path:
        return Path(self.platform.ready["data"]) / "kubo"

    @property
    def pid(self) -> int:
        """The node's process."""
        found = [pid for pid in offspring.descendants(self.platform.process.pid) if _name(pid) == "ipfs"]
        return found[0] if found else 0

    def call(self, path: str) -> Any:
        """The lines of an answer of the node's RPC API, by the secret in its configuration."""
        config = json.loads((self.repository / "config").read_text())
        _, _, host, _, port = config["Addresses"]["API"].split("/")
        secret = config["API"]["Authorizations"]["platform"]["AuthSecret"].removeprefix("bearer:")
        request = Request(
            f"http://{host}:{port}/api/v0/{path}", method="POST", headers={"Authorization": f"Bearer {secret}"}
        )
        with urlopen(request, timeout=30) as response:
            return [json.loads(line) for line in response.read().splitlines()]

    def address(self) -> str:
        found: str = self.call("id")[0]["Addresses"][0]
        return found

    def pins(self) -> set[str]:
        return set(self.call("pin/ls?type=recursive")[0].get("Keys", {}))

    def has_block(self, cid: str) -> bool:
        config = json.loads((self.repository / "config").read_text())
        secret = config["API"]["Authorizations"]["platform"]["AuthSecret"]
        done = subprocess.run(
            [_binary(), "--api-auth", secret, "block", "stat", "--offline", cid],
            env={"PATH": os.environ["PATH"], "IPFS_PATH": str(self.repository), "HOME": str(self.repository)},
            capture_output=True,
        )
        assert done.returncode == 0 or b"not found" in done.stderr, done.stderr
        return done.returncode == 0

    def deploy(self, slug: str, files: dict[str, bytes]) -> str:
        """A site made live by `af deploy`; the CID of its root."""
        self.platform.graphql(_CREATE_SITE, slug=slug)
        folder = self.repository.parents[1] / slug
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        found: str = json.loads(self.af("deploy", str(folder), "--site", slug, "--json"))["deployment"]["cid"]
        return found

    def af(self, *arguments: str) -> str:
        done = subprocess.run([AF, *arguments], env=self.platform.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for_pin(self, cid: str) -> None:
        wait_until(lambda: cid in self.pins(), seconds=20, what=f"a pin of {cid} in the node beside")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _binary() -> str:
    return str(kubo.kubo_or_skip())


def _settings() -> dict[str, str]:
    """A node that talks to nobody but who is connected to it, on loopback."""
    return {
        "AF_KUBO_BINARY": _binary(),
        "AF_KUBO_NETWORK": "peers",
        "AF_KUBO_SWARM_HOST": "127.0.0.1",
        "AF_KUBO_SWARM_PORT": "0",
    }


def _running(folder: Path, log: str = "up.log") -> contextlib.AbstractContextManager[Running]:
    return running(folder, "--kubo", verb=("up",), log=log, **_settings())


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with _running(tmp_path_factory.mktemp("kubo")) as platform:
        wait_until(
            lambda: platform.request("/ready").json()["checks"]["kubo"] == "ok", seconds=20, what="an answering node"
        )
        yield Beside(platform)


@pytest.fixture(scope="module")
def other(beside: Beside) -> Iterator[kubo.KuboDaemon]:
    """Somebody else's node, connected to ours."""
    with kubo.KuboDaemon(kubo.kubo_or_skip(), swarm=True) as node:
        node.connect(beside.address())
        yield node


def test_another_node_gets_a_site_that_was_deployed_here(beside: Beside, other: kubo.KuboDaemon) -> None:
    files = {"index.html": b"<h1>by bitswap</h1>", "big/file.bin": os.urandom(3 << 20)}
    cid = beside.deploy("shared", files)
    beside.wait_for_pin(cid)
    assert other.call(f"/api/v0/cat?arg=/ipfs/{cid}/index.html") == files["index.html"]
    assert other.call(f"/api/v0/cat?arg=/ipfs/{cid}/big/file.bin") == files["big/file.bin"]


def test_what_another_node_has_is_pinned_here(beside: Beside, other: kubo.KuboDaemon) -> None:
    data = os.urandom(700_000)
    made = other.repository.run("--api", other.api_multiaddr, "add", "-Q", "--cid-version=1", stdin=data)
    cid = made.decode().strip()
    headers = {"Authorization": f"Bearer {beside.platform.profile()['token']}", "Content-Type": "application/json"}
    asked = beside.platform.request(
        "/pins", method="POST", body=json.dumps({"cid": cid, "name": "theirs"}).encode(), headers=headers
    )
    assert asked.status == 202, asked.body

    def ended() -> Any:
        found = beside.platform.request(f"/pins/{asked.json()['requestid']}", headers=headers).json()
        return found if found["status"] in ("pinned", "failed") else None

    assert wait_until(ended, seconds=30, what="the end of a pin request")["status"] == "pinned"
    assert beside.platform.request(f"/ipfs/{cid}", host="gateway.localhost").body == data
    assert beside.address() in asked.json()["delegates"]


def test_a_public_pin_is_given_to_the_node_and_a_private_one_is_not(beside: Beside, tmp_path: Path) -> None:
    found = {}
    for name, more in (("private", ("--private",)), ("public", ())):
        data = f"{name} content".encode()
        root = cids.of(cids.RAW, data)
        (tmp_path / name).write_bytes(car.header([root]) + car.frame(root, data))
        beside.af("storage", "import", str(tmp_path / name), *more)
        found[name] = cids.to_text(root)
    beside.wait_for_pin(found["public"])
    assert not beside.has_block(found["private"])
    assert beside.has_block(found["public"])


def test_the_node_is_told_to_let_go_of_what_nobody_keeps(beside: Beside) -> None:
    cid = beside.deploy("leaving", {"index.html": b"soon gone"})
    beside.wait_for_pin(cid)
    beside.af("sites", "delete", "leaving", "--yes")
    wait_until(lambda: cid not in beside.pins(), seconds=30, what="the pin's end")


def test_a_killed_node_is_started_again_and_the_platform_serves_on(beside: Beside) -> None:
    before = beside.pid
    assert before
    os.kill(before, signal.SIGKILL)
    cid = beside.deploy("meanwhile", {"index.html": b"served"})
    assert beside.platform.request("/", host="meanwhile.localhost").body == b"served"
    wait_until(lambda: beside.pid not in (0, before), seconds=20, what="another process of the node")
    wait_until(
        lambda: beside.platform.request("/ready").json()["checks"]["kubo"] == "ok", seconds=20, what="an answering node"
    )
    beside.wait_for_pin(cid)


def test_a_node_that_does_not_answer_is_shown_but_the_platform_is_ready(beside: Beside) -> None:
    pid = beside.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        ready = beside.platform.request("/ready")
        assert ready.status == 200
        assert ready.json()["status"] == "ready"
        assert ready.json()["checks"]["kubo"] != "ok"
        beside.deploy("patient", {"index.html": b"not held up"})
        assert beside.platform.request("/", host="patient.localhost").body == b"not held up"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_other_users_of_the_machine_cannot_use_the_nodes_rpc(beside: Beside) -> None:
    config = json.loads((beside.repository / "config").read_text())
    assert (beside.repository / "config").stat().st_mode & 0o077 == 0
    _, _, host, _, port = config["Addresses"]["API"].split("/")
    assert host == "127.0.0.1"
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", f"http://{host}:{port}/api/v0/id"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "403"


def test_the_node_knows_nothing_of_our_secrets(beside: Beside) -> None:
    seen = Path(f"/proc/{beside.pid}/environ").read_bytes()
    assert b"AF_" not in seen


def test_doctor_says_the_nodes_version_and_peers(beside: Beside, other: kubo.KuboDaemon) -> None:
    other.connect(beside.address())
    data, port = beside.platform.ready["data"], str(beside.platform.port)
    found = json.loads(
        subprocess.run(
            [AF, "doctor", "--data", data, "--port", port, "--json"],
            env={**beside.platform.environment, "AF_KUBO": "1"},
            capture_output=True,
        ).stdout
    )
    [check] = [check for check in found["checks"] if check["name"] == "kubo"]
    assert check["status"] == "ok"
    assert "0.40" in check["detail"]
    assert "1 peer" in check["detail"]


@pytest.mark.parametrize("victim", ["front", "keeper"])
def test_kill_9_of_the_platform_leaves_no_node(tmp_path: Path, victim: str) -> None:
    command: list[str | Path] = [AF, "up", "--kubo", "--port", "0", "--data", tmp_path / "data", "--json"]
    process = start(command, log=tmp_path / "log", env={**environment(tmp_path), **_settings()})
    process.wait_for_line(r'^\{"event": "ready"')
    wait_until(lambda: any(_name(pid) == "ipfs" for pid in offspring.descendants(process.pid)), seconds=20, what="ipfs")
    below = offspring.descendants(process.pid)
    node = next(pid for pid in below if _name(pid) == "ipfs")
    os.kill(process.pid if victim == "front" else _keeper(process.pid), signal.SIGKILL)
    wait_until(lambda: _name(node) != "ipfs", seconds=5, what="the node's end")
    process.wait_for_exit()


def _keeper(front: int) -> int:
    [keeper] = Path(f"/proc/{front}/task/{front}/children").read_text().split()
    return int(keeper)


def test_the_same_node_comes_back_with_the_platform_and_gets_what_it_missed(tmp_path: Path) -> None:
    with _running(tmp_path) as platform:
        first = Beside(platform).address().rpartition("/")[2]
    with running(tmp_path, log="without.log") as platform:
        assert "kubo" not in platform.request("/ready").json()["checks"]
        cid = Beside(platform).deploy("missed", {"index.html": b"later"})
    with _running(tmp_path, log="again.log") as platform:
        again = Beside(platform)
        again.wait_for_pin(cid)
        assert again.address().rpartition("/")[2] == first


def test_a_node_that_always_crashes_does_not_stop_the_platform(tmp_path: Path) -> None:
    program = tmp_path / "ipfs"
    program.write_text(f'#!/bin/sh\nif [ "$1" = daemon ]; then exit 3; fi\nexec {_binary()} "$@"\n')
    program.chmod(0o700)
    with running(tmp_path, "--kubo", verb=("up",), **{**_settings(), "AF_KUBO_BINARY": str(program)}) as platform:
        crashed = '"event": "part crashed", "part": "supervisor", "name": "kubo"'
        platform.process.wait_until(lambda: platform.process.output().count(crashed) >= 5, what="five crashes")
        ready = platform.request("/ready")
        assert ready.status == 200
        assert "does not answer" in ready.json()["checks"]["kubo"]


def test_a_node_elsewhere_announces_sites_and_names_to_a_third_one(tmp_path: Path) -> None:
    """By a real DHT of two nodes: the third one asks it who has the content, and where the name leads."""
    binary = kubo.kubo_or_skip()
    with (
        kubo.KuboDaemon(binary, swarm=True, routing="dhtserver", token="secret") as elsewhere,
        kubo.KuboDaemon(binary, swarm=True, routing="dhtserver") as third,
    ):
        third.connect(elsewhere.address())
        settings = {"AF_KUBO_RPC_URL": elsewhere.api_url, "AF_KUBO_RPC_TOKEN": "secret"}
        with running(tmp_path, verb=("up",), **settings) as platform:
            ours = Beside(platform)
            cid = ours.deploy("announced", {"index.html": b"found by the DHT"})
            name = json.loads(ours.af("ipns", "create", "stable", "--json"))["name"]
            ours.af("ipns", "publish", "stable", f"/ipfs/{cid}")
            peer_id = elsewhere.address().rpartition("/")[2]
            wait_until(lambda: peer_id in _providers(third, cid), seconds=40, what="a provider of the site")
            wait_until(lambda: _resolved(third, name) == f"/ipfs/{cid}", seconds=40, what="the IPNS record")
            assert third.call(f"/api/v0/cat?arg=/ipns/{name}/index.html") == b"found by the DHT"


def _providers(node: kubo.KuboDaemon, cid: str) -> str:
    return node.call(f"/api/v0/routing/findprovs?arg={cid}").decode()


def _resolved(node: kubo.KuboDaemon, name: str) -> str:
    try:
        found: str = json.loads(node.call(f"/api/v0/name/resolve?arg=/ipns/{name}&nocache=true"))["Path"]
    except HTTPError:  # 500: it finds no record yet
        return ""
    return found


def _refused(folder: Path, **settings: str) -> str:
    done = subprocess.run(
        [AF, "up", "--kubo", "--port", "0", "--data", folder / "data"],
        env={**environment(folder), **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    return done.stderr


def test_without_the_program_it_says_how_to_get_it(tmp_path: Path) -> None:
    said = _refused(tmp_path, AF_KUBO_BINARY=str(tmp_path / "no-ipfs"))
    assert "AF7013" in said
    assert "AF_KUBO_BINARY" in said


def test_a_program_that_is_not_kubo_is_refused(tmp_path: Path) -> None:
    assert "AF7014" in _refused(tmp_path, AF_KUBO_BINARY="/bin/false")
    assert "AF7014" in _refused(tmp_path, AF_KUBO_BINARY="/bin/echo")


def test_a_node_elsewhere_and_one_beside_contradict_each_other(tmp_path: Path) -> None:
    said = _refused(tmp_path, **_settings(), AF_KUBO_RPC_URL="http://127.0.0.1:5001")
    assert "AF1101" in said


def test_the_node_beside_cannot_be_the_store_of_private_blocks(tmp_path: Path) -> None:
    assert "AF1101" in _refused(tmp_path, **_settings(), AF_BLOCK_BACKEND="kubo")
