"""What a scan makes of any damage to a segment: true blocks only, and no more lost than was hit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.backends.segments import files, recovery

contents = st.lists(st.binary(max_size=300), min_size=1, max_size=12, unique=True)


def segment_of(contents: list[bytes]) -> tuple[bytes, list[tuple[CID, int, int]]]:
    """The segment, and (CID, start, end) of each frame."""
    segment = files.HEADER
    frames = []
    for data in contents:
        cid = cids.of(cids.RAW, data)
        frame = car.frame(cid, data)
        frames.append((cid, len(segment), len(segment) + len(frame)))
        segment += frame
    return segment, frames


def scanned(segment: bytes, *, search: bool) -> tuple[set[CID], recovery.Found]:
    """The CIDs found, whose bytes are checked to be theirs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "00000001.car")
        path.write_bytes(segment)
        found = recovery.scan(path, 1, 0, search=search)
    for placement in found.placements:
        assert cids.verify(placement.cid, segment[placement.offset : placement.offset + placement.length])
    return {placement.cid for placement in found.placements}, found


@given(contents)
@settings(max_examples=50, deadline=None)
def test_a_whole_segment_is_found_whole(contents: list[bytes]) -> None:
    segment, frames = segment_of(contents)
    for search in (True, False):
        got, found = scanned(segment, search=search)
        assert got == {cid for cid, _, _ in frames}
        assert (found.end, found.lost_bytes, found.corrupt) == (len(segment), 0, ())


@given(contents, st.data())
@settings(max_examples=100, deadline=None)
def test_a_cut_loses_only_what_it_cuts(contents: list[bytes], data: st.DataObject) -> None:
    segment, frames = segment_of(contents)
    cut = data.draw(st.integers(0, len(segment)))
    got, found = scanned(segment[:cut], search=False)
    whole = [(cid, end) for cid, _, end in frames if end <= cut]
    assert got == {cid for cid, _ in whole}
    if whole:
        assert found.end == whole[-1][1]


@given(contents, st.data())
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_loses_at_most_its_own_block(contents: list[bytes], data: st.DataObject) -> None:
    segment, frames = segment_of(contents)
    at = data.draw(st.integers(len(files.HEADER), len(segment) - 1))
    hurt = bytearray(segment)
    hurt[at] ^= 1 << data.draw(st.integers(0, 7))
    got, _ = scanned(bytes(hurt), search=True)
    assert got >= {cid for cid, start, end in frames if not start <= at < end}


@given(contents, st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_tail_is_harmless(contents: list[bytes], tail: bytes) -> None:
    segment, frames = segment_of(contents)
    for search in (True, False):
        got, _ = scanned(segment + tail, search=search)
        assert got >= {cid for cid, _, _ in frames}
