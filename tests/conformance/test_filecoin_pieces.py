"""Piece CIDs equal to those of @web3-storage/data-segment, the reference of FRC-0069."""

from __future__ import annotations

import json
import subprocess

import pytest

from af.protocols import filecoin
from af.protocols.ipfs import cid as cids
from tests.support import node

SIZES = (0, 1, 65, 127, 128, 200, 254, 4065, 32_512, 32_513, filecoin.CHUNK_BYTES, filecoin.CHUNK_BYTES + 1, 2_500_000)
_SCRIPT = """
import * as Piece from '@web3-storage/data-segment/piece'
const answers = {}
for (const size of JSON.parse(process.argv[1])) {
  const payload = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255)
  const piece = Piece.fromPayload(payload)
  answers[size] = [`${piece.toInfo().link}`, `${piece.link}`, Number(piece.toInfo().size)]
}
console.log(JSON.stringify(answers))
"""


def payload_of(size: int) -> bytes:
    return bytes((i * 7 + (i >> 8)) & 255 for i in range(size))


@pytest.mark.npm
def test_piece_cids_of_both_versions_and_sizes_equal_the_reference() -> None:
    folder = node.npm_install("@web3-storage/data-segment@5.3.0")
    sizes = [size for size in SIZES if size >= filecoin.PAYLOAD_BYTES_MIN]  # it refuses smaller payloads
    command = [str(node.node()), "--input-type=module", "-e", _SCRIPT, json.dumps(sizes)]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout
    theirs = json.loads(said)
    assert len(theirs) == len(sizes)
    for size in sizes:
        hasher = filecoin.Hasher()
        hasher.update(payload_of(size))
        piece = hasher.piece()
        ours = [cids.to_text(piece.cid_v1), cids.to_text(piece.cid_v2), piece.padded_bytes]
        assert ours == theirs[str(size)], size
