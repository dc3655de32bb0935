"""Counting, cheaply and in memory: two additions per request."""

from __future__ import annotations


class Usage:
    """What one site served since it was last taken: requests, and body bytes handed to the network."""

    __slots__ = ("body_bytes", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.body_bytes = 0

    def add(self, body_bytes: int) -> None:
        self.requests += 1
        self.body_bytes += body_bytes

    def take(self) -> tuple[int, int]:
        taken = (self.requests, self.body_bytes)
        self.requests = self.body_bytes = 0
        return taken
