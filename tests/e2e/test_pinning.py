"""The Pinning Service API as others speak it: real Kubo nodes as client and source, the published compliance suite."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from af.protocols.ipfs import cid as cids
from tests.e2e.platform import AF, Running, running
from tests.support import kubo, node
from tests.support.kubo import KuboDaemon
from tests.support.processes import wait_until

pytestmark = pytest.mark.kubo

COMPLIANCE = "@ipfs-shipyard/pinning-service-compliance@1.8.1"
PATIENCE_SECONDS = 3


@dataclass(frozen=True)
class Pins:
    """The ``/pins`` of a platform, as its owner."""

    platform: Running

    @property
    def token(self) -> str:
        return self.platform.profile()["token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        reply = self.platform.request(path, method=method, body=content, headers=headers)
        assert reply.status in (200, 202), reply
        return reply.json() if reply.body else None

    def add(self, cid: str, **more: Any) -> Any:
        return self.call("POST", "/pins", {"cid": cid, **more})

    def wait(self, asked: Any, seconds: float = 40) -> Any:
        """The request at its end, with the states that were seen on the way."""
        seen: dict[str, None] = {asked["status"]: None}
        latest = asked

        def ended() -> bool:
            nonlocal latest
            latest = self.call("GET", f"/pins/{asked['requestid']}")
            seen[latest["status"]] = None
            return latest["status"] in ("pinned", "failed")

        wait_until(ended, seconds=seconds, what="the end of a pin request")
        return {**latest, "seen": list(seen)}


@pytest.fixture(scope="module")
def origin() -> Iterator[KuboDaemon]:
    """A node that nobody is connected to; its gateway can be asked."""
    with KuboDaemon(kubo.kubo_or_skip()) as started:
        yield started


@pytest.fixture(scope="module")
def sidecar() -> Iterator[KuboDaemon]:
    """The platform's node."""
    with KuboDaemon(kubo.kubo_or_skip(), swarm=True) as started:
        yield started


@pytest.fixture(scope="module")
def client() -> Iterator[KuboDaemon]:
    """A user's node."""
    with KuboDaemon(kubo.kubo_or_skip(), swarm=True) as started:
        yield started


@pytest.fixture(scope="module")
def pins(tmp_path_factory: pytest.TempPathFactory, origin: KuboDaemon, sidecar: KuboDaemon) -> Iterator[Pins]:
    settings = {
        "AF_KUBO_RPC_URL": sidecar.api_url,
        "AF_PRIVATE_ORIGINS": origin.gateway_url,
        "AF_RETRIEVAL_PATIENCE_SECONDS": str(PATIENCE_SECONDS),
    }
    with running(tmp_path_factory.mktemp("pins"), **settings) as platform:
        yield Pins(platform)


def folder_in(daemon: KuboDaemon, folder: Path, size_bytes: int = 3_000_000) -> str:
    """A new folder with a page and a large file, added to a node; its CID."""
    folder.mkdir()
    (folder / "index.html").write_bytes(b"<h1>from another node</h1>")
    (folder / "large.bin").write_bytes(os.urandom(size_bytes))
    arguments = ("--api", daemon.api_multiaddr, "add", "-r", "-Q", "--cid-version=1", str(folder))
    return daemon.repository.run(*arguments).decode().strip()


def served(platform: Running, cid: str, path: str) -> bytes:
    reply = platform.request(f"/ipfs/{cid}/{path}", host="gateway.localhost")
    assert reply.status == 200, reply
    return reply.body


def test_content_comes_from_the_gateway_of_a_node(pins: Pins, origin: KuboDaemon, tmp_path: Path) -> None:
    cid = folder_in(origin, tmp_path / "site")
    ended = pins.wait(pins.add(cid, name="site", origins=[origin.gateway_url]))
    assert ended["status"] == "pinned", ended
    assert ended["seen"][0] == "queued"
    assert served(pins.platform, cid, "large.bin") == (tmp_path / "site" / "large.bin").read_bytes()


def test_content_comes_from_the_platforms_own_node(pins: Pins, sidecar: KuboDaemon, tmp_path: Path) -> None:
    cid = folder_in(sidecar, tmp_path / "site")
    ended = pins.wait(pins.add(cid))
    assert ended["status"] == "pinned", ended
    assert served(pins.platform, cid, "index.html") == b"<h1>from another node</h1>"
    assert ended["delegates"] == [sidecar.address()]


def test_what_nobody_has_fails_with_a_reason_in_time(pins: Pins, origin: KuboDaemon) -> None:
    cid = cids.to_text(cids.of(cids.RAW, os.urandom(32)))
    ended = pins.wait(pins.add(cid, origins=[origin.gateway_url]), seconds=10 * PATIENCE_SECONDS)
    assert ended["status"] == "failed"
    assert cid in ended["info"]["status_details"]
    assert origin.gateway_url in ended["info"]["status_details"]


def test_kubo_pins_remotely(pins: Pins, client: KuboDaemon, tmp_path: Path) -> None:
    """The content goes from the user's node to ours by Bitswap: the user's node connects to our delegates."""

    def ipfs(*arguments: str) -> str:
        return client.repository.run("--api", client.api_multiaddr, *arguments).decode().strip()

    cid = folder_in(client, tmp_path / "site")
    ipfs("pin", "remote", "service", "add", "af", pins.platform.ready["url"], pins.token)
    assert "af" in ipfs("pin", "remote", "service", "ls", "--stat")
    assert "pinned" in ipfs("pin", "remote", "add", "--service=af", "--name=my site", cid)
    assert served(pins.platform, cid, "large.bin") == (tmp_path / "site" / "large.bin").read_bytes()
    assert ipfs("pin", "remote", "ls", "--service=af", "--name=my site").split("\t") == [cid, "pinned", "my site"]
    assert cid in ipfs("pin", "remote", "ls", "--service=af", f"--cid={cid}")
    ipfs("pin", "remote", "rm", "--service=af", "--name=my site")
    assert ipfs("pin", "remote", "ls", "--service=af", "--name=my site", "--status=queued,pinning,pinned,failed") == ""


def test_kubo_is_told_why_a_pin_is_refused(pins: Pins, client: KuboDaemon) -> None:
    repository = client.repository
    url = pins.platform.ready["url"]
    repository.run("--api", client.api_multiaddr, "pin", "remote", "service", "add", "wrong", url, "not-a-token")
    with pytest.raises(RuntimeError, match="UNAUTHORIZED"):
        repository.run("--api", client.api_multiaddr, "pin", "remote", "ls", "--service=wrong")


@pytest.mark.npm
@pytest.mark.timeout(300)
def test_the_published_compliance_suite_passes(pins: Pins, tmp_path: Path) -> None:
    packages = node.npm_install(COMPLIANCE)
    program = packages / "node_modules" / ".bin" / "pinning-service-compliance"
    done = subprocess.run(
        [node.node(), program, "-s", pins.platform.ready["url"], pins.token],
        cwd=tmp_path,
        env={
            **pins.platform.environment,
            "HOME": str(tmp_path),
            "PATH": f"{node.node().parent}:{os.environ['PATH']}",
            "KUBO_BINARY": str(kubo.kubo_or_skip()),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]  # also when a check fails, so:
    assert "Summary (5/5 successful)" in done.stdout, done.stdout[-6000:]


def test_the_command_line_asks_waits_lists_and_forgets(pins: Pins, origin: KuboDaemon, tmp_path: Path) -> None:
    def af(*arguments: str, code: int = 0) -> Any:
        command = [AF, "pins", *arguments, "--json"]
        done = subprocess.run(command, env=pins.platform.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    cid = folder_in(origin, tmp_path / "site", size_bytes=1000)
    made = af("add", cid, "--name", "by af", "--origin", origin.gateway_url, "--meta", "app=x", "--wait")
    assert (made["status"], made["pin"]["meta"]) == ("pinned", {"app": "x"})
    assert af("wait", made["requestid"])["status"] == "pinned"
    assert af("get", made["requestid"])["pin"]["name"] == "by af"
    assert [each["requestid"] for each in af("list", "--name", "BY AF")["data"]] == [made["requestid"]]
    assert af("list", "--name", "by af", "--status", "failed")["data"] == []
    assert af("rm", made["requestid"]) == {"requestid": made["requestid"], "deleted": True}
    assert af("get", made["requestid"], code=5)["error"]["reference"] == "AF3040"
    nobodys = cids.to_text(cids.of(cids.RAW, os.urandom(32)))
    failed = af("add", nobodys, "--wait", code=1)
    assert failed["error"]["code"] == "pin_failed"
    assert nobodys in failed["error"]["cause"]
    assert af("add", "not-a-cid", code=2)["error"]["reference"] == "AF3014"
