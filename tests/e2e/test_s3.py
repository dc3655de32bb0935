"""Several machines on one bucket and one database: what is deployed at one is served by the others."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import AF, Running, running
from tests.support import s3

pytestmark = [pytest.mark.s3, pytest.mark.postgres]

BIG = random.Random(1).randbytes(3_000_000)
PAGES = {
    "index.html": b"<h1>from a bucket</h1>",
    "about/index.html": b"<h1>about</h1>",
    "seen.bin": BIG,
    "unseen.bin": BIG[::-1],
}


@dataclass
class Cluster:
    server: s3.S3Server
    first: Running
    settings: dict[str, str]
    folder: Path
    starts: int = 0

    @contextlib.contextmanager
    def gateway(self) -> Iterator[Running]:
        """Another machine that serves only; it keeps its data folder between starts."""
        self.starts += 1
        log = f"gateway-{self.starts}.log"
        with running(self.folder / "second", verb=("serve", "gateway"), log=log, **self.settings) as second:
            yield second

    @contextlib.contextmanager
    def without_the_bucket(self) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            assert self.server.start()

    def af(self, *arguments: str | Path) -> Any:
        command = [AF, *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.first.environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def cluster(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """`af up` on a bucket of a server that tests may stop."""
    tmp_path = tmp_path_factory.mktemp("cluster")
    with s3.running(tmp_path / "server") as server:
        server.create_bucket("content")
        for machine in ("first", "second"):
            (tmp_path / machine).mkdir()
        shared = {
            "AF_DATABASE_URL": postgres_server.url(postgres_server.create_database()),
            "AF_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
            **{f"AF_{name.upper()}": value for name, value in server.settings("content", prefix="blocks/").items()},
        }
        with running(tmp_path / "first", "--workers", "2", **shared) as first:
            yield Cluster(server, first, shared, tmp_path)


def deploy(cluster: Cluster) -> str:
    """A site made of `PAGES`; its host."""
    folder = cluster.folder / "site"
    for name, content in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    deployed = cluster.af("deploy", folder, "--site", "shared")
    return str(deployed["site"]["url"]).partition("//")[2].partition(":")[0].rstrip("/")


def test_a_site_deployed_at_one_is_served_by_another_also_while_the_bucket_is_away(cluster: Cluster) -> None:
    host = deploy(cluster)
    with cluster.gateway() as second:
        for machine in (cluster.first, second):
            assert machine.request("/", host=host).body == PAGES["index.html"]
            assert machine.request("/seen.bin", host=host).body == PAGES["seen.bin"]
        part = second.request("/seen.bin", host=host, headers={"Range": "bytes=1048570-1048590"})
        assert (part.status, part.body) == (206, BIG[1048570:1048591])
    with contextlib.ExitStack() as stack:
        with cluster.without_the_bucket():
            second = stack.enter_context(cluster.gateway())  # started while the bucket does not answer
            assert second.request("/", host=host).body == PAGES["index.html"]
            assert second.request("/seen.bin", host=host).body == PAGES["seen.bin"]
            assert second.request("/unseen.bin", host=host).status == 503
        assert second.request("/unseen.bin", host=host).body == PAGES["unseen.bin"]


def test_upkeep_from_the_command_line(cluster: Cluster) -> None:
    deploy(cluster)
    stats = cluster.af("storage", "stats")
    size = sum(file.stat().st_size for file in (cluster.server.data / "content/blocks/objects").iterdir())
    assert 6_000_000 < stats["bytes"] < size < stats["bytes"] + 10_000
    scrubbed = cluster.af("storage", "scrub")
    assert (scrubbed["blocks"], scrubbed["corrupt"]) == (stats["blocks"], [])
    assert cluster.af("storage", "gc")["dryRun"] is False
    assert cluster.af("storage", "stats")["blocks"] == stats["blocks"], "the site keeps them"


def test_the_doctor_says_whether_the_bucket_answers(cluster: Cluster) -> None:
    def s3_check(**change: str) -> dict[str, str]:
        command = [AF, "doctor", "--json", "--data", cluster.folder / "first" / "data"]
        env = {**cluster.first.environment, **change}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
        checks = json.loads(done.stdout)
        [found] = [each for each in checks["checks"] if each["name"] == "s3"]
        return dict(found)

    assert s3_check()["status"] == "ok"
    refused = s3_check(AF_S3_SECRET_ACCESS_KEY="not-it")
    assert refused["status"] == "fail"
    assert "AF_S3_SECRET_ACCESS_KEY" in refused["fix"]
    with cluster.without_the_bucket():
        assert "does not answer" in s3_check()["detail"]
