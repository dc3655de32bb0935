"""Subdomain gateway (https://specs.ipfs.tech/http-gateways/subdomain-gateway/): redirects to an origin of its own, and
names that are no hosts."""

from __future__ import annotations

import pytest

from af.gateway.names import Place
from af.protocols.ipfs import cid as cids
from tests.support.gateway_specs import GATEWAY_HOST, PATH_HOST, Content


@pytest.fixture(scope="module")
def root(specs: Content) -> cids.CID:
    return specs.folder({"a.txt": b"text", "index.html": b"page"})


def test_a_path_moves_to_a_host_with_port_query_and_the_scheme_that_the_front_saw(
    specs: Content, root: cids.CID
) -> None:
    """§Migrating from path to subdomain; §X-Forwarded-Proto."""
    text = cids.to_text(root)
    asked = f"/ipfs/{text}/a.txt?x=1"
    for host in (GATEWAY_HOST, f"{GATEWAY_HOST}:8080"):
        moved = specs.ask(asked, host=host)
        assert (moved.status, moved.headers["location"]) == (301, f"http://{text}.ipfs.{host}/a.txt?x=1")
        secure = specs.ask(asked, host=host, X_Forwarded_Proto="https")
        assert secure.headers["location"] == f"https://{text}.ipfs.{host}/a.txt?x=1"
    assert specs.ask(asked, host="localhost", X_Forwarded_Proto="https").headers["location"].startswith("http://")
    assert specs.ask(asked, host=PATH_HOST, X_Forwarded_Host=GATEWAY_HOST).status == 301
    assert specs.ask(asked, host=PATH_HOST, X_Forwarded_Host="other.example").status == 200


def test_dnslink_names_fit_into_one_label_both_ways(specs: Content, root: cids.CID) -> None:
    """§Host: DNSLink names are inlined, with - doubled and . as -."""
    specs.gateway.names.places["my-site.example.org"] = Place(root, 60)
    moved = specs.ask("/ipns/my-site.example.org/a.txt", host=GATEWAY_HOST)
    assert moved.headers["location"] == f"http://my--site-example-org.ipns.{GATEWAY_HOST}/a.txt"
    for host in ("my--site-example-org", "my-site.example.org"):
        assert specs.ask("/a.txt", host=f"{host}.ipns.{GATEWAY_HOST}").body == b"text"
    assert specs.ask(f"/ipns/{'a' * 60}.example.org", host=GATEWAY_HOST).status == 400


@pytest.mark.parametrize("host", [GATEWAY_HOST, "localhost"])
@pytest.mark.parametrize(
    "name",
    ["a%0d%0aset-cookie:x=1", "%C3%BC", "3232235777%23", "u@h", "a%3Fb", "a:80", "%5B::1%5D", "a%5Cb", "-a", "a%20b"],
)
def test_a_name_that_is_no_host_never_gets_into_a_location(specs: Content, host: str, name: str) -> None:
    answer = specs.ask(f"/ipns/{name}", host=host)
    assert answer.status == 400
    assert not {"location", "set-cookie"} & answer.headers.keys()


@pytest.mark.parametrize("uri", ["ipfs://[", "ipfs://%E2%84%80/x", "http://a.example/", "ipfs:", "", "ipfs:///x"])
def test_a_malformed_uri_of_the_protocol_handler_is_400(specs: Content, uri: str) -> None:
    for space in ("ipfs", "ipns"):
        assert specs.ask(f"/{space}/?uri={uri}").status == 400


def test_too_many_parameters_are_400(specs: Content, root: cids.CID) -> None:
    path = f"/ipfs/{cids.to_text(root)}/a.txt?"
    assert specs.ask(path + "&".join("a" * 100)).status == 200
    assert specs.ask(path + "&".join("a" * 101)).status == 400
