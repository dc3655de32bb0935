"""An HTTP server on loopback that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; ``headers`` as they were written."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """One connection; an `Answer` writes to it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def _serve(self) -> None:
        asked = Asked(self.command, self.path, dict(self.headers), self._body())
        with self.server.lock:
            self.server.requests.append(asked)
            answers = self.server.answers
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self, asked)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Answer = Callable[[Handler, Asked], None]


class Server(ThreadingHTTPServer):
    """Gives each of ``answers`` once, the last one for ever."""

    daemon_threads = True
    request_queue_size = 128  # with five, who connects sixteen times at once waits a second for some

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.answers: list[Answer] = []
        self.requests: list[Asked] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def reply(status: int, body: bytes = b"{}", kind: str = "application/json", **headers: str) -> Answer:
    """A whole response; ``_`` in the name of a header stands for ``-``."""

    def answer(handler: Handler, _asked: Asked) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def json_reply(value: Any, status: int = 200, **headers: str) -> Answer:
    return reply(status, json.dumps(value).encode(), **headers)


def drop(handler: Handler, _asked: Asked) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True


def stream(text: str, kind: str = "text/event-stream") -> Answer:
    """A body that ends with the connection."""

    def answer(handler: Handler, _asked: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(text.encode())
        handler.close_connection = True

    return answer
