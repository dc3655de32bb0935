"""Sending content: local CID → what is missing → CAR uploads that can be cut and resumed → the root is complete.

Each CAR is a request of its own (about 8 MiB), so a cut loses at most that much: the next attempt asks again what is
missing. Memory is bounded by the number of requests under way.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from alternatefutures.errors import ApiError, DeploymentFailed, UnexpectedReply
from alternatefutures.folder import Plan
from alternatefutures.transport import PIECE_BYTES, Transport, segment

if TYPE_CHECKING:
    from alternatefutures.models import Deployment, Site

CAR_BYTES = 8 << 20
PARALLEL = 3
QUESTION_CIDS_MAX = 10_000
_SMALL_PLAN_BLOCKS = 2_000
"""Up to here one question about all blocks costs less than first asking about the root alone."""
_ATTEMPTS = 3


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

    def __add__(self, other: Uploaded) -> Uploaded:
        return Uploaded(self.files + other.files, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class DeployResult:
    """The outcome of `Client.deploy`; ``root`` was computed here and equals ``deployment.cid``.

    ``case_clashes`` has groups of paths that are one file on macOS and Windows; ``hidden_skipped`` names were left out.
    """

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
"""Called from several threads, one at a time."""


def silent(_progress: Progress) -> None:
    """A `Report` for nobody."""


def publish(
    transport: Transport, project: str, plan: Plan, create: Callable[[], Deployment], report: Report
) -> tuple[Deployment, Uploaded]:
    """Upload what the project lacks of ``plan`` and ``create`` the deployment, which must end up with its root.

    The platform checks that everything is there: what went missing in between (collected, say) is sent once more.
    :raises DeploymentFailed: it did not become ready, or has another root.
    """
    root = cids.to_text(plan.root)
    uploaded = Uploaded()
    blocks = list(plan.blocks())
    wanted = missing(transport, project, blocks if len(blocks) <= _SMALL_PLAN_BLOCKS else [plan.root])
    if wanted and len(blocks) > _SMALL_PLAN_BLOCKS:
        wanted = missing(transport, project, blocks)
    for attempt in range(_ATTEMPTS):
        if wanted:
            uploaded += upload(transport, project, plan, wanted, report)
        report(Progress("publish"))
        try:
            deployment = create()
            break
        except ApiError as error:
            if error.code.lower() != "missing_blocks" or attempt == _ATTEMPTS - 1:
                raise
            wanted = missing(transport, project, blocks)
    if deployment.cid != root or deployment.status != "ready":
        raise DeploymentFailed(
            f"The deployment ended as {deployment.status} with root {deployment.cid}; this folder is {root}.",
            hint=f"af logs {deployment.id}",
        )
    return deployment, uploaded


def missing(transport: Transport, project: str, wanted: Iterable[CID]) -> set[CID]:
    """Which of the blocks the project does not hold."""
    answer: set[CID] = set()
    source = iter(wanted)
    while batch := list(islice(source, QUESTION_CIDS_MAX)):
        body = json.dumps({"cids": [cids.to_text(cid) for cid in batch]}).encode()
        path = f"/v1/projects/{segment(project)}/content/missing"
        reply = transport.request("POST", path, body=body).json()
        try:
            answer.update(cids.parse(text) for text in reply["missing"])
        except (TypeError, KeyError, ValueError) as error:
            raise UnexpectedReply("something that is no list of CIDs", cause=str(error)) from error
    return answer


def upload(transport: Transport, project: str, plan: Plan, wanted: set[CID], report: Report) -> Uploaded:
    """Send the wanted blocks; each CAR is retried by itself."""
    if not wanted:
        return Uploaded()
    sender = _Sender(transport, project, plan.root, report, total_bytes=plan.bytes)
    try:
        files = plan.send(wanted, sender.put)
        sender.finish()
    finally:
        sender.close()
    return Uploaded(files=files, bytes=sender.bytes)


class _Sender:
    """Gathers blocks into CARs and keeps up to `PARALLEL` of them on the way."""

    def __init__(self, transport: Transport, project: str, root: CID, report: Report, *, total_bytes: int) -> None:
        self.bytes = 0
        self._transport = transport
        self._path = f"/v1/projects/{segment(project)}/content/car"
        self._header = car.header([root])
        self._report = report
        self._total_bytes = total_bytes
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="upload")
        self._places = threading.Semaphore(PARALLEL)
        self._pending: list[Future[None]] = []
        self._lock = threading.Lock()
        self._arrived_bytes = 0

    def put(self, cid: CID, data: bytes) -> None:
        self._batch += (car.frame_head(cid, len(data)), data)
        self._batch_bytes += len(data)
        self.bytes += len(data)
        if self._batch_bytes >= CAR_BYTES:
            self._dispatch()

    def finish(self) -> None:
        """Send the rest and wait until everything has arrived."""
        if self._batch and not self._pending:
            self._places.acquire()
            self._send(self._batch, self._batch_bytes)  # small: no thread needed
            return
        if self._batch:
            self._dispatch()
        for future in self._pending:
            future.result()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        parts, size_bytes = self._batch, self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        self._places.acquire()
        for future in [f for f in self._pending if f.done()]:
            self._pending.remove(future)
            future.result()
        self._pending.append(self._pool.submit(self._send, parts, size_bytes))

    def _send(self, parts: list[bytes], size_bytes: int) -> None:
        try:
            self._transport.request(
                "POST",
                self._path,
                body=lambda: _pieces(self._header, parts),
                content_type=car.CONTENT_TYPE,
                length_bytes=len(self._header) + sum(map(len, parts)),
            )
        finally:
            self._places.release()
        with self._lock:
            self._arrived_bytes += size_bytes
            self._report(
                Progress("upload", bytes=self._arrived_bytes, bytes_total=max(self._total_bytes, self._arrived_bytes))
            )


def _pieces(header: bytes, parts: list[bytes]) -> Iterator[bytes | memoryview]:
    """The body in pieces of at most `PIECE_BYTES`, small parts joined."""
    small, size = [header], len(header)
    for part in parts:
        if size + len(part) > PIECE_BYTES:
            yield b"".join(small)
            small, size = [], 0
        if len(part) > PIECE_BYTES:
            view = memoryview(part)
            for start in range(0, len(part), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]
        else:
            small.append(part)
            size += len(part)
    if small:
        yield b"".join(small)
