"""A trustless gateway on loopback that gives what a test gives it, and misbehaves when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.support import answering
from tests.support.answering import Answer, Asked, Handler, Server

RAW = "application/vnd.ipld.raw"
CAR = "application/vnd.ipld.car"


class TrustlessGateway:
    """``blocks`` is what it has. ``cars``: whether it gives CARs. ``broken`` answers come instead, by CID."""

    def __init__(self, server: Server, blocks: Mapping[CID, bytes], *, cars: bool) -> None:
        self.server = server
        self.url = server.url
        self.blocks = dict(blocks)
        self.cars = cars
        self.broken: dict[CID, Answer] = {}
        self.failing_first: int = 0
        self.frames_max: int | None = None
        self.lock = threading.Lock()
        server.answers = [self.answer]

    @property
    def asked(self) -> list[str]:
        """``raw <cid>`` and ``car <cid>``, in order."""
        found = []
        for each in list(self.server.requests):
            parts = urlsplit(each.path)
            found.append(f"{parse_qs(parts.query)['format'][0]} {parts.path.removeprefix('/ipfs/')}")
        return found

    def answer(self, handler: Handler, asked: Asked) -> None:
        parts = urlsplit(asked.path)
        cid = cids.parse(parts.path.removeprefix("/ipfs/"))
        kind = parse_qs(parts.query)["format"][0]
        with self.lock:
            failing = self.failing_first > 0
            self.failing_first -= failing
        if failing:
            answering.reply(500, b"not now", "text/plain")(handler, asked)
        elif cid in self.broken:
            self.broken[cid](handler, asked)
        elif cid not in self.blocks or (kind == "car" and not self.cars):
            answering.reply(404, b"not here", "text/plain")(handler, asked)
        elif kind == "raw":
            answering.reply(200, self.blocks[cid], RAW)(handler, asked)
        else:
            frames = [car.frame(*block) for block in self.blocks.items()][::-1]  # the root was made last
            body = car.header([cid]) + b"".join(frames[: self.frames_max])
            answering.reply(200, body, CAR)(handler, asked)


@contextmanager
def gateway(blocks: Mapping[CID, bytes], *, cars: bool = False) -> Iterator[TrustlessGateway]:
    with answering.running() as server:
        yield TrustlessGateway(server, blocks, cars=cars)
