"""Pieces are the same however many processes compute them and however the bytes come."""

from __future__ import annotations

import random

import pytest

from af.protocols import filecoin
from af.protocols.filecoin import CHUNK_BYTES
from alternatefutures.pieces import PROCESSES_FROM_BYTES, piece_of


@pytest.mark.parametrize("size", [0, 1, 200, CHUNK_BYTES, 3 * CHUNK_BYTES + 5])
def test_small_content_needs_no_other_processes(size: int) -> None:
    data = random.Random(size).randbytes(size)
    hasher = filecoin.Hasher()
    hasher.update(data)
    assert piece_of([data[:100], b"", data[100:]]) == hasher.piece()


def test_processes_compute_the_same_piece() -> None:
    block = random.Random(5).randbytes(CHUNK_BYTES // 2)
    parts = [block] * (2 * PROCESSES_FROM_BYTES // CHUNK_BYTES + 11)
    alone, together = piece_of(parts, processes=1), piece_of(parts, processes=2)
    assert together == alone
    assert together.payload_bytes == len(parts) * len(block)
