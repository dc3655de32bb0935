"""Piece commitments of files and CARs (CommP), computed on this machine, on all cores when there is much to do."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from af.protocols import filecoin
from af.protocols.filecoin import CHUNK_BYTES, Piece

PROCESSES_FROM_BYTES = 32 * CHUNK_BYTES
"""Below this (about half a second of work) starting other processes costs more than it saves."""
_WAITING_PER_PROCESS = 4


def piece_of(parts: Iterable[bytes], *, processes: int | None = None) -> Piece:
    """The piece of the bytes in ``parts``. ``processes``: how many may work, by default one for each core."""
    most = processes or os.cpu_count() or 1
    chunks = _Chunks(parts)
    tree = filecoin.Tree()
    for chunk in chunks:
        tree.add(filecoin.chunk_root(chunk))
        if most > 1 and chunks.size >= PROCESSES_FROM_BYTES:
            _in_processes(chunks, tree, most)
    return tree.piece(chunks.size, bytes(chunks.rest))


def _in_processes(chunks: Iterator[bytes], tree: filecoin.Tree, processes: int) -> None:
    """The other chunks, in their order; so many are waiting at most that memory stays small."""
    waiting: deque[Future[bytes]] = deque()
    context = multiprocessing.get_context("spawn")  # the caller may have threads
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(filecoin.chunk_root, chunk))
            if len(waiting) >= processes * _WAITING_PER_PROCESS:
                tree.add(waiting.popleft().result())
        for root in waiting:
            tree.add(root.result())


class _Chunks:
    """Whole chunks of what comes in parts; ``rest`` is what is behind the last one, ``size`` all that came."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self.rest = bytearray()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while len(self.rest) < CHUNK_BYTES:
            part = next(self._parts)
            self.rest += part
            self.size += len(part)
        chunk = bytes(self.rest[:CHUNK_BYTES])
        del self.rest[:CHUNK_BYTES]
        return chunk
