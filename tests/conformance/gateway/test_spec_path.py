"""Path gateway (https://specs.ipfs.tech/http-gateways/path-gateway/): malformed addresses, and blocks that are not
public: knowing a CID gives nothing, in any form."""

from __future__ import annotations

import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor, dagpb
from af.protocols.ipfs.datamodel import Link
from tests.support.gateway_specs import GATEWAY_HOST, PATH_HOST, Content, identity

SECRET = b"only its own site may show this"
FORMS = ["", "/", *(f"?format={name}" for name in ("raw", "car", "tar", "json", "cbor", "dag-json", "dag-cbor"))]


@pytest.mark.parametrize("query", FORMS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_private_block_is_never_given_nor_confirmed(specs: Content, method: str, query: str) -> None:
    leaf = specs.put(cids.RAW, SECRET, public=False)
    folder = specs.directory({b"index.html": leaf}, public=False)
    data = specs.put(cids.DAG_CBOR, dagcbor.encode({"s": SECRET, "l": Link(leaf)}), public=False)
    specs.gateway.bind("members", folder)
    assert specs.ask("/", host="members.localhost").body == SECRET, "it is in the caches now"
    for cid in (leaf, folder, data):
        text = cids.to_text(cid)
        for host, path in (
            (PATH_HOST, f"/ipfs/{text}"),
            (f"{text}.ipfs.{GATEWAY_HOST}", ""),
            (f"{text}.ipfs.localhost", ""),
        ):
            for headers in ({}, {"If_None_Match": "*"}, {"If_None_Match": f'"{text}"'}, {"Range": "bytes=0-3"}):
                target = path + query if path or query.startswith("/") else "/" + query
                answer = specs.ask(target, host=host, method=method, **headers)
                assert answer.status in (404, 406), (host, target, headers)
                assert SECRET not in answer.body
                assert "etag" not in answer.headers


@pytest.mark.parametrize("query", ["?format=car", "?format=car&dag-scope=block", "?format=raw", "?format=tar", ""])
def test_a_public_root_or_a_made_up_one_opens_nothing(specs: Content, query: str) -> None:
    leaf = specs.put(cids.RAW, SECRET, public=False)
    named = dagpb.encode_node([dagpb.Link(leaf, b"s", 1)], b"\x08\x01")
    roots = [
        specs.directory({b"s": leaf}),
        specs.put(cids.DAG_CBOR, dagcbor.encode({"s": Link(leaf)})),
        specs.shard(dict.fromkeys(range(256), (b"s", leaf))),
        specs.file_of([(leaf, len(SECRET))]),
        identity(cids.DAG_PB, named),
        identity(cids.DAG_CBOR, dagcbor.encode({"s": Link(leaf)})),
    ]
    for root in roots:
        for below in ("", "/", "/s"):
            _, body = specs.until_it_breaks(f"/ipfs/{cids.to_text(root)}{below}{query}")
            assert SECRET not in body


@pytest.mark.parametrize(
    "text",
    [
        *("bafy", "Qm", "bafkqaaaa", "b" * 2_000, "z" * 300, "f", "f01", "kkkk", "m" * 40, "%00", "%ff", "%zz", "%"),
        *("..", "%2e%2e", "a%2fb", "BAFKQAAA%20", "%F0%9F%92%A9", "bafkqaaa%0a", "f0155ffffffffffffffff01"),
    ],
)
@pytest.mark.parametrize("host", [PATH_HOST, GATEWAY_HOST])
def test_a_malformed_cid_or_path_is_400(specs: Content, host: str, text: str) -> None:
    for query in ("", "?format=raw", "?format=car"):
        assert specs.ask(f"/ipfs/{text}{query}", host=host).status == 400


@pytest.mark.parametrize("name", ["\u00fc.txt", "a b", "100%", "?", "#", "a+b", "\U0001f600", "<script>"])
def test_any_name_is_reached_percent_encoded_and_listed_escaped(specs: Content, name: str) -> None:
    from urllib.parse import quote

    root = f"/ipfs/{cids.to_text(specs.folder({name: b'found'}))}"
    answer = specs.ask(f"{root}/{quote(name, safe='')}")
    assert answer.body == b"found"
    assert answer.headers["x-ipfs-path"].isascii()
    listed = specs.ask(f"{root}/")
    assert f'href="{root}/{quote(name, safe="")}"'.encode() in listed.body
    assert b"<script" not in listed.body
