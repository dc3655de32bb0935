"""Sending content: local CID → what is missing → CAR uploads that can be cut and resumed → the root is complete.

Each CAR is a request of its own (about 8 MiB), so a cut loses at most that much: the next attempt asks again what is
missing. Memory is bounded by the number of requests under way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Semaphore

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from alternatefutures.folder import Plan
from alternatefutures.models import Deployment, Site
from alternatefutures.transport import Transport, segment

CAR_BYTES = 8 << 20
PARALLEL = 3
QUESTION_CIDS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a deployment is: ``phase`` is ``hash``, ``upload`` or ``publish``; counts are files and bytes."""

    phase: str
    files: int = 0
    bytes: int = 0
    bytes_total: int = 0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload sent: files with at least one new block, and block bytes (directories included)."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class DeployResult:
    """The outcome of `Client.deploy`; ``root`` was computed here and equals ``deployment.cid``. ``case_clashes`` are
    groups of paths that differ by case only."""

    site: Site
    deployment: Deployment
    root: str
    files: int
    bytes: int
    uploaded: Uploaded
    duration_ms: int
    hidden_skipped: int
    case_clashes: list[tuple[str, ...]]


Report = Callable[[Progress], None]


def missing(transport: Transport, project: str, wanted: Iterable[CID]) -> set[CID]:
    """Which of the blocks the project does not hold."""
    answer: set[CID] = set()
    source = iter(wanted)
    while batch := list(islice(source, QUESTION_CIDS_MAX)):
        body = json.dumps({"cids": [cids.to_text(cid) for cid in batch]}).encode()
        path = f"/v1/projects/{segment(project)}/content/missing"
        answer.update(cids.parse(text) for text in transport.request("POST", path, body=body).json()["missing"])
    return answer


def upload(transport: Transport, project: str, plan: Plan, wanted: set[CID], report: Report) -> Uploaded:
    """Send the wanted blocks; each CAR is retried by itself."""
    sender = _Sender(transport, project, plan.root, report, total=plan.bytes)
    try:
        files = plan.send(wanted, sender.put)
        sender.finish()
    finally:
        sender.close()
    return Uploaded(files=files, bytes=sender.bytes)


class _Sender:
    """Gathers blocks into CARs and keeps up to `PARALLEL` of them on the way."""

    def __init__(self, transport: Transport, project: str, root: CID, report: Report, *, total: int) -> None:
        self.bytes = 0
        self._transport = transport
        self._path = f"/v1/projects/{segment(project)}/content/car"
        self._header = car.header([root])
        self._report = report
        self._total = total
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="upload")
        self._places = Semaphore(PARALLEL)
        self._pending: list[Future[None]] = []

    def put(self, cid: CID, data: bytes) -> None:
        self._batch.append(car.frame(cid, data))
        self._batch_bytes += len(data)
        self.bytes += len(data)
        if self._batch_bytes >= CAR_BYTES:
            self._dispatch()

    def finish(self) -> None:
        if self._batch:
            self._dispatch()
        for future in self._pending:
            future.result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _dispatch(self) -> None:
        frames, self._batch, self._batch_bytes = self._batch, [], 0
        self._places.acquire()
        for future in [f for f in self._pending if f.done()]:
            self._pending.remove(future)
            future.result()
        self._pending.append(self._pool.submit(self._send, frames, self.bytes))

    def _send(self, frames: list[bytes], sent_bytes: int) -> None:
        try:

            def body() -> Iterator[bytes]:
                yield self._header
                yield from frames

            self._transport.request("POST", self._path, body=body, content_type="application/vnd.ipld.car")
            self._report(Progress("upload", bytes=sent_bytes, bytes_total=max(self._total, sent_bytes)))
        finally:
            self._places.release()
