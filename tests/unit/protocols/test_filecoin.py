"""Piece commitments: a plain definition, published values, pieces in pieces."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from af.protocols import filecoin
from af.protocols.filecoin import InvalidPieceCid, Piece
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID


def piece_of(data: bytes) -> Piece:
    hasher = filecoin.Hasher()
    hasher.update(data)
    return hasher.piece()


def plainly(data: bytes) -> bytes:
    """The commitment as the specification words it, one leaf after another."""
    size = 127
    while size < len(data):
        size *= 2
    data = data.ljust(size, b"\0")
    level: list[bytes] = []
    for start in range(0, size, 127):  # 4 * 254 bits
        bits = int.from_bytes(data[start : start + 127], "little")
        level += [(bits >> 254 * i & (1 << 254) - 1).to_bytes(32, "little") for i in range(4)]
    while len(level) > 1:
        hashes = [sha256(level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
        level = [h[:31] + bytes([h[31] & 0x3F]) for h in hashes]
    return level[0]


@pytest.mark.parametrize("size", [0, 1, 64, 65, 126, 127, 128, 254, 255, 1016, 4064, 4065, 32_512, 32_513, 70_000])
def test_the_commitment_is_what_the_specification_words(size: int) -> None:
    data = random.Random(size).randbytes(size)
    piece = piece_of(data)
    assert piece.commitment == plainly(data)
    assert piece.payload_bytes + piece.padding_bytes == piece.padded_bytes * 127 // 128


def test_the_commitment_of_several_chunks_is_what_the_specification_words() -> None:
    for size in (filecoin.CHUNK_BYTES, filecoin.CHUNK_BYTES + 1, 2 * filecoin.CHUNK_BYTES + 5_000):
        data = random.Random(size).randbytes(size)
        assert piece_of(data).commitment == plainly(data), size


def test_empty_sectors_have_the_well_known_commitment() -> None:
    """Of zeros: every provider has sealed them."""
    assert cids.to_text(piece_of(b"").cid_v1) == "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"
    for size in (1, 127):
        assert piece_of(bytes(size)).commitment == piece_of(b"").commitment


def test_bytes_may_come_in_any_pieces_and_chunks_from_elsewhere() -> None:
    data = random.Random(7).randbytes(5 * filecoin.CHUNK_BYTES + 300)
    whole = piece_of(data)
    hasher = filecoin.Hasher()
    for start in range(0, len(data), 400_001):
        hasher.update(data[start : start + 400_001])
    assert hasher.piece() == whole
    tree = filecoin.Tree()
    for start in range(0, 5 * filecoin.CHUNK_BYTES, filecoin.CHUNK_BYTES):
        tree.add(filecoin.chunk_root(data[start : start + filecoin.CHUNK_BYTES]))
    assert tree.piece(len(data), data[5 * filecoin.CHUNK_BYTES :]) == whole


def test_zeros_behind_change_the_sizes_but_not_the_commitment() -> None:
    one, two = piece_of(b"x" * 200), piece_of(b"x" * 200 + bytes(20))
    assert one.commitment == two.commitment
    assert one.cid_v1 == two.cid_v1
    assert one.cid_v2 != two.cid_v2


@pytest.mark.parametrize("size", [65, 127, 128, 200, 5_000_000])
def test_a_piece_cid_of_version_2_tells_its_piece(size: int) -> None:
    piece = piece_of(bytes(size))
    assert filecoin.read_cid_v2(piece.cid_v2) == piece
    assert cids.parse(cids.to_text(piece.cid_v2)) == piece.cid_v2


def test_other_cids_and_impossible_sizes_are_no_pieces() -> None:
    piece = piece_of(b"x" * 200)
    wrong = [
        piece.cid_v1,
        cids.of(cids.RAW, b"x"),
        Piece(piece.commitment, piece.height, 127).cid_v2,  # would fit a lower tree
        Piece(piece.commitment, 51, 127 << 49).cid_v2,
        Piece(piece.commitment[:31], piece.height, 200).cid_v2,
        CID(b"\x01\x55" + piece.cid_v2[2:4] + b"\x00"),
        CID(b"\x01\x70" + piece.cid_v2[2:]),
    ]
    for cid in wrong:
        with pytest.raises(InvalidPieceCid):
            filecoin.read_cid_v2(cid)
