"""A gateway on a real socket, in a thread of this process, and clients that see every byte."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from af.core.bell import Bell
from af.core.settings import Settings
from af.gateway import Gateway
from af.gateway.protocol import HotProtocol, bound
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from tests.support.blocks import HostRows, MemoryBlocks, NameRows

DEADLINE_SECONDS = 10.0

BLOB = bytes(range(256)) * 40
SCRIPT = b"export const answer = 42;\n" * 200
CHUNKED = unixfs.Profile(name="test", chunk_bytes=1_000, max_links=3, directory_estimate="block")
OLD = unixfs.PROFILES["v0-2015"]


@dataclass(frozen=True)
class Answer:
    """A response; ``headers`` have lower-case names, the last of a repeated one wins."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Served:
    """A running gateway and what it serves from."""

    gateway: Gateway
    blocks: MemoryBlocks
    hosts: HostRows
    names: NameRows
    bell: Bell
    port: int
    server: uvicorn.Server

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def bind(self, name: str, root: Any, **values: Any) -> None:
        """Changes a host row as a deployment does: commit, then ring."""
        self.hosts.bind(name, root, **values)
        self.bell.ring("hosts")

    def ask(
        self,
        host: str,
        path: str = "/",
        *,
        method: str = "GET",
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own; header names are written with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
        finally:
            connection.close()

    def twice(self, host: str, path: str = "/", *, method: str = "GET", **headers: str) -> Answer:
        """The same request cold and then hot; both answers must be equal in all but what differs by nature."""
        self.ask(host, path, **headers)
        cold = self.ask(host, path, method=method, **headers)
        before = self.hot_count()
        hot = self.ask(host, path, method=method, **headers)
        assert self.hot_count() == before + 1, "the hot lane did not answer"
        for answer in (cold, hot):
            answer.headers.pop("date", None)
            answer.headers.pop("x-request-id", None)
        assert cold == hot
        return hot

    def hot_count(self) -> int:
        return sum(count for (lane, _), count in self.gateway.counts.items() if lane == "hot")

    @contextmanager
    def socket(self, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
        """A bare connection."""
        with socket.socket() as connection:
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(DEADLINE_SECONDS)
            connection.connect(("127.0.0.1", self.port))
            yield connection

    def exchange(self, sent: bytes, *, half_close: bool = False) -> bytes:
        """Sends bytes and reads until the server closes, or has been silent for a moment."""
        with self.socket() as connection:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)


def read_all(connection: socket.socket, silence_seconds: float = 0.4) -> bytes:
    """What arrives until the peer closes or says nothing for ``silence_seconds`` after its first byte."""
    received = bytearray()
    while True:
        connection.settimeout(silence_seconds if received else DEADLINE_SECONDS)
        try:
            chunk = connection.recv(1 << 16)
        except TimeoutError:
            return bytes(received)
        except ConnectionResetError:
            return bytes(received)
        if not chunk:
            return bytes(received)
        received += chunk


@contextmanager
def served(
    folder: Path, *, peekable: bool = False, protocol: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Served]:
    """A gateway over empty blocks and hosts. ``protocol`` overrides class attributes of the connection (timeouts)."""
    blocks, hosts, names = MemoryBlocks(peekable=peekable), HostRows(), NameRows()
    bell = Bell(folder / "bell")
    gateway = Gateway(Settings(**settings), bell, hosts, blocks, names)
    connection: type[HotProtocol] = type("TestProtocol", (bound(gateway),), protocol or {})
    config = uvicorn.Config(
        gateway,
        http=connection,
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield Served(gateway, blocks, hosts, names, bell, listener.getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
        gateway.close()
        listener.close()
        bell.close()
    assert not thread.is_alive()


def until(condition: Any, *, seconds: float = DEADLINE_SECONDS) -> None:
    """Polls until ``condition()`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def settled(value: Callable[[], int], *, quiet_seconds: float = 0.3) -> int:
    """What ``value()`` is once it has not changed for a while."""
    latest, since = value(), time.monotonic()
    deadline = since + DEADLINE_SECONDS
    while time.monotonic() - since < quiet_seconds:
        assert time.monotonic() < deadline, "it never came to rest"
        time.sleep(0.005)
        if (now := value()) != latest:
            latest, since = now, time.monotonic()
    return latest


def demo_site(gateway: Served) -> str:
    """A site with a bit of everything; returns its host."""
    root = gateway.blocks.folder(
        {
            "index.html": b"<h1>Home</h1>",
            "blob.bin": BLOB,
            "app.js": SCRIPT,
            "style.css": b"body{}",
            "pre.js": SCRIPT,
            "pre.js.br": b"made at build time",
            "docs/index.html": b"docs",
            "docs/deep/page.html": b"page",
            "docs/404.html": b"docs have no such page",
            "empty.txt": b"",
            "a b/\u00fc%41.txt": b"odd name",
            "404.html": b"not here",
            "chunked.bin": gateway.blocks.file(BLOB, CHUNKED),
        }
    )
    gateway.bind("demo", root)
    gateway.bind("aaaaaaaaaaaaaaaa--demo", root)
    return "demo.localhost"


def text_of(cid: cids.CID) -> str:
    return cids.to_text(cid)
