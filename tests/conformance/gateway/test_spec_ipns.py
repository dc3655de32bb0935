"""IPNS names and records (https://specs.ipfs.tech/http-gateways/trustless-gateway/#ipns-record-responses,
https://specs.ipfs.tech/http-gateways/subdomain-gateway/)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from af.gateway.names import Place
from af.protocols import base58
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns
from tests.support.gateway_specs import GATEWAY_HOST, PATH_HOST, RECORD, Content


@pytest.fixture(scope="module", params=["Ed25519", "RSA"])
def name(specs: Content, request: pytest.FixtureRequest) -> ipns.Name:
    key = Ed25519PrivateKey.generate() if request.param == "Ed25519" else generate_private_key(65_537, 2_048)
    root = specs.folder({"a.txt": b"text"})
    value = f"/ipfs/{cids.to_text(root)}".encode()
    end = datetime.now(UTC) + timedelta(days=2)
    found = ipns.name_of(key)
    specs.gateway.names.records[found] = ipns.create(key, value, sequence=7, valid_until=end, ttl_seconds=90)
    specs.gateway.names.places[ipns.to_text(found)] = Place(root, 90)
    return found


def test_a_record_comes_as_it_is(specs: Content, name: ipns.Name) -> None:
    path = f"/ipns/{ipns.to_text(name)}"
    for query, headers in (("?format=ipns-record", {}), ("", {"Accept": RECORD})):
        answer = specs.ask(path + query, **headers)
        assert (answer.status, answer.body) == (200, specs.gateway.names.records[name])
        assert answer.headers["content-type"] == RECORD
        assert answer.headers["cache-control"] == "public, max-age=90"
        assert ipns.read(name, answer.body).sequence == 7
        assert specs.ask(path + query, **headers, If_None_Match=answer.headers["etag"]).status == 304
    assert specs.ask(f"{path}/a.txt?format=ipns-record").status == 406


def test_what_a_name_points_to_is_kept_as_long_as_its_ttl(specs: Content, name: ipns.Name) -> None:
    answer = specs.ask(f"/ipns/{ipns.to_text(name)}/a.txt")
    assert (answer.body, answer.headers["cache-control"]) == (b"text", "public, max-age=90")


def test_every_form_of_a_key_leads_to_base36(specs: Content, name: ipns.Name) -> None:
    text = ipns.to_text(name)
    for form in (cids.to_text(name), base58.encode(cids.multihash(name))):
        moved = specs.ask(f"/ipns/{form}/a.txt", host=GATEWAY_HOST)
        assert (moved.status, moved.headers["location"]) == (301, f"http://{text}.ipns.{GATEWAY_HOST}/a.txt")
        assert specs.ask(f"/ipns/{form}/a.txt", host=PATH_HOST).headers["location"] == f"/ipns/{text}/a.txt"
    assert specs.ask("/a.txt", host=f"{text}.ipns.{GATEWAY_HOST}").body == b"text"
    assert specs.ask(f"/ipfs/{cids.to_text(name)}").status == 400, "a key is no content"
