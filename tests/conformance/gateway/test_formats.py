"""Blocks of data and TAR archives over HTTP (https://specs.ipfs.tech/http-gateways/path-gateway/, IPIP-0524)."""

from __future__ import annotations

import io
import re
import tarfile
import time

import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor, dagjson, dagpb
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import Link, Value
from tests.support.gateway import Served, text_of

HOST = "127.0.0.1"
NATIVE = {
    "json": dagjson.JSON,
    "cbor": dagjson.CBOR,
    "dag-json": cids.DAG_JSON,
    "dag-cbor": cids.DAG_CBOR,
}
TYPES = {
    "json": "application/json",
    "cbor": "application/cbor",
    "dag-json": "application/vnd.ipld.dag-json",
    "dag-cbor": "application/vnd.ipld.dag-cbor",
}
VALUE: Value = {"n": 1, "text": "some text that is longer than ten bytes"}
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def add(gateway: Served, codec: int, block: bytes) -> CID:
    cid = cids.of(codec, block)
    gateway.blocks.add(cid, block)
    gateway.blocks.publish()
    return cid


def put(gateway: Served, name: str, value: Value = VALUE) -> CID:
    return add(gateway, NATIVE[name], dagjson.encode_block(NATIVE[name], value))


@pytest.mark.parametrize("name", NATIVE)
def test_a_block_of_data_comes_as_it_is(gateway: Served, name: str) -> None:
    cid = put(gateway, name)
    answer = gateway.ask(HOST, f"/ipfs/{text_of(cid)}")
    extension, placement = (".json", "inline") if "json" in name else (".cbor", "attachment")
    assert (answer.status, answer.body) == (200, gateway.blocks.data[cid])
    assert answer.headers["content-type"] == TYPES[name]
    assert answer.headers["content-disposition"] == f'{placement}; filename="{text_of(cid)}{extension}"'
    assert answer.headers["etag"] == f'"{text_of(cid)}.{name}"'
    assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{text_of(cid)}"
    assert answer.headers["x-ipfs-roots"] == text_of(cid)
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize("by_accept", [False, True], ids=["format", "Accept"])
@pytest.mark.parametrize("asked", NATIVE)
@pytest.mark.parametrize("name", [*NATIVE, "raw", "dag-pb"])
def test_a_block_is_relabelled_or_406_and_never_converted(
    gateway: Served, name: str, asked: str, by_accept: bool
) -> None:
    if name in NATIVE:
        cid = put(gateway, name)
    else:
        block = b'{"a": 1}' if name == "raw" else dagpb.encode_node([], b"\x08\x02\x12\x02{}\x18\x02")
        cid = add(gateway, cids.RAW if name == "raw" else cids.DAG_PB, block)
    path = f"/ipfs/{text_of(cid)}"
    answer = gateway.ask(HOST, path, Accept=TYPES[asked]) if by_accept else gateway.ask(HOST, f"{path}?format={asked}")
    if asked == name or asked == name.removeprefix("dag-"):
        assert (answer.status, answer.body) == (200, gateway.blocks.data[cid])
        assert answer.headers["content-type"] == TYPES[asked]
        assert answer.headers["etag"] == f'"{text_of(cid)}.{asked}"'
    elif name in ("raw", "dag-pb") and asked in ("json", "cbor"):
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), "the file itself"
    else:
        assert answer.status == 406
        assert b"?format=raw" in answer.body


def test_the_visitor_names_and_saves_files(gateway: Served) -> None:
    path = f"/ipfs/{text_of(put(gateway, 'dag-json'))}"
    named = gateway.ask(HOST, f"{path}?filename=t%D0%B5%D1%81%D1%82%22%0d%0aset-cookie:%20x.json")
    assert "set-cookie" not in named.headers
    assert re.fullmatch(
        r'inline; filename="[ -~]+"; filename\*=UTF-8\'\'[A-Za-z0-9%._~-]+', named.headers["content-disposition"]
    )
    saved = gateway.ask(HOST, f"{path}?filename=a.json&download=true", Accept=BROWSER)
    assert saved.headers["content-disposition"] == 'attachment; filename="a.json"'
    assert saved.headers["content-type"] == TYPES["dag-json"], "no page when it is to be saved"


@pytest.mark.parametrize("name", NATIVE)
def test_validators_ranges_and_head_count(gateway: Served, name: str) -> None:
    cid = put(gateway, name)
    path, block = f"/ipfs/{text_of(cid)}", gateway.blocks.data[cid]
    etag = f'"{text_of(cid)}.{name}"'
    head = gateway.ask(HOST, path, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(block)))
    same = gateway.ask(HOST, path, If_None_Match=f'"x", W/{etag}')
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
    assert gateway.ask(HOST, path, If_None_Match=f'"{text_of(cid)}"').status == 200
    assert gateway.ask(HOST, path, If_Match='"x"').status == 412
    part = gateway.ask(HOST, path, Range="bytes=1-3")
    assert (part.status, part.body, part.headers["content-range"]) == (206, block[1:4], f"bytes 1-3/{len(block)}")
    several = gateway.ask(HOST, path, Range="bytes=7-9,1-3")
    assert several.status == 206
    assert f"Content-Type: {TYPES[name]}\r\nContent-Range: bytes 7-9/{len(block)}\r\n\r\n".encode() in several.body
    assert gateway.ask(HOST, path, Range=f"bytes={len(block)}-").status == 416


@pytest.mark.parametrize("name", ["dag-json", "dag-cbor"])
def test_paths_lead_through_links_and_not_into_blocks(gateway: Served, name: str) -> None:
    folder = gateway.blocks.folder({"sub/file.txt": b"at the end"})
    last = put(gateway, name, {"hello": "this is not a link"})
    middle = put(gateway, name, {"bar": Link(last), "list": [Link(folder), None]})
    path = f"/ipfs/{text_of(put(gateway, name, {'foo': {'link': Link(middle), 'object': {'a b': 10}}}))}"
    reached = gateway.ask(HOST, f"{path}/foo/link/bar")
    assert (reached.status, reached.body) == (200, gateway.blocks.data[last])
    assert reached.headers["x-ipfs-path"] == f"{path}/foo/link/bar"
    assert reached.headers["x-ipfs-roots"].endswith(text_of(last))
    behind = gateway.ask(HOST, f"{path}/foo/link/list/0/sub/file.txt")
    assert (behind.body, behind.headers["content-type"]) == (b"at the end", "text/plain; charset=utf-8")
    assert behind.headers["x-ipfs-path"] == f"{path}/foo/link/list/0/sub/file.txt"
    roots = behind.headers["x-ipfs-roots"].split(",")
    assert (f"/ipfs/{roots[0]}", roots[1], roots[2], len(roots)) == (path, text_of(middle), text_of(folder), 5)
    listed = gateway.ask(HOST, f"{path}/foo/link/list/0/sub/")
    assert f'href="{path}/foo/link/list/0/sub/file.txt"'.encode() in listed.body
    moved = gateway.ask(HOST, f"{path}/foo/link/list/0/sub")
    assert (moved.status, moved.headers["location"]) == (301, f"{path}/foo/link/list/0/sub/")
    archive = gateway.ask(HOST, f"{path}/foo/link/list/0?format=tar")
    assert (archive.status, archive.headers["etag"]) == (200, f'W/"{text_of(folder)}.x-tar"')
    assert gateway.ask(HOST, f"{path}/foo/link/list/0/none").status == 404
    for inside in ("foo", "foo/object", "foo/object/a%20b", "foo/link/list", "foo/link/list/1", "foo/link/bar/hello"):
        for query in ("", f"?format={name}", f"?format={name.removeprefix('dag-')}"):
            assert gateway.ask(HOST, f"{path}/{inside}{query}").status == 501
    for nothing in ("x", "foo/x", "foo/object/a%20b/c", "foo/link/list/2", "foo/link/list/-1", "foo/link/bar/x"):
        for query in ("", f"?format={name}", "?format=raw"):
            assert gateway.ask(HOST, f"{path}/{nothing}{query}").status == 404


def test_a_directory_may_hold_blocks_of_data(gateway: Served) -> None:
    inner = put(gateway, "dag-cbor", {"next": Link(put(gateway, "dag-json", {"x": 1}))})
    block = dagpb.encode_node([dagpb.Link(inner, b"data", 1)], b"\x08\x01")
    path = f"/ipfs/{text_of(add(gateway, cids.DAG_PB, block))}"
    assert gateway.ask(HOST, f"{path}/data").headers["content-type"] == TYPES["dag-cbor"]
    assert gateway.ask(HOST, f"{path}/data/next").body == b'{"x":1}'
    assert gateway.ask(HOST, f"{path}/?format=tar").status == 406


def test_what_is_not_public_is_not_there(gateway: Served) -> None:
    block = dagjson.encode({"secret": "of a project"})
    cid = cids.of(cids.DAG_JSON, block)
    gateway.blocks.add(cid, block)
    path = f"/ipfs/{text_of(put(gateway, 'dag-json', {'a': Link(cid)}))}"
    gateway.blocks.public.discard(cid)
    for query in ("", "?format=dag-json", "?format=raw"):
        assert gateway.ask(HOST, f"/ipfs/{text_of(cid)}{query}").status == 404
        assert gateway.ask(HOST, f"{path}/a{query}").status == 404
        assert gateway.ask(HOST, f"{path}/a/secret{query}").status == 404
    assert b"of a project" not in gateway.ask(HOST, f"/ipfs/{text_of(cid)}/", Accept=BROWSER).body


# --- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dag-json", "dag-cbor"])
def test_people_see_a_page(gateway: Served, name: str) -> None:
    target = put(gateway, "dag-json", {})
    cid = put(gateway, name, {"a": [1.5, b"\x00\xff", None, Link(target)], "é": "<b>", "empty": {}})
    answer = gateway.ask(HOST, f"/ipfs/{text_of(cid)}/", Accept=BROWSER)
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["etag"] == f'"DagIndex-1_CID-{text_of(cid)}"'
    assert answer.headers["cache-control"] == "public, max-age=604800, stale-while-revalidate=2678400"
    assert "content-disposition" not in answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for shown in ("/a/0", "1.5", "00ff", "/é", "&lt;b&gt;", f'href="/ipfs/{text_of(target)}"', f"?format={name}"):
        assert shown in page
    again = gateway.ask(HOST, f"/ipfs/{text_of(cid)}/", Accept=BROWSER, If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    own = gateway.ask(f"{text_of(cid)}.ipfs.localhost:{gateway.port}", "/", Accept=BROWSER)
    assert f'href="//localhost:{gateway.port}/ipfs/{text_of(target)}"' in own.body.decode()


@pytest.mark.parametrize("name", ["json", "cbor"])
def test_plain_data_has_no_page(gateway: Served, name: str) -> None:
    cid = put(gateway, name)
    assert gateway.ask(HOST, f"/ipfs/{text_of(cid)}/", Accept=BROWSER).headers["content-type"] == TYPES[name]


HOSTILE = {
    "script": dagjson.encode({'"><script>alert(1)</script>': "</td><script>alert(2)</script>"}),
    "controls": dagjson.encode({"\u202e\x00\x1b": "\u202e\x00\x1b"}),
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep but allowed": b'{"' + b"k" * 2_000 + b'":' + b"[" * 200 + b"1" + b"]" * 200 + b"}",
    "many values": b"[" + b"1," * 100_000 + b"1]",
    "long key, many children": b'{"' + b"k" * 60_000 + b'":[' + b"1," * 60_000 + b"1]}",
    "large": b'"' + b"x" * 1_000_000 + b'"',
    "not dag-json": b'{"a":1,"a":2}',
    "no text": b"\xff\xfe\x00",
    "empty": b"",
}


@pytest.mark.parametrize("block", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_block_makes_a_harmless_page_and_is_itself_when_fetched(gateway: Served, block: bytes) -> None:
    path = f"/ipfs/{text_of(add(gateway, cids.DAG_JSON, block))}"
    started = time.monotonic()
    page = gateway.ask(HOST, f"{path}/", Accept=BROWSER)
    assert page.status == 200
    assert time.monotonic() - started < 2
    assert len(page.body) < 1_000_000
    assert b"<script" not in page.body
    assert not re.search(rb"[\x00\x1b]|\xe2\x80\xae", page.body)
    assert gateway.ask(HOST, path).body == block
    below = gateway.ask(HOST, f"{path}/a/b")
    assert below.status in (404, 406)


def test_a_hostile_dag_cbor_block_likewise(gateway: Served) -> None:
    for block in (b"\x81" * 100_000 + b"\x00", b"\x9a\x00\x1e\x84\x80" + b"\x80" * 2_000_000, b"\x9b" + b"\xff" * 8):
        path = f"/ipfs/{text_of(add(gateway, cids.DAG_CBOR, block))}"
        assert gateway.ask(HOST, f"{path}/", Accept=BROWSER).status == 200
        assert gateway.ask(HOST, f"{path}/a/b").status in (404, 406)
        assert gateway.ask(HOST, path).body == block


def test_links_in_a_circle_of_names_end(gateway: Served) -> None:
    """Blocks cannot form a circle; a path may still be as long as an address can be."""
    cid = put(gateway, "dag-cbor", {"end": True})
    for _ in range(150):
        cid = put(gateway, "dag-cbor", {"n": Link(cid)})
    assert gateway.ask(HOST, f"/ipfs/{text_of(cid)}" + "/n" * 100).status == 200
    assert gateway.ask(HOST, f"/ipfs/{text_of(cid)}" + "/n" * 150).status == 414


# --- TAR -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_fetched_as_a_tar(gateway: Served) -> None:
    root = gateway.blocks.folder({"a/b.txt": b"content", "c": b"x" * 3_000})
    gateway.blocks.publish()
    for path, name in (("", text_of(root)), ("/a/b.txt", text_of(gateway.blocks.file(b"content").cid))):
        for answer in (
            gateway.ask(HOST, f"/ipfs/{text_of(root)}{path}?format=tar"),
            gateway.ask(HOST, f"/ipfs/{text_of(root)}{path}", Accept="application/x-tar"),
        ):
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/x-tar"
            assert answer.headers["etag"] == f'W/"{name}.x-tar"'
            assert answer.headers["content-disposition"] == f'attachment; filename="{name}.tar"'
            with tarfile.open(fileobj=io.BytesIO(answer.body)) as opened:
                members = opened.getnames()
            assert members[0] == name
            assert (f"{name}/a/b.txt" in members) == (not path)
    head = gateway.ask(HOST, f"/ipfs/{text_of(root)}?format=tar", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    same = gateway.ask(HOST, f"/ipfs/{text_of(root)}?format=tar", If_None_Match=f'"{text_of(root)}.x-tar"')
    assert same.status == 304
    named = gateway.ask(HOST, f"/ipfs/{text_of(root)}?format=tar&filename=test%D1%82%D0%B5%D1%81%D1%82.tar")
    assert named.headers["content-disposition"] == (
        "attachment; filename=\"test____.tar\"; filename*=UTF-8''test%D1%82%D0%B5%D1%81%D1%82.tar"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_tar_that_would_reach_out_is_refused_before_it_begins(gateway: Served, method: str) -> None:
    leaf = gateway.blocks.file(b"x").cid
    up = gateway.blocks.symlink(b"../../etc/passwd").cid
    for name, cid in ((b"../foo", leaf), (b"/etc/cron.d/x", leaf), (b"up", up)):
        root = add(gateway, cids.DAG_PB, dagpb.encode_node([dagpb.Link(cid, name, 1)], b"\x08\x01"))
        answer = gateway.ask(HOST, f"/ipfs/{text_of(root)}?format=tar", method=method)
        assert answer.status == 406
        assert b"format=car" in answer.body or method == "HEAD"


def test_a_tar_that_breaks_off_does_not_look_whole(gateway: Served) -> None:
    gone = cids.of(cids.RAW, b"not here")
    block = dagpb.encode_node([dagpb.Link(gone, b"x", 1)], b"\x08\x01")
    root = add(gateway, cids.DAG_PB, block)
    received = gateway.exchange(
        f"GET /ipfs/{text_of(root)}?format=tar HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    )
    assert received.startswith(b"HTTP/1.1 200 ")
    assert not received.endswith(b"0\r\n\r\n")


def test_dag_cbor_and_dag_json_of_one_value_are_two_blocks(gateway: Served) -> None:
    assert dagcbor.decode(gateway.blocks.data[put(gateway, "dag-cbor")]) == VALUE
    assert dagjson.decode(gateway.blocks.data[put(gateway, "dag-json")]) == VALUE
