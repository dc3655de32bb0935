"""`af filecoin` against a running platform."""

from __future__ import annotations

from pathlib import Path

from af.protocols import filecoin
from af.protocols.ipfs import cid as cids
from tests.e2e.hostile import af
from tests.e2e.platform import running


def test_a_car_is_prepared_with_its_piece_by_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_bytes(b"<h1>hello</h1>" * 50_000)
    with running(tmp_path) as platform:
        added = af(platform, "storage", "add", str(folder), "--json")
        assert added.code == 0, added.err
        file = tmp_path / "content.car"
        made = af(platform, "filecoin", "prepare", added.json["cid"], "--out", str(file), "--json")
        assert made.code == 0, made.err
        hasher = filecoin.Hasher()
        hasher.update(file.read_bytes())
        piece = hasher.piece()
        assert made.json == {
            "pieceCid": cids.to_text(piece.cid_v2),
            "pieceCidV1": cids.to_text(piece.cid_v1),
            "payloadBytes": file.stat().st_size,
            "paddedBytes": 1 << 20,
            "file": str(file),
        }
        again = af(platform, "filecoin", "piece", str(file), "--quiet")
        assert (again.code, again.out.strip()) == (0, made.json["pieceCid"])
        absent = af(platform, "filecoin", "prepare", "bafkqaaa1", "--out", str(tmp_path / "absent.car"))
        assert absent.code != 0
        assert not list(tmp_path.glob("absent*"))
