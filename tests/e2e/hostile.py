"""What the hostile tests share: the `af` command, raw sockets, CARs made by hand, small archives."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from af.protocols.ipfs import car, unixfs
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.e2e.platform import AF, Reply, Running
from tests.support.processes import wait_until

CAR = "application/vnd.ipld.car"


@dataclass(frozen=True, slots=True)
class Done:
    """How an `af` command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def af(platform: Running, *arguments: str | Path, cwd: Path | None = None, seconds: float = 60, **env: str) -> Done:
    done = subprocess.run(
        [AF, *arguments],
        env={**platform.environment, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def deploy(platform: Running, folder: Path, *options: str) -> Any:
    """The JSON of a deploy that must succeed."""
    done = af(platform, "deploy", folder, *options, "--json")
    assert done.code == 0, done.out + done.err
    return done.json


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def host_of(url: str) -> str:
    return url.split("//")[1].split(":")[0].rstrip("/")


def raw(port: int, data: bytes, *, seconds: float = 10) -> bytes:
    """Everything that is answered until the server closes, or ``seconds`` pass without a byte."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        received = b""
        try:
            connection.sendall(data)
            while part := connection.recv(1 << 16):
                received += part
        except (ConnectionError, TimeoutError):
            pass
        return received


def owner(platform: Running) -> dict[str, str]:
    return {"Authorization": f"Bearer {platform.profile()['token']}"}


def post(platform: Running, path: str, body: bytes, *, kind: str = CAR, token: str | None = None) -> Reply:
    """A POST as the owner (or with another token)."""
    headers = {"Authorization": f"Bearer {token}"} if token else owner(platform)
    return platform.request(path, method="POST", body=body, headers={**headers, "Content-Type": kind})


def graphql(platform: Running, query: str, *, token: str | None = None, **variables: Any) -> Any:
    """The whole response document of an operation, errors included."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    return post(platform, "/graphql", body, kind="application/json", token=token).json()


def new_token(platform: Running, name: str, *options: str) -> str:
    done = af(platform, "tokens", "create", "--name", name, *options, "--json")
    assert done.code == 0, done.out + done.err
    return str(done.json["token"])


def dag(files: dict[str, bytes]) -> tuple[CID, dict[CID, bytes]]:
    """A folder's root and blocks."""
    blocks: dict[CID, bytes] = {}

    def entry(data: bytes) -> unixfs.Entry:
        return unixfs.import_file(io.BytesIO(data).read, blocks.__setitem__)

    tree = unixfs.build_tree([(name, entry(data)) for name, data in files.items()], blocks.__setitem__)
    return tree.cid, blocks


def raw_block(data: bytes) -> CID:
    """The CID of one block of raw bytes."""
    return cids.of(0x55, data)


def car_of(root: CID, blocks: Iterable[tuple[CID, bytes]]) -> bytes:
    return car.header([root]) + b"".join(car.frame(cid, data) for cid, data in blocks)


def missing(
    platform: Running, wanted: Iterable[CID], *, project: str = "default", token: str | None = None
) -> set[str]:
    body = json.dumps({"cids": [cids.to_text(cid) for cid in wanted]}).encode()
    reply = post(platform, f"/v1/projects/{project}/content/missing", body, kind="application/json", token=token)
    assert reply.status == 200, reply.body
    return set(reply.json()["missing"])


def final_deployment(platform: Running, deployment_id: str, *, seconds: float = 30) -> Any:
    """The deployment once it has ended."""

    def look() -> Any:
        found = platform.graphql(
            "query($id:ID!){deployment(where:{id:$id}){id status cid error{code message}}}", id=deployment_id
        )["deployment"]
        return found if found["status"] in ("SUCCESS", "FAILED", "CANCELED") else None

    return wait_until(look, seconds=seconds, what=f"the end of {deployment_id}")


def rss_bytes(pid: int) -> int:
    """The resident memory of one process now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


def part_pids(platform: Running) -> dict[str, int]:
    """The platform's parts that are ready, by name, from its log."""
    found: dict[str, int] = {}
    for line in platform.process.output().splitlines():
        if '"part ready"' in line:
            entry = json.loads(line)
            found[entry["name"]] = entry["pid"]
    return found


def seconds_for(action: Any) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start
