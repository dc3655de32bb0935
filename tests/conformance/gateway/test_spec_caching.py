"""Caching and validators (https://specs.ipfs.tech/http-gateways/path-gateway/#response-headers, RFC 9110 §13)."""

from __future__ import annotations

import pytest

from af.protocols.ipfs import cid as cids
from tests.support.gateway_specs import IMMUTABLE, LISTING, Content, same_headers


@pytest.mark.parametrize(
    "below, cache",
    [("/page/", IMMUTABLE), ("/list/", LISTING), ("/list/a.txt", IMMUTABLE), ("/?format=tar", IMMUTABLE)],
)
def test_validators_of_every_kind_of_answer(specs: Content, below: str, cache: str) -> None:
    root = specs.folder({"page/index.html": b"<p>", "list/a.txt": b"text"})
    path = f"/ipfs/{cids.to_text(root)}{below}"
    get, head = specs.ask(path), specs.ask(path, method="HEAD")
    assert same_headers(get, head)
    assert get.headers["cache-control"] == cache
    etag = get.headers["etag"]
    for tag in (etag, "W/" + etag.removeprefix("W/"), f'"x", {etag}', "*"):
        answer = specs.ask(path, If_None_Match=tag)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert specs.ask(path, If_None_Match='"x"').status == 200
    assert specs.ask(path, Cache_Control="only-if-cached").status == 200


def test_a_directory_shown_by_its_index_has_the_directorys_etag(specs: Content) -> None:
    root = specs.folder({"index.html": b"<p>other"})
    assert specs.ask(f"/ipfs/{cids.to_text(root)}/").headers["etag"] == f'"{cids.to_text(root)}"'


def test_only_if_cached_of_what_is_not_here_is_412(specs: Content) -> None:
    gone = cids.to_text(cids.of(cids.RAW, b"not here at all"))
    for query in ("", "?format=raw", "?format=car"):
        assert specs.ask(f"/ipfs/{gone}{query}", Cache_Control="only-if-cached").status == 412
