"""Trustless gateway: single blocks and how a form is asked for (https://specs.ipfs.tech/http-gateways/trustless-gateway/,
IPIP-0412, IPIP-0523), and hostile CIDs and paths."""

from __future__ import annotations

import email
from urllib.parse import quote

import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, unixfs
from tests.support.gateway_specs import (
    CAR,
    IMMUTABLE,
    RAW,
    Content,
    identity,
    same_headers,
)

BLOCK = bytes(range(200))


@pytest.fixture(scope="module")
def leaf(specs: Content) -> cids.CID:
    return specs.put(cids.RAW, BLOCK)


# --- asking for a form (Accept and format; IPIP-0523) --------------------


@pytest.mark.parametrize(
    "query, accept, expected",
    [
        ("?format=raw", None, RAW),
        ("", RAW, RAW),
        ("?format=raw", CAR, RAW),
        ("?format=car", RAW, CAR),
        ("?format=raw", "text/html", RAW),
        ("?format=raw", "application/vnd.ipld.dag-json", RAW),
        ("?format=", RAW, RAW),
        ("", f"text/html, {RAW};q=0.9, */*;q=0.8", RAW),
        ("", f"{RAW} ; q=1", RAW),
        ("", RAW.upper(), RAW),
        ("?format=raw&format=car", None, RAW),
        ("", "*/*", "application/octet-stream"),
        ("", "text/html,*/*;q=0.1", "application/octet-stream"),
        ("", "application/vnd.ipld.unknown", "application/octet-stream"),
    ],
)
def test_format_is_asked_for_by_accept_and_the_parameter_wins(
    specs: Content, leaf: cids.CID, query: str, accept: str | None, expected: str
) -> None:
    path = f"/ipfs/{cids.to_text(leaf)}"
    specs.ask(path)  # the plain answer is in the cache now, and must not answer for other forms
    answer = specs.ask(path + query, **({} if accept is None else {"Accept": accept}))
    assert answer.status == 200
    assert answer.headers["content-type"].partition(";")[0] == expected


@pytest.mark.parametrize("value", ["zip", "RAW", "raw ", "vnd.ipld.raw", "%00", "raw%0d%0a", "../raw", "1"])
def test_an_unknown_format_is_400(specs: Content, leaf: cids.CID, value: str) -> None:
    assert specs.ask(f"/ipfs/{cids.to_text(leaf)}?format={quote(value, safe='%')}").status == 400


@pytest.mark.parametrize(
    "accept",
    [",", ";", ",,,;;;=", "a" * 4_000, f"{RAW};" * 500, "\xff\xfe", f'{RAW};"', "/", "*", '";"', "application/"],
)
def test_a_malformed_accept_is_never_an_error_of_ours(specs: Content, leaf: cids.CID, accept: str) -> None:
    answer = specs.ask(f"/ipfs/{cids.to_text(leaf)}", Accept=accept)
    assert (answer.status, answer.body) == (200, BLOCK)


def test_json_asked_for_a_raw_block_that_is_no_json_is_the_file(specs: Content, leaf: cids.CID) -> None:
    """IPIP-0524: a UnixFS file is what it is, whatever generic type was asked for."""
    assert specs.ask(f"/ipfs/{cids.to_text(leaf)}", Accept="application/json").body == BLOCK


# --- a raw block (§Block responses) --------------------


@pytest.mark.parametrize("by_accept", [False, True], ids=["format", "Accept"])
@pytest.mark.parametrize("shape", ["leaf", "directory", "file in a directory", "HAMT entry", "dag-cbor", "version 0"])
def test_a_raw_block_proves_its_cid_and_says_what_it_is(specs: Content, shape: str, by_accept: bool) -> None:
    root, below = specs.folder({"a.txt": b"text a", "b/c.txt": b"text c"}), ""
    wanted = root
    if shape == "leaf":
        root = wanted = specs.put(cids.RAW, BLOCK)
    elif shape == "file in a directory":
        below, wanted = "/b/c.txt", cids.of(cids.RAW, b"text c")
    elif shape == "HAMT entry":
        from tests.support.gateway_specs import SHARDED

        root = specs.folder({f"name {number}": b"entry %d" % number for number in range(50)}, SHARDED)
        below, wanted = "/name%2017", cids.of(cids.RAW, b"entry 17")
    elif shape == "dag-cbor":
        root = wanted = specs.put(cids.DAG_CBOR, b"\xa1\x61a\x01")
    elif shape == "version 0":
        root = wanted = specs.folder({"old": b"old"}, unixfs.PROFILES["v0-2015"])
    path, text = f"/ipfs/{cids.to_text(root)}{below}", cids.to_text(wanted)
    ask = {"Accept": RAW} if by_accept else {}
    answer = specs.ask(path + ("" if by_accept else "?format=raw"), **ask)
    assert answer.status == 200
    assert cids.verify(wanted, answer.body)
    assert answer.headers["content-type"] == RAW
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["content-disposition"] == f'attachment; filename="{text}.bin"'
    assert answer.headers["etag"] == f'"{text}.raw"'
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-ipfs-path"] == path
    assert answer.headers["x-ipfs-roots"].split(",")[0] == cids.to_text(root)
    assert answer.headers["x-ipfs-roots"].split(",")[-1] == text


def test_head_is_get_without_its_body(specs: Content, leaf: cids.CID) -> None:
    for query in ("?format=raw", "?format=car", ""):
        path = f"/ipfs/{cids.to_text(leaf)}{query}"
        get, head = specs.ask(path), specs.ask(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert same_headers(get, head)


def test_the_client_may_name_the_file(specs: Content, leaf: cids.CID) -> None:
    answer = specs.ask(f"/ipfs/{cids.to_text(leaf)}?format=raw&filename=%C3%BC.bin")
    assert answer.headers["content-disposition"] == "attachment; filename=\"_.bin\"; filename*=UTF-8''%C3%BC.bin"


@pytest.mark.parametrize(
    "value, start, stop",
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=190-", 190, 200), ("bytes=-7", 193, 200)],
)
def test_a_raw_block_in_part(specs: Content, leaf: cids.CID, value: str, start: int, stop: int) -> None:
    answer = specs.ask(f"/ipfs/{cids.to_text(leaf)}?format=raw", Range=value)
    assert (answer.status, answer.body) == (206, BLOCK[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/200"
    assert answer.headers["content-type"] == RAW


def test_a_raw_block_in_several_parts(specs: Content, leaf: cids.CID) -> None:
    answer = specs.ask(f"/ipfs/{cids.to_text(leaf)}?format=raw", Range="bytes=0-9,100-104,-3")
    assert answer.status == 206
    parsed = email.message_from_bytes(
        b"content-type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body
    )
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    got = [(str(part["content-range"]), part.get_payload(decode=True)) for part in parts]  # type: ignore[union-attr]
    assert got == [
        ("bytes 0-9/200", BLOCK[:10]),
        ("bytes 100-104/200", BLOCK[100:105]),
        ("bytes 197-199/200", BLOCK[-3:]),
    ]


HOSTILE_RANGES = [
    "bytes=0-0," * 5_000 + "0-0",
    "bytes=0-199,0-199",
    "bytes=199-0",
    "bytes=0-" + "9" * 400,
    "bytes=" + "9" * 18 + "-",
    "bytes=--5",
    "bytes=0x1-2",
    "bytes=\xb2-\xb3",
    "octets=0-1",
    "bytes",
    "bytes=,",
    "bytes=0-1;2-3",
]


@pytest.mark.parametrize("value", HOSTILE_RANGES, ids=lambda value: value[:20])
@pytest.mark.parametrize("query", ["", "?format=raw"])
def test_a_hostile_range_gets_the_whole_or_416_and_never_more(
    specs: Content, leaf: cids.CID, query: str, value: str
) -> None:
    answer = specs.ask(f"/ipfs/{cids.to_text(leaf)}{query}", Range=value)
    assert answer.status in (200, 416)
    assert len(answer.body) <= 200
    if answer.status == 200:
        assert answer.body == BLOCK


def test_an_identity_cid_is_its_own_block(specs: Content) -> None:
    """§Block responses: the block need not be fetched from anywhere."""
    cid = identity(cids.RAW, b"inside of the CID")
    for query in ("", "?format=raw"):
        assert specs.ask(f"/ipfs/{cids.to_text(cid)}{query}").body == b"inside of the CID"
    shown = identity(cids.DAG_PB, dagpb.encode_node([], b"\x08\x01"))
    assert specs.ask(f"/ipfs/{cids.to_text(shown)}?format=raw").body == dagpb.encode_node([], b"\x08\x01")


def test_the_probe_of_the_empty_identity_block(specs: Content) -> None:
    """§Dedicated probe paths: ``bafkqaaa`` is always there."""
    for method in ("GET", "HEAD"):
        answer = specs.ask("/ipfs/bafkqaaa?format=raw", method=method)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", RAW)
    assert specs.ask("/ipfs/bafkqaaa?format=car").status == 200
