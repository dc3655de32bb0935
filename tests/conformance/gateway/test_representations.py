"""Methods, validators, ranges, types, encodings (RFC 9110), and files of many blocks."""

from __future__ import annotations

import email
import gzip
import hashlib

import brotli
import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from tests.support.gateway import BLOB, CHUNKED, OLD, SCRIPT, Served, text_of

# --- methods ---------------------------------------------------------------------------------------------------------


def test_head_is_get_without_the_body(gateway: Served, site: str) -> None:
    for path in ("/blob.bin", "/chunked.bin", "/nope", "/empty.txt"):
        get, head = gateway.ask(site, path), gateway.ask(site, path, method="HEAD")
        get.headers.pop("x-request-id"), head.headers.pop("x-request-id")
        get.headers.pop("date"), head.headers.pop("date")
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


def test_content_is_read_only(gateway: Served, site: str) -> None:
    answer = gateway.ask(site, "/blob.bin", method="DELETE")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert gateway.ask(site, "/blob.bin", method="OPTIONS").status == 204


# --- conditional requests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",W/{} ', "*", '"a,b", {}'])
def test_a_matching_if_none_match_is_304_without_entity_headers(gateway: Served, site: str, form: str) -> None:
    etag = gateway.ask(site, "/blob.bin").headers["etag"]
    answer = gateway.ask(site, "/blob.bin", If_None_Match=form.format(etag))
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert not {"content-length", "content-type"} & answer.headers.keys()
    assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"


@pytest.mark.parametrize("value", ['"other"', "W/", "{bare}", '"other", W/"more"', ""])
def test_another_if_none_match_gets_the_file(gateway: Served, site: str, value: str) -> None:
    etag = gateway.ask(site, "/blob.bin").headers["etag"]
    assert gateway.ask(site, "/blob.bin", If_None_Match=value.format(bare=etag.strip('"'))).status == 200


def test_if_match_compares_strongly(gateway: Served, site: str) -> None:
    etag = gateway.ask(site, "/blob.bin").headers["etag"]
    assert gateway.ask(site, "/blob.bin", If_Match=etag).status == 200
    assert gateway.ask(site, "/blob.bin", If_Match="*").status == 200
    assert gateway.ask(site, "/blob.bin", If_Match="W/" + etag).status == 412
    assert gateway.ask(site, "/blob.bin", If_Match='"old"').status == 412


def test_if_modified_since_is_ignored(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "/blob.bin", If_Modified_Since="Sat, 29 Oct 2050 19:43:31 GMT").status == 200


# --- ranges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/blob.bin", "/chunked.bin"])
@pytest.mark.parametrize(
    "value, start, stop",
    [
        ("bytes=0-0", 0, 1),
        ("bytes=999-2001", 999, 2002),
        ("bytes=10000-", 10_000, 10_240),
        ("bytes=-5", 10_235, 10_240),
        ("bytes=-99999", 0, 10_240),
        ("bytes=1000-99999", 1_000, 10_240),
        ("bytes=0-9,20000-", 0, 10),
    ],
)
def test_one_range(gateway: Served, site: str, path: str, value: str, start: int, stop: int) -> None:
    answer = gateway.ask(site, path, Range=value)
    assert (answer.status, answer.body) == (206, BLOB[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/10240"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("path", ["/blob.bin", "/chunked.bin"])
def test_several_ranges_are_multipart(gateway: Served, site: str, path: str) -> None:
    answer = gateway.ask(site, path, Range="bytes=5000-5002, 0-1, -3")
    assert answer.status == 206
    assert int(answer.headers["content-length"]) == len(answer.body)
    document = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n" + answer.body
    parts = email.message_from_bytes(document).get_payload()
    assert isinstance(parts, list)
    found = [(part["content-range"], part.get_payload(decode=True)) for part in parts]  # type: ignore[union-attr]
    assert found == [
        ("bytes 5000-5002/10240", BLOB[5000:5003]),
        ("bytes 0-1/10240", BLOB[:2]),
        ("bytes 10237-10239/10240", BLOB[-3:]),
    ]


@pytest.mark.parametrize("value", ["bytes=10240-", "bytes=-0", "bytes=99999-100000"])
def test_ranges_outside_are_416(gateway: Served, site: str, value: str) -> None:
    answer = gateway.ask(site, "/blob.bin", Range=value)
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */10240")


@pytest.mark.parametrize(
    "value",
    [
        "bytes=0-5,3-9",
        "bytes=" + ",".join(f"{n * 2}-{n * 2}" for n in range(17)),
        "bytes=5-2",
        "bytes=a-b",
        "lines=1-2",
        "bytes=",
        "bytes=-",
        "bytes=1",
    ],
)
def test_odd_or_greedy_ranges_get_the_whole_file(gateway: Served, site: str, value: str) -> None:
    answer = gateway.ask(site, "/blob.bin", Range=value)
    assert (answer.status, answer.body) == (200, BLOB)


def test_if_range(gateway: Served, site: str) -> None:
    etag = gateway.ask(site, "/blob.bin").headers["etag"]
    assert gateway.ask(site, "/blob.bin", Range="bytes=0-1", If_Range=etag).status == 206
    for other in ('"old"', "W/" + etag, "Sat, 29 Oct 2050 19:43:31 GMT"):
        assert gateway.ask(site, "/blob.bin", Range="bytes=0-1", If_Range=other).status == 200


# --- types and encodings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, content, expected",
    [
        ("a.html", b"x", "text/html; charset=utf-8"),
        ("a.mjs", b"x", "text/javascript; charset=utf-8"),
        ("a.wasm", b"x", "application/wasm"),
        ("a.avif", b"x", "image/avif"),
        ("a.WEBMANIFEST", b"{}", "application/manifest+json; charset=utf-8"),
        ("noext", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("noext", b"<!DOCTYPE html><p>", "text/html; charset=utf-8"),
        ("noext", "täxt".encode(), "text/plain; charset=utf-8"),
        ("noext", b"\x00\x01\x02", "application/octet-stream"),
    ],
)
def test_content_types(gateway: Served, name: str, content: bytes, expected: str) -> None:
    gateway.bind("types", gateway.blocks.folder({name: content}))
    assert gateway.ask("types.localhost", "/" + name).headers["content-type"] == expected


def test_text_is_compressed_as_the_client_likes_it(gateway: Served, site: str) -> None:
    plain = gateway.twice(site, "/app.js")
    assert (plain.body, plain.headers["vary"]) == (SCRIPT, "accept-encoding")
    assert "content-encoding" not in plain.headers
    packed = gateway.twice(site, "/app.js", Accept_Encoding="gzip, deflate, br, zstd")
    assert packed.headers["content-encoding"] == "br"
    assert brotli.decompress(packed.body) == SCRIPT
    zipped = gateway.twice(site, "/app.js", Accept_Encoding="br;q=0.5, gzip;q=0.9")
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == SCRIPT
    assert len({plain.headers["etag"], packed.headers["etag"], zipped.headers["etag"]}) == 3
    assert gateway.ask(site, "/app.js", Accept_Encoding="br;q=0, *;q=0").body == SCRIPT


def test_each_encoding_is_validated_by_its_own_etag(gateway: Served, site: str) -> None:
    plain = gateway.ask(site, "/app.js").headers["etag"]
    packed = gateway.ask(site, "/app.js", Accept_Encoding="br").headers["etag"]
    assert gateway.ask(site, "/app.js", Accept_Encoding="br", If_None_Match=packed).status == 304
    assert gateway.ask(site, "/app.js", Accept_Encoding="br", If_None_Match=plain).status == 200


def test_ranges_are_of_the_file_itself_whatever_encoding_is_accepted(gateway: Served, site: str) -> None:
    answer = gateway.ask(site, "/app.js", Range="bytes=0-9", Accept_Encoding="br")
    assert (answer.status, answer.body) == (206, SCRIPT[:10])
    assert "content-encoding" not in answer.headers


def test_small_and_already_compressed_files_are_left_alone(gateway: Served, site: str) -> None:
    for path in ("/style.css", "/blob.bin"):
        answer = gateway.ask(site, path, Accept_Encoding="br, gzip")
        assert "content-encoding" not in answer.headers


def test_a_sibling_made_at_build_time_wins(gateway: Served, site: str) -> None:
    answer = gateway.twice(site, "/pre.js", Accept_Encoding="br")
    assert (answer.body, answer.headers["content-encoding"]) == (b"made at build time", "br")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["etag"] == f'"{text_of(cids.of(cids.RAW, b"made at build time"))}-br"'
    assert gateway.ask(site, "/pre.js").body == SCRIPT
    assert "content-encoding" not in gateway.ask(site, "/pre.js.br").headers


def test_large_text_is_compressed_once_for_many_clients(gateway: Served) -> None:
    text = b"a line of a large file\n" * 20_000
    gateway.bind("large", gateway.blocks.folder({"big.txt": text}))
    for _ in range(3):
        answer = gateway.ask("large.localhost", "/big.txt", Accept_Encoding="br")
        assert brotli.decompress(answer.body) == text


# --- files of many blocks, sharded directories, links ----------------------------------------------------------------


@pytest.mark.parametrize("profile", [CHUNKED, OLD], ids=lambda profile: profile.name)
def test_files_of_many_blocks_stream_whole(gateway: Served, profile: unixfs.Profile) -> None:
    content = hashlib.sha256(b"seed").digest() * 40_000
    gateway.bind("long", gateway.blocks.folder({"f.bin": gateway.blocks.file(content, profile)}))
    answer = gateway.ask("long.localhost", "/f.bin")
    assert answer.headers["content-length"] == str(len(content))
    assert answer.body == content
    assert gateway.twice("long.localhost", "/f.bin").body == content


def test_a_block_that_is_missing_in_the_middle_cuts_the_connection(gateway: Served) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(200_000))
    root = gateway.blocks.folder({"f.bin": gateway.blocks.file(content, CHUNKED)})
    gateway.bind("torn", root)
    del gateway.blocks.data[cids.of(cids.RAW, content[500_000:501_000])]
    received = gateway.exchange(b"GET /f.bin HTTP/1.1\r\nHost: torn.localhost\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")
    assert len(received) < 510_000
    assert b"HTTP/1.1 500" not in received


def test_a_sharded_directory_finds_every_name_and_lists_in_pages(gateway: Served) -> None:
    profile = unixfs.Profile(
        name="shards", chunk_bytes=1 << 20, max_links=1024, directory_max_bytes=1_000, directory_estimate="block"
    )
    root = gateway.blocks.folder({f"file-{number}.txt": b"%d" % number for number in range(1_500)}, profile)
    gateway.blocks.publish()
    gateway.bind("shards", root)
    for number in (0, 7, 777, 1_499):
        assert gateway.ask("shards.localhost", f"/file-{number}.txt").body == b"%d" % number
    assert gateway.ask("shards.localhost", "/file-1500.txt").status == 404
    host = f"{text_of(root)}.ipfs.localhost"
    names = set()
    for page in ("", "?page=2"):
        body = gateway.ask(host, "/" + page).body.decode()
        names |= {part.partition('"')[0] for part in body.split('class="name"><a href="/')[1:]}
    assert names == {f"file-{number}.txt" for number in range(1_500)}


def test_symlinks_are_followed_inside_the_root_only(gateway: Served) -> None:
    link = gateway.blocks.symlink
    root = gateway.blocks.folder(
        {
            "real/file.txt": b"real",
            "near": link(b"real/file.txt"),
            "real/up": link(b"../real/file.txt"),
            "dir": link(b"real"),
            "absolute": link(b"/real/file.txt"),
            "out": link(b"../../etc/passwd"),
            "loop": link(b"loop"),
            "dangling": link(b"nothing"),
        }
    )
    gateway.bind("links", root)
    for path in ("/near", "/real/up", "/dir/file.txt", "/absolute"):
        assert gateway.ask("links.localhost", path).body == b"real", path
    for path in ("/out", "/loop", "/dangling"):
        assert gateway.ask("links.localhost", path).status == 404, path
