"""Messages between front, keeper and parts: one JSON object per line over a socket pair.

The end of the stream is a message too: it says that the other side is gone.
"""

from __future__ import annotations

import json
import socket
from typing import Any

_LINE_BYTES_MAX = 64 << 10
Message = dict[str, Any]


class Channel:
    """One end. A send to a full buffer counts as a dead peer; reads happen when the selector says so."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self._buffer = b""
        self.closed = False

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        left, right = socket.socketpair()
        return cls(left), cls(right)

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Channel:
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send unless the other side is gone."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.closed = True

    def receive(self) -> list[Message]:
        """The messages that have arrived; sets ``closed`` at the end of the stream. Never blocks."""
        while True:
            try:
                part = self._socket.recv(_LINE_BYTES_MAX)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            if not part:
                self.closed = True
                break
            self._buffer += part
            assert len(self._buffer) <= 4 * _LINE_BYTES_MAX, "messages between our own parts are small"
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines if line]

    def close(self) -> None:
        self._socket.close()
        self.closed = True
