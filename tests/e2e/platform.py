"""A whole platform as `af up` or `af serve` starts it, for tests that talk to it over sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, start

AF = Path(sys.executable).with_name("af")
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Running:
    """``ready`` is the object that `af up --json` prints; ``environment`` is for `af` commands against it."""

    process: Process
    ready: dict[str, Any]
    environment: dict[str, str]
    config: Path

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    def request(
        self,
        path: str,
        *,
        host: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own. ``host`` is the Host header without port; default ``localhost``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            all_headers = {"Host": f"{host or 'localhost'}:{self.port}", **(headers or {})}
            connection.request(method, path, body, all_headers)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def profile(self) -> dict[str, str]:
        """The ``local`` profile that the start wrote."""
        stored = json.loads((self.config / "credentials.json").read_text())
        return dict(stored["profiles"]["local"])

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of an operation as the owner; fails on errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Authorization": f"Bearer {self.profile()['token']}", "Content-Type": "application/json"}
        reply = self.request("/graphql", method="POST", body=body, headers=headers).json()
        assert "errors" not in reply, reply
        return reply["data"]


def environment(folder: Path) -> dict[str, str]:
    """Ours without settings of a platform, with a configuration folder of the test's own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AF_", "FLEEK_"))}
    return {**clean, "AF_CONFIG_DIR": str(folder / "config"), "CI": "1"}


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, verb: tuple[str, ...] = ("up",), log: str = "up.log", **settings: str
) -> Iterator[Running]:
    """`af up --port 0 --data FOLDER/data --json …` until the block ends; then it must stop with status 0.

    ``settings`` are environment variables."""
    env = {**environment(folder), **settings}
    command = [AF, *verb, "--port", "0", "--data", folder / "data", "--json", *arguments]
    process = start(command, log=folder / log, env=env)
    try:
        line = process.wait_for_line(r'^\{"event": "ready".*\}$', seconds=START_SECONDS)
        yield Running(process, json.loads(line[0]), env, folder / "config")
    except BaseException:
        process.kill()
        raise
    if process.popen.poll() is None:
        process.stop()


@contextlib.contextmanager
def running_on(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Running]:
    """One HTTP process on SQLite; two on PostgreSQL. ``kind`` is the fixture ``database_kind``."""
    arguments: list[str] = []
    if kind == "postgresql":
        server = request.getfixturevalue("postgres_server")
        arguments = ["--database-url", server.url(server.create_database()), "--workers", "2"]
    with running(folder, *arguments) as started:
        yield started
