"""Request bodies that never come whole: the connection and the waiting application must both end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from af.gateway.protocol import HotProtocol
from tests.support.gateway import read_all, until

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@dataclass
class Uploads:
    """An application that reads a body to its end, and the port that it listens on."""

    port: int = 0
    waiting: int = 0
    endings: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.waiting += 1
        message = await receive()
        while message["type"] == "http.request" and message["more_body"]:
            message = await receive()
        self.waiting -= 1
        self.endings.append(message["type"])
        if message["type"] == "http.request":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    application = Uploads()
    protocol = type("Quick", (HotProtocol,), {"stalled_seconds_max": 0.3, "watch_seconds": 0.05})
    config = uvicorn.Config(application, http=protocol, ws="none", lifespan="off", access_log=False, log_level="error")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    application.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield application
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_a_client_that_goes_away_in_the_middle_of_its_body_ends_the_request(uploads: Uploads, framing: bytes) -> None:
    with uploads.connect() as connection:
        connection.sendall(HEAD + framing)
        until(lambda: uploads.waiting == 1)
    until(lambda: uploads.endings == ["http.disconnect"], seconds=0.25)  # sooner than the stall is noticed


def test_a_body_that_stalls_is_cut_off(uploads: Uploads) -> None:
    with uploads.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nabc")
        assert read_all(connection) == b""
    until(lambda: bool(uploads.endings))
    assert uploads.endings == ["http.disconnect"]


def test_a_body_that_comes_slowly_but_steadily_is_taken(uploads: Uploads) -> None:
    with uploads.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n")
        for _ in range(10):
            threading.Event().wait(0.1)  # the pace is what is tested: ten times a third of the limit
            connection.sendall(b"x")
        assert b" 204 " in read_all(connection)
    assert uploads.endings == ["http.request"]


def test_a_half_closed_client_with_a_whole_body_gets_its_answer(uploads: Uploads) -> None:
    with uploads.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        assert b" 204 " in read_all(connection)
