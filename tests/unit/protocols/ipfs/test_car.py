"""CAR archives: what we write, what we read, in any chunking, and what we refuse."""

from __future__ import annotations

import cbrrr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import car, cid, varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCar

A, B = cid.of(cid.RAW, b"a"), cid.of(cid.RAW, b"bb")
V0 = CID(cid.multihash(cid.EMPTY_DIRECTORY))
ARCHIVE = car.header([A]) + car.frame(A, b"a") + car.frame(B, b"bb") + car.frame(V0, b"\x0a\x02\x08\x01")
BLOCKS = [(A, b"a"), (B, b"bb"), (V0, b"\x0a\x02\x08\x01")]
PRAGMA = bytes.fromhex("0aa16776657273696f6e02")


def read(data: bytes, *sizes: int, **limits: int) -> tuple[car.CarReader, list[tuple[CID, bytes]]]:
    """Feeds `data` in pieces of the given sizes, then the rest."""
    reader = car.CarReader(**limits)
    found = []
    for size in sizes:
        found += reader.feed(data[:size])
        data = data[size:]
    found += reader.feed(data)
    reader.finish()
    return reader, found


def v2(inner: bytes, *, padding: bytes = b"", index: bytes = b"", size: int | None = None) -> bytes:
    offset = len(PRAGMA) + 40 + len(padding)
    length = len(inner) if size is None else size
    numbers = (offset, length, offset + length if index else 0)
    return PRAGMA + bytes(16) + b"".join(n.to_bytes(8, "little") for n in numbers) + padding + inner + index


def header_of(value: object) -> bytes:
    body = cbrrr.encode_dag_cbor(value)  # type: ignore[arg-type]
    return varint.encode(len(body)) + body


def test_a_header_is_the_known_bytes() -> None:
    root = b"\xd8\x2a\x58\x25\x00" + A
    assert car.header([A]) == varint.encode(17 + len(root)) + b"\xa2\x65roots\x81" + root + b"\x67version\x01"


def test_what_was_written_is_read() -> None:
    reader, found = read(ARCHIVE)
    assert reader.roots == (A,)
    assert reader.version == 1
    assert found == BLOCKS


def test_a_frame_can_be_written_without_copying_the_block() -> None:
    assert car.frame_head(B, 2) + b"bb" == car.frame(B, b"bb")


@given(st.lists(st.integers(min_value=0, max_value=60), max_size=40))
def test_chunking_does_not_matter(sizes: list[int]) -> None:
    assert read(ARCHIVE, *sizes)[1] == BLOCKS
    assert read(v2(ARCHIVE, padding=bytes(30), index=bytes(50)), *sizes)[1] == BLOCKS


def test_one_byte_at_a_time_gives_each_block_as_soon_as_it_is_whole() -> None:
    reader = car.CarReader()
    at = [index for index in range(len(ARCHIVE)) for _ in reader.feed(ARCHIVE[index : index + 1])]
    first = len(car.header([A])) + len(car.frame(A, b"a")) - 1
    assert at == [first, first + len(car.frame(B, b"bb")), len(ARCHIVE) - 1]


@pytest.mark.parametrize("cut", range(1, len(ARCHIVE)))
def test_a_truncated_archive_is_noticed(cut: int) -> None:
    frame_ends = {len(car.header([A])), len(car.header([A])) + len(car.frame(A, b"a"))}
    frame_ends.add(max(frame_ends) + len(car.frame(B, b"bb")))
    if cut in frame_ends:
        read(ARCHIVE[:cut])  # a CARv1 does not say how many blocks it has: only the reader of the DAG can tell
        return
    with pytest.raises(InvalidCar, match="ends inside"):
        read(ARCHIVE[:cut])


@pytest.mark.parametrize("cut", range(1, len(ARCHIVE)))
def test_a_truncated_version_2_is_always_noticed(cut: int) -> None:
    with pytest.raises(InvalidCar):
        read(v2(ARCHIVE)[:-cut])


def test_version_2_is_read_with_padding_and_index() -> None:
    reader, found = read(v2(ARCHIVE, padding=bytes(1000), index=b"\xff" * 1000))
    assert (reader.version, reader.roots, found) == (2, (A,), BLOCKS)


@pytest.mark.parametrize(
    ("data", "offset", "message"),
    [
        (b"\x00", 0, "zero-length"),
        (varint.encode(1 << 20), 0, "over the limit"),
        (b"\x80" * 9, 0, "bad length"),
        (b"\x03abc", 0, "bad header"),
        (header_of([1]), 0, "not a map"),
        (header_of({"roots": [], "version": 3}), 0, "version 3"),
        (header_of({"roots": [], "version": True}), 0, "version True"),
        (header_of({"roots": []}), 0, "version None"),
        (header_of({"version": 1}), 0, "must have version and roots"),
        (header_of({"roots": [], "version": 1, "more": 1}), 0, "nothing else"),
        (header_of({"roots": ["x"], "version": 1}), 0, "not a CID"),
        (header_of({"roots": [cbrrr.CID(b"\x01\x55")], "version": 1}), 0, "bad header"),
        (ARCHIVE + b"\x00", len(ARCHIVE), "zero-length"),
        (ARCHIVE + b"\x01x", len(ARCHIVE) + 1, "CID version 120"),
        (ARCHIVE + b"\x04\x01\x55\x12\x20" + A[4:], len(ARCHIVE), "shorter than its CID"),
        (ARCHIVE + b"garbage that is no frame" * 9, len(ARCHIVE) + 1, "CID version 97"),
        (ARCHIVE + varint.encode(1 << 40), len(ARCHIVE), "over the limit"),
        (PRAGMA + b"\xff" * 40, 11, "out of range"),
        (PRAGMA + bytes(40), 11, "out of range"),
        (v2(PRAGMA + ARCHIVE), 51, "version 2"),  # a CARv2 inside a CARv2
        (v2(ARCHIVE, size=len(ARCHIVE) - 1, index=b"x"), 51 + len(ARCHIVE) - 39, "runs past the end"),
        (v2(ARCHIVE, size=20), 51, "runs past the end"),
    ],
)
def test_faults_are_named_with_their_offset(data: bytes, offset: int, message: str) -> None:
    with pytest.raises(InvalidCar, match=message) as caught:
        read(data)
    assert caught.value.offset == offset


def test_a_block_over_the_limit_is_refused_before_it_is_buffered() -> None:
    big = bytes(1001)
    archive = car.header([]) + car.frame(cid.of(cid.RAW, big), big)
    assert len(read(archive, max_block_bytes=1001)[1]) == 1
    with pytest.raises(InvalidCar, match="larger than 1,000"):
        read(archive, max_block_bytes=1000)
    reader = car.CarReader(max_block_bytes=1000)
    with pytest.raises(InvalidCar, match="over the limit"):
        list(reader.feed(car.header([]) + varint.encode(5000)))


def test_an_index_over_the_limit_is_refused() -> None:
    with pytest.raises(InvalidCar, match="index is larger"):
        read(v2(ARCHIVE, index=bytes(101)), max_index_bytes=100)


def test_digests_are_left_to_the_caller() -> None:
    _, found = read(car.header([A]) + car.frame(A, b"not a"))
    assert found == [(A, b"not a")]
    assert not cid.verify(*found[0])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_an_invalid_car(data: bytes) -> None:
    for candidate in (data, varint.encode(len(data) or 1) + data, car.header([A]) + data, PRAGMA + data, v2(data)):
        try:
            read(candidate)
        except InvalidCar:
            continue
