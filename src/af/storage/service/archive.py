"""Archives to UnixFS: unpacked, chunked, hashed and stored as a stream, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from af.core.context import Context
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidName, PathConflict
from af.protocols.ipfs.unixfs import Profile
from af.storage import rules
from af.storage.backends import BlockStore
from af.storage.errors import InvalidArchive
from af.storage.models import DagSummary
from af.storage.rules import Segments
from af.storage.service import unpack
from af.storage.service.access import block_store, may_upload
from af.storage.service.dag import verify_dag

_BATCH_BYTES = 4 << 20
_STORING_MAX = 3
"""Batches on their way to the disk while the next one is made; with it, memory stays below 20 MiB for each import."""


async def import_archive(
    ctx: Context, project_id: str, path: Path, profile: Profile = unixfs.DEFAULT_PROFILE
) -> DagSummary:
    """Store the files of a tar, tar.gz or zip as one folder; a single top folder is taken off.

    The content is leased as by `verify_dag`. Nothing is written outside the block store.

    :raises InvalidArchive, ArchiveTooLarge, DagTooLarge:
    """
    project = await may_upload(ctx, project_id)
    sink = BlockSink(block_store(ctx), project.id)

    def work() -> CID:
        found = _import(path, sink.put, profile, ctx.settings.archive_bytes_max, ctx.settings.files_max)
        sink.finish()
        return found.cid

    root = await sink.run(work)
    return await verify_dag(ctx, project.id, root)


async def import_file(
    ctx: Context, project_id: str, read: unixfs.Read, profile: Profile = unixfs.DEFAULT_PROFILE
) -> DagSummary:
    """Store one file. ``read(n)`` is called in a thread. The content is leased as by `verify_dag`."""
    project = await may_upload(ctx, project_id)
    sink = BlockSink(block_store(ctx), project.id)

    def work() -> CID:
        found = unixfs.import_file(read, sink.put, profile)
        sink.finish()
        return found.cid

    return await verify_dag(ctx, project.id, await sink.run(work))


class BlockSink:
    """Lets a thread put blocks into the store: batched, and only a few batches ahead of the disk."""

    def __init__(self, store: BlockStore, scope: str) -> None:
        self._store = store
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._batch: list[tuple[CID, bytes]] = []
        self._batch_bytes = 0
        self._storing: list[Future[int]] = []
        self._stopped = threading.Event()

    async def run(self, work: Callable[[], CID]) -> CID:
        """Do ``work`` in a thread. When this task is cancelled, the thread ends at its next block."""
        task = asyncio.create_task(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stopped.set()
            await asyncio.wait([task])
            task.exception()  # however the thread ended, nobody waits for it
            raise

    def put(self, cid: CID, data: bytes) -> None:
        """In the thread: one block."""
        self._batch.append((cid, data))
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES:
            self._flush()

    def finish(self) -> None:
        """In the thread: everything is durable when this returns."""
        self._flush()
        while self._storing:
            self._storing.pop(0).result()

    def _flush(self) -> None:
        if self._stopped.is_set():
            raise _Stopped
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if len(self._storing) >= _STORING_MAX:
            self._storing.pop(0).result()
        if batch:
            self._storing.append(
                asyncio.run_coroutine_threadsafe(self._store.put(batch, scope=self._scope), self._loop)
            )


class _Stopped(Exception):
    """The task that wanted the result is gone."""


def _import(path: Path, put: unixfs.Put, profile: Profile, bytes_max: int, files_max: int) -> unixfs.Entry:
    found: list[tuple[Segments, unixfs.Entry]] = []
    links: dict[int, bytes] = {}
    seen: set[Segments] = set()
    empty = unixfs.directory((), put, profile)
    for entry in unpack.entries(path, bytes_max=bytes_max, entries_max=2 * files_max):  # folders have entries too
        if entry.kind is unpack.Kind.FOLDER:
            found.append((entry.path, empty))
            continue
        if entry.path in seen:
            raise InvalidArchive(f"The entry {rules.shown('/'.join(entry.path))} is in the archive twice.")
        seen.add(entry.path)
        if entry.kind is unpack.Kind.SYMLINK:
            links[len(found)] = entry.target
            made = unixfs.symlink(entry.target, put, profile)
        else:
            made = unixfs.import_file(entry.read, put, profile)
        found.append((entry.path, made))
    depth = rules.depth_to_strip(path for path, _ in found)
    for position, target in links.items():
        rules.check_symlink(found[position][0][depth:], target)
    inside = [("/".join(path[depth:]), made) for path, made in found if made is not empty or len(path) > depth]
    try:
        return unixfs.build_tree(inside, put, profile)
    except (InvalidName, PathConflict) as error:
        raise InvalidArchive(f"The archive cannot be a folder: {error}.") from error
