"""Sites at their own host names: files, pages, rules, flips, and what is refused."""

from __future__ import annotations

from pathlib import Path

import brotli
import pytest

from af.protocols import headers, redirects
from af.protocols.ipfs import cid as cids
from tests.support.gateway import BLOB, Served, served, text_of

# --- sites -----------------------------------------------------------------------------------------------------------


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


# --- rules -----------------------------------------------------------------------------------------------------------


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


# --- bounds ----------------------------------------------------------------------------------------------------------


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
