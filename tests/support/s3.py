"""A real S3 server for tests (versitygw, over a folder of files), built once per machine from its public Go module.

See `tests.support.goprograms` for how it comes to be there.

    python -m tests.support.s3        build (or find) the program and print its path

Set `AF_VERSITYGW_BINARY` to use one you already have.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from af.core.clock import Clock, SystemClock
from af.core.db import Database, async_url, metadata, migration_engine
from af.protocols import sigv4
from af.protocols.sigv4 import Credentials
from af.storage.backends.s3 import S3Store
from af.storage.backends.s3.client import Address
from af.storage.backends.s3.store import s3_blocks, s3_facts, s3_objects, s3_owners
from tests.support import ports, processes
from tests.support.goprograms import GoProgram
from tests.support.postgres import PostgresServer

VERSITYGW = GoProgram(
    title="versitygw",
    module="github.com/versity/versitygw",
    version="v1.8.0",
    package="github.com/versity/versitygw/cmd/versitygw",
    binary="versitygw",
    go="1.25",
    override="AF_VERSITYGW_BINARY",
    cache="alternatefutures-tests",
)
ROOT = Credentials("AKTESTROOT", "test-root-secret/+1")
REGION = "eu-test-1"


@dataclass(slots=True)
class S3Server:
    """A server that can be stopped and started again on the same port and data."""

    binary: Path
    folder: Path
    port: int
    process: processes.Process | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> bool:
        data, users, meta = self.data, self.folder / "users", self.folder / "meta"
        for path in (data, users, meta):
            path.mkdir(exist_ok=True)
        arguments = [
            *(str(self.binary), "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--keep-alive", "--quiet"),
            *("--iam-dir", str(users), "posix", "--sidecar", str(meta), str(data)),
        ]
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "ROOT_ACCESS_KEY": ROOT.access_key_id,
            "ROOT_SECRET_KEY": ROOT.secret_access_key,
        }
        self.process = processes.start(arguments, log=self.folder / "versitygw.log", env=environment)
        return self._listens(self.process)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    @property
    def data(self) -> Path:
        """``<bucket>/<key>`` below it is an object's content."""
        return self.folder / "data"

    def create_bucket(self, name: str) -> None:
        self.call("PUT", f"/{name}")

    def create_user(self, access: str, secret: str) -> None:
        """A key that may do nothing yet."""
        command = ["admin", "--access", ROOT.access_key_id, "--secret", ROOT.secret_access_key]
        command += ["--endpoint-url", self.endpoint, "--region", REGION, "create-user"]
        command += ["--access", access, "--secret", secret, "--role", "user"]
        subprocess.run([self.binary, *command], check=True, capture_output=True, timeout=20)

    def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A call signed as root."""
        host = f"127.0.0.1:{self.port}"
        signed = sigv4.sign(
            ROOT,
            method=method,
            host=host,
            path=path,
            query=[],
            headers={},
            body_sha256=hashlib.sha256(body).hexdigest(),
            region=REGION,
            now=SystemClock().now(),
        )
        request = urllib.request.Request(self.endpoint + path, method=method, data=body or None, headers=signed)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: bytes = response.read()
        return answer

    def address(self, bucket: str, *, prefix: str = "", credentials: Credentials = ROOT) -> Address:
        return Address(self.endpoint, REGION, bucket, prefix, credentials)

    def settings(self, bucket: str, *, prefix: str = "") -> dict[str, str]:
        """For a platform on this bucket, as `af.core.settings.load` takes them."""
        return {
            "block_backend": "s3",
            "s3_endpoint": self.endpoint,
            "s3_region": REGION,
            "s3_bucket": bucket,
            "s3_prefix": prefix,
            "s3_access_key_id": ROOT.access_key_id,
            "s3_secret_access_key": ROOT.secret_access_key,
        }

    def _listens(self, process: processes.Process) -> bool:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.popen.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            time.sleep(0.02)
        return False


@contextlib.asynccontextmanager
async def index_url(request: pytest.FixtureRequest, kind: str, folder: Path) -> AsyncIterator[str]:
    """An empty shared index, and none of the platform's other tables, in a database of that kind."""
    url, drop = f"sqlite:///{folder / f'index-{secrets.token_hex(4)}.sqlite'}", None
    if kind == "postgresql":
        postgresql: PostgresServer = request.getfixturevalue("postgres_server")
        name = postgresql.create_database()
        url, drop = postgresql.url(name), partial(postgresql.drop_database, name)
    engine = migration_engine(async_url(url, folder))
    async with engine.begin() as connection:
        await connection.run_sync(partial(metadata.create_all, tables=[s3_blocks, s3_owners, s3_objects, s3_facts]))
    await engine.dispose()
    yield url
    if drop is not None:
        drop()


@contextlib.asynccontextmanager
async def opened(
    folder: Path, address: Address, url: str, clock: Clock, *, cache_bytes: int = 64 << 20
) -> AsyncIterator[S3Store]:
    """One machine's view of the bucket: with a cache and database connections of its own."""
    database = Database(async_url(url, folder))
    store = S3Store(folder, address=address, database=database, clock=clock, cache_bytes=cache_bytes, free_bytes_min=0)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
        await database.close()


@contextlib.contextmanager
def running(folder: Path, *, attempts: int = 3) -> Iterator[S3Server]:
    """A server on a free loopback port; skips the test when it cannot be built."""
    binary = VERSITYGW.or_skip()
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(attempts):
        server = S3Server(binary, folder, ports.free_port())
        try:
            if not server.start():
                continue  # somebody took the port in between
            yield server
            return
        finally:
            server.stop()
    raise RuntimeError(f"versitygw did not start: {(folder / 'versitygw.log').read_text()[-1000:]}")


if __name__ == "__main__":
    found, reason = VERSITYGW.find_or_build()
    sys.stdout.write(f"{found or reason}\n")
    sys.exit(0 if found else 1)
