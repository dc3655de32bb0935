"""Content over HTTP: the public gateway specs (https://specs.ipfs.tech/http-gateways/), RFC 9110, and our own
promises."""

from __future__ import annotations

import email
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest

from af.protocols import headers, redirects
from af.protocols.ipfs import car, unixfs
from af.protocols.ipfs import cid as cids
from tests.support.gateway import Served, served

BLOB = bytes(range(256)) * 40
SCRIPT = b"export const answer = 42;\n" * 200
CHUNKED = unixfs.Profile(name="test", chunk_bytes=1_000, max_links=3, directory_estimate="block")
OLD = unixfs.PROFILES["v0-2015"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def site(gateway: Served) -> str:
    root = gateway.blocks.folder(
        {
            "index.html": b"<h1>Home</h1>",
            "blob.bin": BLOB,
            "app.js": SCRIPT,
            "style.css": b"body{}",
            "pre.js": SCRIPT,
            "pre.js.br": b"made at build time",
            "docs/index.html": b"docs",
            "docs/deep/page.html": b"page",
            "docs/404.html": b"docs have no such page",
            "empty.txt": b"",
            "a b/\u00fc%41.txt": b"odd name",
            "404.html": b"not here",
            "chunked.bin": gateway.blocks.file(BLOB, CHUNKED),
        }
    )
    gateway.bind("demo", root)
    gateway.bind("aaaaaaaaaaaaaaaa--demo", root)
    return "demo.localhost"


def text_of(cid: cids.CID) -> str:
    return cids.to_text(cid)


# --- sites ---------------------------------------------------------------------------------------------------------


def test_a_file_is_served_with_its_cid_as_etag_and_its_place_in_ipfs(gateway: Served, site: str) -> None:
    answer = gateway.twice(site, "/blob.bin")
    assert (answer.status, answer.body) == (200, BLOB)
    leaf = text_of(cids.of(cids.RAW, BLOB))
    assert answer.headers["etag"] == f'"{leaf}"'
    assert answer.headers["x-ipfs-roots"].endswith("," + leaf)
    assert answer.headers["x-ipfs-path"].endswith("/blob.bin")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert "set-cookie" not in answer.headers


def test_every_answer_has_its_own_request_id_and_gives_back_the_callers(gateway: Served, site: str) -> None:
    ids = {gateway.ask(site, "/blob.bin").headers["x-request-id"] for _ in range(4)}
    assert len(ids) == 4
    assert gateway.ask(site, "/blob.bin", X_Request_Id="abc-123").headers["x-request-id"] == "abc-123"
    assert gateway.ask(site, "/blob.bin", X_Request_Id="a b").headers["x-request-id"] != "a b"


def test_a_deployments_own_address_never_changes_so_it_may_be_cached_for_ever(gateway: Served, site: str) -> None:
    answer = gateway.twice("aaaaaaaaaaaaaaaa--" + site, "/blob.bin")
    assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"


def test_directories_serve_their_index_and_redirect_to_the_trailing_slash(gateway: Served, site: str) -> None:
    assert gateway.twice(site, "/").body == b"<h1>Home</h1>"
    assert gateway.twice(site, "/docs/").body == b"docs"
    answer = gateway.ask(site, "/docs?a=1")
    assert (answer.status, answer.headers["location"]) == (301, "/docs/?a=1")


def test_no_path_makes_a_redirect_to_another_host(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "//docs").headers["location"] == "/docs/"
    assert gateway.ask(site, "//evil.example/..%2fdocs").status == 400


def test_names_with_spaces_percent_signs_and_other_scripts_are_reachable(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "/a%20b/%C3%BC%2541.txt").body == b"odd name"
    assert "%20b/%C3%BC%2541.txt" in gateway.ask(site, "/a%20b/%C3%BC%2541.txt").headers["x-ipfs-path"]


@pytest.mark.parametrize(
    "path",
    [
        "/../blob.bin",
        "/docs/%2e%2e/blob.bin",
        "/docs%2Findex.html",
        "/%00",
        "/%c0%ae%c0%ae/blob.bin",
        "/%ff",
        "/%zz",
        "/%2",
        "/./blob.bin",
    ],
)
def test_paths_that_cannot_name_a_file_are_refused(gateway: Served, site: str, path: str) -> None:
    assert gateway.ask(site, path).status == 400


def test_long_and_deep_paths_are_refused(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "/" + "a" * 8_192).status == 414
    assert gateway.ask(site, "/a" * 200).status == 414


def test_a_line_break_in_the_path_does_not_reach_the_headers(gateway: Served, site: str) -> None:
    answer = gateway.ask(site, "/docs/deep%0d%0aSet-Cookie:%20a=b")
    assert answer.status == 404
    assert "set-cookie" not in answer.headers
    assert "%0D%0A" in answer.headers["x-ipfs-path"]


def test_the_nearest_404_page_is_served_with_status_404(gateway: Served, site: str) -> None:
    assert (gateway.twice(site, "/nope").status, gateway.ask(site, "/nope").body) == (404, b"not here")
    assert gateway.ask(site, "/docs/nope/x").body == b"docs have no such page"
    assert gateway.ask(site, "/nope", Range="bytes=0-1").status == 404


def test_a_file_is_no_directory(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "/blob.bin/").status == 404
    assert gateway.ask(site, "/blob.bin/x").status == 404


def test_a_directory_without_index_is_not_listed_on_a_site(gateway: Served, site: str) -> None:
    assert gateway.ask(site, "/docs/deep/").status == 404


def test_a_site_without_any_page_shows_what_it_has(gateway: Served) -> None:
    gateway.bind("share", gateway.blocks.folder({"photo.png": b"\x89PNG", "<b>.txt": b"x"}))
    answer = gateway.ask("share.localhost")
    assert answer.status == 200
    assert b"photo.png" in answer.body
    assert b"<b>.txt" not in answer.body
    assert b"&lt;b&gt;.txt" in answer.body


def test_an_unknown_site_is_404_as_page_or_as_text(gateway: Served) -> None:
    assert gateway.ask("nobody.localhost").headers["content-type"] == "text/plain; charset=utf-8"
    page = gateway.ask("nobody.localhost", Accept="text/html,*/*")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"AF5101" in page.body


def test_a_suspended_site_is_not_served(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"x"})
    gateway.bind("unpaid", root)
    assert gateway.ask("unpaid.localhost").status == 200
    gateway.bind("unpaid", root, suspended=True)
    assert gateway.ask("unpaid.localhost").status == 403


def test_a_flip_and_a_flip_back_show_in_the_very_next_request(gateway: Served) -> None:
    first, second = (gateway.blocks.folder({"index.html": text}) for text in (b"one", b"two"))
    for _ in range(20):
        gateway.bind("flip", first)
        assert gateway.ask("flip.localhost").body == b"one"
        gateway.bind("flip", second)
        assert gateway.ask("flip.localhost").body == b"two"
    gateway.bind("flip", None)
    assert gateway.ask("flip.localhost").status == 404


def test_a_custom_domain_leads_to_its_site(gateway: Served, site: str) -> None:
    gateway.bind("www.example.org", gateway.blocks.folder({"index.html": b"mine"}), zone="custom")
    assert gateway.twice("www.example.org:8080").body == b"mine"
    assert gateway.ask("other.example.org").status == 404


def test_a_missing_block_of_a_site_is_503_and_heals(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"heal me"})
    leaf = cids.of(cids.RAW, b"heal me")
    gateway.bind("hurt", root)
    del gateway.blocks.data[leaf]
    answer = gateway.ask("hurt.localhost")
    assert answer.status == 503
    assert text_of(leaf) not in answer.body.decode()
    gateway.blocks.add(leaf, b"heal me")
    assert gateway.ask("hurt.localhost").body == b"heal me"


# --- methods -------------------------------------------------------------------------------------------------------


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


# --- conditional requests ------------------------------------------------------------------------------------------


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


# --- ranges --------------------------------------------------------------------------------------------------------


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


# --- types and encodings -------------------------------------------------------------------------------------------


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


# --- files of many blocks, sharded directories, links --------------------------------------------------------------


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
        names |= {part.partition('"')[0] for part in body.split('href="./')[1:]}
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


# --- rules ---------------------------------------------------------------------------------------------------------


def routes(redirect_text: str, header_text: str = "") -> dict[str, object]:
    return {
        "redirects": redirects.to_json(redirects.parse(redirect_text).rules),
        "headers": headers.to_json(headers.parse(header_text).rules),
    }


def test_redirect_rules_apply_where_there_is_no_file(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"app", "real.txt": b"file", "gone.html": b"it went"})
    text = "/old/* /new/:splat 302\n/real.txt /other\n/gone /gone.html 410\n/f /real.txt 301!\n/* /index.html 200\n"
    gateway.bind("rules", root, routes=routes(text))
    host = "rules.localhost"
    moved = gateway.ask(host, "/old/a/b?q=1")
    assert (moved.status, moved.headers["location"]) == (302, "/new/a/b?q=1")
    assert gateway.ask(host, "/real.txt").body == b"file"
    assert gateway.ask(host, "/f").headers["location"] == "/real.txt"
    gone = gateway.ask(host, "/gone")
    assert (gone.status, gone.body) == (410, b"it went")


def test_a_single_page_app_answers_every_path_hot(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"app", "real.txt": b"file"})
    gateway.bind("spa", root, routes=routes("/* /index.html 200\n"))
    answer = gateway.twice("spa.localhost", "/users/7/edit?tab=2")
    assert (answer.status, answer.body) == (200, b"app")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_forced_rule_applies_though_the_file_exists(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"app", "closed.html": b"closed"})
    gateway.bind("forced", root, routes=routes("/* /closed.html 200!\n"))
    assert gateway.ask("forced.localhost", "/index.html").body == b"closed"


def test_rules_on_the_query_decide_each_time(gateway: Served) -> None:
    root = gateway.blocks.folder({"one.txt": b"one", "two.txt": b"two"})
    gateway.bind("query", root, routes=routes("/x v=1 /one.txt 200\n/x v=2 /two.txt 200\n"))
    for _ in range(3):
        assert gateway.ask("query.localhost", "/x?v=1").body == b"one"
        assert gateway.ask("query.localhost", "/x?v=2").body == b"two"


def test_header_rules_add_replace_and_remove(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"x", "assets/a.js": b"x", "404.html": b"n"})
    text = "/*\n  X-Frame-Options: DENY\n/assets/*\n  Cache-Control: public, max-age=60\n  ! X-Content-Type-Options\n"
    gateway.bind("heads", root, routes=routes("", text))
    page = gateway.twice("heads.localhost", "/")
    assert (page.headers["x-frame-options"], page.headers["x-content-type-options"]) == ("DENY", "nosniff")
    asset = gateway.twice("heads.localhost", "/assets/a.js")
    assert asset.headers["cache-control"] == "public, max-age=60"
    assert "x-content-type-options" not in asset.headers
    assert gateway.ask("heads.localhost", "/nope").headers["x-frame-options"] == "DENY"


# --- IPFS addresses ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(gateway: Served) -> cids.CID:
    root = gateway.blocks.folder(
        {
            "index.html": b"public page",
            "sub/file.txt": b"deep",
            "blob.bin": BLOB,
            "_redirects": b"/a /sub/file.txt 302\n",
        }
    )
    gateway.blocks.publish()
    return root


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8787", "[::1]", "gateway.localhost"])
def test_a_path_gateway_serves_in_place(gateway: Served, public: cids.CID, host: str) -> None:
    answer = gateway.ask(host, f"/ipfs/{text_of(public)}/sub/file.txt")
    assert (answer.status, answer.body) == (200, b"deep")
    assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{text_of(public)}/sub/file.txt"
    assert len(answer.headers["x-ipfs-roots"].split(",")) == 3
    assert gateway.twice(host, f"/ipfs/{text_of(public)}/blob.bin").body == BLOB


def test_the_main_address_moves_content_to_an_origin_of_its_own(gateway: Served, public: cids.CID) -> None:
    answer = gateway.ask("localhost:8787", f"/ipfs/{text_of(public)}/sub/file.txt?x=%201")
    assert answer.status == 301
    assert answer.headers["location"] == f"http://{text_of(public)}.ipfs.localhost:8787/sub/file.txt?x=%201"


def test_a_version_0_cid_becomes_version_1_in_the_host(gateway: Served) -> None:
    root = gateway.blocks.folder({"old.txt": b"old"}, OLD)
    gateway.blocks.publish()
    assert text_of(root).startswith("Qm")
    location = gateway.ask("localhost", f"/ipfs/{text_of(root)}").headers["location"]
    assert location == f"http://{text_of(cids.as_v1(root))}.ipfs.localhost/"
    assert gateway.ask(f"{text_of(cids.as_v1(root))}.ipfs.localhost", "/old.txt").body == b"old"
    assert gateway.ask("127.0.0.1", f"/ipfs/{text_of(root)}/old.txt").body == b"old"


def test_other_bases_are_normalised(gateway: Served, public: cids.CID) -> None:
    base36 = cids.to_base36(public)
    answer = gateway.ask(f"{base36}.ipfs.localhost:1", "/sub/file.txt")
    assert (answer.status, answer.headers["location"]) == (
        301,
        f"http://{text_of(public)}.ipfs.localhost:1/sub/file.txt",
    )
    assert gateway.ask("127.0.0.1", f"/ipfs/{base36}/sub/file.txt").body == b"deep"


def test_a_cids_own_origin_serves_pages_rules_and_listings(gateway: Served, public: cids.CID) -> None:
    host = f"{text_of(public)}.ipfs.localhost"
    assert gateway.twice(host).body == b"public page"
    moved = gateway.ask(host, "/a")
    assert (moved.status, moved.headers["location"]) == (302, "/sub/file.txt")
    listing = gateway.ask(host, "/sub/")
    assert b"file.txt" in listing.body
    assert gateway.ask(host, "/sub/", If_None_Match=listing.headers["etag"]).status == 304


def test_rules_do_not_apply_on_a_path_gateway(gateway: Served, public: cids.CID) -> None:
    assert gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}/a").status == 404


def test_a_path_gateway_redirects_directories_within_its_prefix(gateway: Served, public: cids.CID) -> None:
    answer = gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}")
    assert (answer.status, answer.headers["location"]) == (301, f"/ipfs/{text_of(public)}/")
    assert gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}/").body == b"public page"


def test_what_is_not_public_is_not_found_by_its_cid_even_when_a_site_serves_it(gateway: Served) -> None:
    root = gateway.blocks.folder({"index.html": b"members only"})
    gateway.bind("members", root)
    assert gateway.ask("members.localhost").body == b"members only"
    leaf = text_of(cids.of(cids.RAW, b"members only"))
    for host, path in (
        (f"{text_of(root)}.ipfs.localhost", "/"),
        ("127.0.0.1", f"/ipfs/{text_of(root)}/index.html"),
        ("127.0.0.1", f"/ipfs/{leaf}"),
        ("127.0.0.1", f"/ipfs/{leaf}?format=raw"),
        ("127.0.0.1", f"/ipfs/{text_of(root)}?format=car"),
    ):
        assert gateway.ask(host, path).status == 404, (host, path)


def test_a_service_worker_cannot_be_registered_on_a_path_gateway(gateway: Served, public: cids.CID) -> None:
    path = f"/ipfs/{text_of(public)}/blob.bin"
    gateway.twice("127.0.0.1", path)
    assert gateway.ask("127.0.0.1", path, Service_Worker="script").status == 400
    assert gateway.ask(f"{text_of(public)}.ipfs.localhost", "/blob.bin", Service_Worker="script").status == 200


@pytest.mark.parametrize("path", ["/ipfs", "/ipfs/", "/ipfs/not-a-cid", "/ipfs/bafy", "/ipfs/Qm/x"])
def test_a_path_without_a_cid_is_400(gateway: Served, path: str) -> None:
    assert gateway.ask("127.0.0.1", path).status == 400


def test_preflight_allows_everybody_to_read(gateway: Served, public: cids.CID) -> None:
    answer = gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}/", method="OPTIONS", Origin="https://a.example")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")


# --- verifiable forms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [{"query": "?format=raw"}, {"accept": "application/vnd.ipld.raw"}])
def test_raw_gives_the_block_itself(gateway: Served, public: cids.CID, ask: dict[str, str]) -> None:
    path = f"/ipfs/{text_of(public)}" + ask.get("query", "")
    headers_sent = {"Accept": ask["accept"]} if "accept" in ask else {}
    gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}/")
    answer = gateway.ask("127.0.0.1", path, **headers_sent)
    assert answer.headers["content-type"] == "application/vnd.ipld.raw"
    assert cids.of(cids.DAG_PB, answer.body) == public
    assert gateway.ask("127.0.0.1", path, If_None_Match=answer.headers["etag"], **headers_sent).status == 304


def test_accept_raw_is_not_answered_with_the_cached_file(gateway: Served, public: cids.CID) -> None:
    path = f"/ipfs/{text_of(public)}/sub/file.txt"
    gateway.twice("127.0.0.1", path)
    answer = gateway.ask("127.0.0.1", path, Accept="application/vnd.ipld.car")
    assert answer.headers["content-type"].startswith("application/vnd.ipld.car")


def test_car_gives_the_path_and_everything_below_in_order(gateway: Served, public: cids.CID) -> None:
    answer = gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}/sub?format=car")
    assert answer.headers["content-type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
    reader = car.CarReader()
    blocks = list(reader.feed(answer.body))
    reader.finish()
    assert reader.roots == (public,)
    assert blocks[0][0] == public
    assert [data for _, data in blocks][2:] == [b"deep"]
    assert all(cids.verify(cid, data) for cid, data in blocks)


def test_other_formats_are_406(gateway: Served, public: cids.CID) -> None:
    assert gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}?format=tar").status == 406
    assert gateway.ask("127.0.0.1", f"/ipfs/{text_of(public)}", Accept="application/vnd.ipld.dag-json").status == 406


# --- bounds --------------------------------------------------------------------------------------------------------


def test_without_cache_memory_everything_still_works(tmp_path: Path) -> None:
    with served(tmp_path, gateway_cache_bytes=0) as bare:
        bare.bind("demo", bare.blocks.folder({"a.txt": b"text" * 1000, "d/b.bin": BLOB}))
        for _ in range(2):
            assert bare.ask("demo.localhost", "/d/b.bin").body == BLOB
            assert brotli.decompress(bare.ask("demo.localhost", "/a.txt", Accept_Encoding="br").body) == b"text" * 1000
        assert bare.hot_count() == 0


def test_small_files_are_hot_even_when_their_bodies_were_evicted(tmp_path: Path) -> None:
    with served(tmp_path, peekable=True, gateway_cache_bytes=400_000) as small:
        bodies = {f"{number}.bin": number.to_bytes(2, "big") * 5_000 for number in range(40)}
        small.bind("demo", small.blocks.folder(bodies))
        for _ in range(2):
            for name, body in bodies.items():
                assert small.ask("demo.localhost", "/" + name).body == body
        assert small.hot_count() >= 35
