"""Blocks of data as a real Kubo writes and reads them: byte for byte, by their CIDs."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from af.gateway.formats import tar as tars
from af.gateway.tree import Tree
from af.protocols.ipfs import car, dagcbor, dagjson, dagpb, pbform
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import INT_MAX, INT_MIN, Link, Value
from tests.support.blocks import MemoryBlocks
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS
from tests.support.kubo import KuboRepository, kubo_or_skip, temporary_repository

pytestmark = [pytest.mark.kubo, pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)]

TARGET = cids.of(cids.RAW, b"target")
OLD_TARGET = CID(cids.multihash(cids.of(cids.DAG_PB, b"\x0a\x02\x08\x01")))

VALUES: list[Value] = [
    None, True, False, 0, 1, -1, 23, 24, 255, 256, 65_536, 1 << 32, (1 << 63) - 1, -(1 << 63),
    0.1, -0.5, 1.5, 1e-7, 1.5e-6, 1e21, -1e22, 5e-324, 1.7976931348623157e308, 123456.789, 3.4028236692093846e38,
    "", "text", 'quotes " and \\ and /', "\n\r\t\x08\x0c\x00\x1f\x7f", "é ü ł 漢字 😀", "<&>",
    "\u2028\u2029\ufeff\ufffd",
    b"", b"\x00", b"\xfb\xff\xfe", bytes(range(256)),
    Link(TARGET), Link(OLD_TARGET), Link(cids.of(cids.DAG_JSON, b"{}")), Link(CID(b"\x01\x55\x00\x02hi")),
    [], {}, [[]], [{}], [1, "a", None, [True, {"x": b"y"}]],
    {"b": 1, "aa": 2, "a": 3, "": 4, "B": 5}, {"é": 1, "z": 2, "😀": 3, "\uffff": 4, "zz": 5},
    {"link": Link(TARGET), "list": [Link(OLD_TARGET), {"deep": [Link(TARGET)]}]},
    {"/": True}, {"/": {"bytes": 1}}, {"0": 1, "/": {"a": "b"}}, {"!": 1, "/": "x"}, {"/": Link(TARGET)},
]  # fmt: skip
"""All that both of us write the same way; `test_where_we_differ` has the rest."""


@pytest.fixture(scope="module")
def kubo() -> Iterator[KuboRepository]:
    with temporary_repository(kubo_or_skip()) as repository:
        yield repository


def put(kubo: KuboRepository, folder: Path, blocks: Sequence[bytes], read_as: str, store_as: str) -> list[str]:
    """The CIDs under which Kubo stores what it reads from ``blocks``."""
    names = []
    for index, block in enumerate(blocks):
        path = folder / f"{index:03}"
        path.write_bytes(block)
        names.append(str(path))
    options = ("--input-codec", read_as, "--store-codec", store_as, "--allow-big-block=false")
    return kubo.run("dag", "put", *options, *names).decode().split()


@pytest.mark.parametrize(
    ("read_as", "store_as"), [(a, b) for a in ("dag-json", "dag-cbor") for b in ("dag-json", "dag-cbor")]
)
def test_kubo_turns_every_value_into_the_block_that_we_make(
    kubo: KuboRepository, tmp_path: Path, read_as: str, store_as: str
) -> None:
    encode = {"dag-json": dagjson.encode, "dag-cbor": dagcbor.encode}
    codec = {"dag-json": cids.DAG_JSON, "dag-cbor": cids.DAG_CBOR}[store_as]
    given = [encode[read_as](value) for value in VALUES]
    expected = [cids.to_text(cids.of(codec, encode[store_as](value))) for value in VALUES]
    assert len(VALUES) > 50
    assert put(kubo, tmp_path, given, read_as, store_as) == expected


def test_we_read_what_kubo_stored(kubo: KuboRepository, tmp_path: Path) -> None:
    stored = put(kubo, tmp_path, [dagcbor.encode(VALUES)], "dag-cbor", "dag-json")[0]
    assert dagjson.decode(kubo.run("block", "get", stored)) == VALUES


def test_kubo_shows_dag_pb_in_the_form_that_we_do(kubo: KuboRepository, tmp_path: Path) -> None:
    forms: list[Value] = [
        {"Links": []},
        {"Data": b"", "Links": []},
        {"Data": b"\x08\x01", "Links": [{"Hash": Link(TARGET), "Name": "é", "Tsize": 9}]},
        {
            "Links": [
                {"Hash": Link(TARGET)},
                {"Hash": Link(OLD_TARGET), "Tsize": 0},
                {"Hash": Link(TARGET), "Name": "a"},
            ]
        },
        {"Links": [{"Hash": Link(TARGET), "Name": name, "Tsize": 1} for name in ("b", "a", "c", "a")]},
    ]
    blocks = [pbform.encode(form) for form in forms]
    stored = put(kubo, tmp_path, [dagjson.encode(form) for form in forms], "dag-json", "dag-pb")
    assert stored == [cids.to_text(cids.of(cids.DAG_PB, block)) for block in blocks]
    for cid, block in zip(stored, blocks, strict=True):
        shown = kubo.run("dag", "get", cid).strip()
        for absent in (b'"Data":null,', b',"Name":null', b',"Tsize":null'):  # how it prints that there is none
            shown = shown.replace(absent, b"")
        assert shown == dagjson.encode(pbform.decode(block))


def test_where_we_differ(kubo: KuboRepository, tmp_path: Path) -> None:
    """Kubo loses that a number was a float; the specification asks for `1.0`, which Kubo reads as we do."""
    stored = put(kubo, tmp_path, [dagcbor.encode(1.0)], "dag-cbor", "dag-json")[0]
    assert kubo.run("block", "get", stored) == b"1"
    assert dagjson.encode(1.0) == b"1.0"
    again = put(kubo, tmp_path, [b"1.0"], "dag-json", "dag-cbor")[0]
    assert again == cids.to_text(cids.of(cids.DAG_CBOR, dagcbor.encode(1.0)))
    for number in (INT_MAX, INT_MIN):  # Kubo's integers have 64 bits with their sign
        with pytest.raises(RuntimeError):
            put(kubo, tmp_path, [dagjson.encode(number)], "dag-json", "dag-cbor")


@pytest.mark.parametrize(
    "block",
    [
        b"", b"1 2", b"[1", b'{"a":1,"a":1}', b"NaN", b"1e999", b'"\x01"', b'{"/":"foo"}', b'{"/":{"bytes":"A A"}}',
        b"\xef\xbb\xbf1", b"1" * 30, b"{1:1}", b"'a'",
    ],
)  # fmt: skip
def test_what_kubo_refuses_we_refuse(kubo: KuboRepository, tmp_path: Path, block: bytes) -> None:
    with pytest.raises(ValueError):
        dagjson.decode(block)
    with pytest.raises(RuntimeError):
        put(kubo, tmp_path, [block], "dag-json", "dag-cbor")


async def test_paths_end_where_kubo_says_they_end(kubo: KuboRepository, tmp_path: Path) -> None:
    blocks = MemoryBlocks()
    folder = blocks.folder({"sub/file.txt": b"x"})
    leaf = dagjson.encode({"hello": [1, "two"]})
    leaf_cid = cids.of(cids.DAG_JSON, leaf)
    blocks.add(leaf_cid, leaf)
    top = dagcbor.encode({"a": [Link(leaf_cid), {"f": Link(folder)}], "é": {"n": None}})
    top_cid = cids.of(cids.DAG_CBOR, top)
    blocks.add(top_cid, top)
    archive = tmp_path / "all.car"
    archive.write_bytes(car.header([top_cid]) + b"".join(car.frame(cid, block) for cid, block in blocks.data.items()))
    kubo.run("dag", "import", "--pin-roots=false", str(archive))
    tree = Tree(blocks, cache_bytes=1 << 20)
    for path in ("", "a", "a/0", "a/0/hello", "a/0/hello/1", "a/1/f", "a/1/f/sub", "a/1/f/sub/file.txt", "é", "é/n"):
        said = json.loads(kubo.run("dag", "resolve", "--enc=json", f"{cids.to_text(top_cid)}/{path}".rstrip("/")))
        resolved = await tree.resolve(top_cid, [part.encode() for part in path.split("/") if part], public=False)
        assert resolved is not None
        rest = b"/".join(resolved.rest).decode()
        assert (cids.to_text(resolved.cid), rest) == (said["Cid"]["/"], said["RemPath"].strip("/")), path
    for path in ("b", "a/2", "a/x", "a/0/bye", "a/1/f/none", "é/n/x"):
        assert await tree.resolve(top_cid, [part.encode() for part in path.split("/")], public=False) is None
        with pytest.raises(RuntimeError):
            kubo.run("dag", "resolve", f"{cids.to_text(top_cid)}/{path}")


async def test_a_tar_holds_what_kubos_holds(kubo: KuboRepository, tmp_path: Path) -> None:
    blocks = MemoryBlocks()
    root = blocks.folder(
        {
            "a/b/file": b"x" * 3_000_000,
            "ą/ę/źł.txt": b"utf-8",
            "n" * 200: b"long",
            "empty": b"",
            "link": blocks.symlink(b"a/b/file"),
        }
    )
    old = dagpb.encode_node([dagpb.Link(blocks.file(b"old").cid, b"../file", 3)], b"\x08\x01")
    inner = cids.of(cids.DAG_PB, old)
    blocks.add(inner, old)
    outer_block = dagpb.encode_node([dagpb.Link(inner, b"d", 1), dagpb.Link(root, b"r", 1)], b"\x08\x01")
    outer = cids.of(cids.DAG_PB, outer_block)
    blocks.add(outer, outer_block)
    archive = tmp_path / "all.car"
    archive.write_bytes(car.header([outer]) + b"".join(car.frame(cid, block) for cid, block in blocks.data.items()))
    kubo.run("dag", "import", "--pin-roots=false", str(archive))
    kubo.run("get", "--archive", "--output", str(tmp_path / "kubo.tar"), cids.to_text(outer))
    tree = Tree(blocks, cache_bytes=1 << 20)
    found = await tree.find(outer, (), public=False)
    assert found is not None
    stream = await tars.tar(tree, found, public=False)
    ours = members(b"".join([piece async for piece in stream()]))
    assert ours == members((tmp_path / "kubo.tar").read_bytes())
    assert len(ours) == 13


def members(data: bytes) -> dict[str, tuple[bytes, int, bytes | str]]:
    """Type, permissions, and content or target, by name."""
    found: dict[str, tuple[bytes, int, bytes | str]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            found[member.name] = (member.type, member.mode, content.read() if content else member.linkname)
    return found
