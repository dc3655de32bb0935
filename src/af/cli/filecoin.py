"""``af filecoin``: content as storage providers on Filecoin take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from af.protocols.filecoin import Piece

_PART_BYTES = 1 << 20


@click.group(cls=Noun)
def filecoin() -> None:
    """Pieces for Filecoin: commitments (CommP) and CARs to make deals with."""


@verb(filecoin, "piece")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def piece(state: State, file: Path) -> None:
    """Compute the piece CID (CommP) of FILE, for example a CAR. Nothing is sent."""
    from alternatefutures.pieces import piece_of

    with file.open("rb") as source:
        _show(state, piece_of(iter(lambda: source.read(_PART_BYTES), b"")))


@verb(filecoin, "prepare")
@click.argument("cid")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; by default CID.car.")
def prepare(state: State, cid: str, out: Path | None) -> None:
    """Write the CAR of CID and compute its piece CID on the way, for a deal with any storage provider."""
    from alternatefutures.pieces import piece_of

    target = out or state.folder / f"{cid}.car"
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("wb") as file:
            found = piece_of(_kept(state.client().export_car(cid), file))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _show(state, found, file=str(target))


def _kept(parts: Iterable[bytes], file: BinaryIO) -> Iterator[bytes]:
    for part in parts:
        file.write(part)
        yield part


def _show(state: State, piece: Piece, *, file: str | None = None) -> None:
    from af.protocols.ipfs import cid as cids

    document = {
        "pieceCid": cids.to_text(piece.cid_v2),
        "pieceCidV1": cids.to_text(piece.cid_v1),
        "payloadBytes": piece.payload_bytes,
        "paddedBytes": piece.padded_bytes,
    }
    if file is not None:
        document["file"] = file
    if state.json:
        output.document(document)
        return
    output.result(str(document["pieceCid"]))
    if not state.quiet:
        output.note(f"version 1: {document['pieceCidV1']}; {piece.payload_bytes:,} bytes in {piece.padded_bytes:,}")
