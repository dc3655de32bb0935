"""Content by CID: the public gateway specs (https://specs.ipfs.tech/http-gateways/)."""

from __future__ import annotations

import pytest

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from tests.support.gateway import BLOB, OLD, Served, text_of

# --- IPFS addresses --------------------------------------------------------------------------------------------------


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


# --- verifiable forms ------------------------------------------------------------------------------------------------


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


def test_a_codec_that_the_block_does_not_have_is_406(gateway: Served, public: cids.CID) -> None:
    path = f"/ipfs/{text_of(public)}"
    assert gateway.ask("127.0.0.1", path, Accept="application/vnd.ipld.dag-json").status == 406
    assert gateway.ask("127.0.0.1", f"{path}?format=dag-cbor").status == 406
    assert gateway.ask("127.0.0.1", f"{path}?format=zip").status == 400
