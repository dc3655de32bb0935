"""The cache of blocks on disk."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from af.core.clock import FixedClock
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.s3.cache import DiskCache
from tests.unit.storage.stores import blocks

LIMIT = 1_000_000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def opened(folder: Path, clock: FixedClock, *, limit: int = LIMIT, free_min: int = 0) -> DiskCache:
    return DiskCache(folder, limit_bytes=limit, free_bytes_min=free_min, clock=clock)


def held(cache: DiskCache, stored: list[tuple[CID, bytes]]) -> list[bool]:
    return [cache.get(cid) == data for cid, data in stored]


def test_what_was_put_is_there_and_after_a_restart(tmp_path: Path, clock: FixedClock) -> None:
    stored = [*blocks(20), (cids.of(cids.RAW, b""), b"")]
    cache = opened(tmp_path, clock)
    cache.put(stored)
    assert all(held(cache, stored))
    assert cache.get(blocks(1)[0][0]) is None
    cache.close()
    again = opened(tmp_path, clock)
    assert all(held(again, stored))
    again.close()


def test_it_never_holds_more_than_its_limit(tmp_path: Path, clock: FixedClock) -> None:
    cache = opened(tmp_path, clock)
    stored = blocks(300, 10_000)
    for number, each in enumerate(stored):
        clock.advance(timedelta(seconds=1))
        cache.put([each])
        assert cache.size() <= LIMIT, number
    kept = held(cache, stored)
    assert 80 <= sum(kept) <= 100
    assert all(kept[-80:]), "the oldest went"
    cache.close()


def test_what_is_used_stays_longer(tmp_path: Path, clock: FixedClock) -> None:
    cache = opened(tmp_path, clock)
    stored = blocks(90, 10_000)
    cache.put(stored)
    clock.advance(timedelta(hours=1))
    assert cache.get(stored[0][0]) == stored[0][1]
    cache.put(blocks(50, 10_000))
    assert held(cache, stored[:2]) == [True, False]
    cache.close()


def test_a_damaged_block_is_not_given_out(tmp_path: Path, clock: FixedClock) -> None:
    cache = opened(tmp_path, clock)
    stored = blocks(2)
    cache.put(stored)
    with sqlite3.connect(tmp_path / "cache.sqlite") as connection:
        connection.execute("UPDATE blocks SET data = ? WHERE cid = ?", (os.urandom(1000), stored[0][0]))
    connection.close()
    before = cache.size()
    assert held(cache, stored) == [False, True]
    assert cache.size() < before, "it was thrown away"
    cache.put(stored[:1])
    assert held(cache, stored) == [True, True]
    cache.close()


def test_a_broken_file_is_thrown_away(tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "cache.sqlite").write_bytes(b"not a database" * 1000)
    cache = opened(tmp_path, clock)
    stored = blocks(1)
    cache.put(stored)
    assert held(cache, stored) == [True]
    cache.close()


def test_two_processes_share_it(tmp_path: Path, clock: FixedClock) -> None:
    one, other = opened(tmp_path, clock), opened(tmp_path, clock)
    stored = blocks(60, 10_000)
    one.put(stored[:30])
    other.put(stored[30:])
    assert all(held(one, stored))
    assert one.size() == other.size()
    other.put(blocks(60, 10_000))
    assert one.size() <= LIMIT
    one.close()
    other.close()


def test_a_lowered_limit_is_kept(tmp_path: Path, clock: FixedClock) -> None:
    cache = opened(tmp_path, clock)
    cache.put(blocks(90, 10_000))
    cache.close()
    smaller = opened(tmp_path, clock, limit=LIMIT // 10)
    smaller.put(blocks(1, 10_000))
    assert smaller.size() <= LIMIT // 10
    smaller.close()


def test_without_room_nothing_is_kept(tmp_path: Path, clock: FixedClock) -> None:
    off = opened(tmp_path / "off", clock, limit=0)
    stored = blocks(1)
    off.put(stored)
    assert (held(off, stored), off.size(), (tmp_path / "off").exists()) == ([False], 0, False)
    off.close()
    full = opened(tmp_path / "full", clock, free_min=1 << 60)
    full.put(stored)
    assert held(full, stored) == [False]
    full.close()
