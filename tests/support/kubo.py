"""A real Kubo, built once per machine from its public Go module, to check our bytes against.

See `tests.support.goprograms` for how it comes to be there.

    python -m tests.support.kubo        build (or find) the binary and print its path

Set `AF_KUBO_BINARY` to use a binary you already have.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.goprograms import GoProgram

START_TIMEOUT_SECONDS = 60
COMMAND_TIMEOUT_SECONDS = 300

KUBO = GoProgram(
    title="Kubo",
    module="github.com/ipfs/kubo",
    version="v0.40.1",
    package="github.com/ipfs/kubo/cmd/ipfs",
    binary="ipfs",
    go="1.25",
    override="AF_KUBO_BINARY",
    cache="alternatefutures",
)


def kubo_binary() -> Path | None:
    """The path of a working `ipfs` command, building it if need be; None if impossible (`why_missing` says why)."""
    return _found()[0]


def why_missing() -> str:
    """The reason `kubo_binary()` returned None; empty when it is there."""
    return _found()[1]


def kubo_or_skip() -> Path:
    """The `ipfs` command, or skips the test loudly. Mark such tests `kubo`, and give them time for a first build."""
    return KUBO.or_skip()


@cache
def _found() -> tuple[Path | None, str]:
    return KUBO.find_or_build()


class KuboRepository:
    """An offline IPFS repository in `directory`: no bootstrap peers, no routing, no DNS, loopback only. With ``swarm``
    others on this machine can connect to it."""

    def __init__(
        self,
        binary: Path,
        directory: Path,
        *,
        sync: bool = False,
        swarm: bool = False,
        token: str = "",
        routing: str = "none",
        routers: Sequence[str] = (),
    ) -> None:
        self.binary = binary
        self.directory = directory
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(directory),
            "IPFS_PATH": str(directory / "repo"),
            "IPFS_TELEMETRY": "off",
            "DO_NOT_TRACK": "1",
        }
        if not (directory / "repo" / "config").exists():
            self.run("init", "--empty-repo", "--profile=test")  # profile: loopback addresses, nobody to bootstrap from
            self._configure(sync, swarm, token, routing, routers)

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Runs `ipfs <arguments>` and returns its output; raises RuntimeError with what it said on failure."""
        done = subprocess.run(
            [str(self.binary), *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=self._environment,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(f"ipfs {' '.join(arguments[:4])}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def _configure(self, sync: bool, swarm: bool, token: str, routing: str, routers: Sequence[str]) -> None:
        path = self.directory / "repo" / "config"
        config: dict[str, Any] = json.loads(path.read_text())
        config["Addresses"] = {
            **config["Addresses"],
            "Swarm": ["/ip4/127.0.0.1/tcp/0"] if swarm else [],
            "API": "/ip4/127.0.0.1/tcp/0",
            "Gateway": "/ip4/127.0.0.1/tcp/0",
        }
        if token:
            allowed = {"AuthSecret": f"bearer:{token}", "AllowedPaths": ["/api/v0"]}
            config["API"] = {**config["API"], "Authorizations": {"test": allowed}}
        config["Bootstrap"] = []
        config["AutoConf"] = {"Enabled": False}
        config["Routing"] = {**config.get("Routing", {}), "Type": routing, "DelegatedRouters": list(routers)}
        config["Provide"] = {"Enabled": not routers}  # which it demands of one with routers alone
        config["Discovery"] = {"MDNS": {"Enabled": False}}
        config["DNS"] = {"Resolvers": {}}
        config["Ipns"] = {**config.get("Ipns", {}), "DelegatedPublishers": []}
        config["Gateway"] = {**config.get("Gateway", {}), "NoFetch": True}
        config["Plugins"] = {"Plugins": {"telemetry": {"Disabled": True}}}  # it would phone home
        for mount in config["Datastore"]["Spec"]["mounts"]:
            if mount["type"] == "flatfs":
                mount["sync"] = sync
        path.write_text(json.dumps(config, indent=2))


class KuboDaemon:
    """`with KuboDaemon(binary) as kubo:` a running daemon on free loopback ports, gone afterwards. It is offline, or
    with ``swarm`` talks to whom it is connected to (`connect`). With ``token`` its RPC API wants that as Bearer.
    ``routing="dhtserver"`` makes a DHT with those it is connected to; with "delegated" it asks ``routers``."""

    def __init__(
        self,
        binary: Path,
        *,
        sync: bool = False,
        swarm: bool = False,
        token: str = "",
        routing: str = "none",
        routers: Sequence[str] = (),
    ) -> None:
        self._routers = routers
        self._routing = routing
        self._binary = binary
        self._token = token
        self._swarm = swarm
        self._sync = sync
        self._stack = contextlib.ExitStack()
        self.repository: KuboRepository
        self.api_url = ""
        self.gateway_url = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kubo-")))
            self.repository = KuboRepository(
                self._binary,
                directory,
                sync=self._sync,
                swarm=self._swarm,
                token=self._token,
                routing=self._routing,
                routers=self._routers,
            )
            log = stack.enter_context((directory / "daemon.log").open("wb"))
            process = subprocess.Popen(
                [str(self._binary), "daemon", *([] if self._swarm else ["--offline"])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.repository._environment,
            )
            stack.callback(_stop, process)
            self._wait_until_ready(process, directory)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _wait_until_ready(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            text = (directory / "daemon.log").read_text(errors="replace")
            if "Daemon is ready" in text:
                self.api_url = _address_after(text, "RPC API server listening on")
                self.gateway_url = _address_after(text, "Gateway server listening on")
                return
            time.sleep(0.05)
        text = (directory / "daemon.log").read_text(errors="replace")
        raise RuntimeError(f"the Kubo daemon did not start: {text[-1000:]}")

    @property
    def api_multiaddr(self) -> str:
        """For `ipfs --api …`: commands that talk to the daemon."""
        return f"/ip4/127.0.0.1/tcp/{self.api_url.rpartition(':')[2]}"

    def address(self) -> str:
        """Where others connect to it: `/ip4/127.0.0.1/tcp/…/p2p/…`."""
        found: str = json.loads(self.call("/api/v0/id"))["Addresses"][0]
        return found

    def connect(self, address: str) -> None:
        self.call(f"/api/v0/swarm/connect?arg={address}")

    def call(self, path: str, timeout_seconds: float = 60) -> bytes:
        """POSTs to the RPC API, e.g. `call("/api/v0/version")`."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(self.api_url + path, method="POST", headers=headers)
        with urllib.request.urlopen(request, timeout=timeout_seconds) as response:
            body: bytes = response.read()
        return body


def _address_after(log: str, label: str) -> str:
    """Turns the log line `… listening on /ip4/127.0.0.1/tcp/4001` into `http://127.0.0.1:4001`."""
    for line in log.splitlines():
        if label in line:
            _, _, host, _, port = line.split(label, 1)[1].strip().split("/")[:5]
            return f"http://{host}:{port}"
    raise RuntimeError(f"no '{label}' in the Kubo log")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def temporary_repository(binary: Path) -> Iterator[KuboRepository]:
    with tempfile.TemporaryDirectory(prefix="kubo-") as directory:
        yield KuboRepository(binary, Path(directory))


if __name__ == "__main__":
    found = kubo_binary()
    sys.stdout.write(f"{found or why_missing()}\n")
    sys.exit(0 if found else 1)
