"""What we make for Arweave is judged by arweave-js and arbundles, and what they make by us."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from af.protocols import ans104
from af.protocols.arweave import chunks, transactions
from af.protocols.arweave.encoding import from_base64url, to_base64url
from af.protocols.arweave.transactions import Tag
from af.protocols.arweave.wallets import Wallet
from tests.support import arweave_js
from tests.support.arweave_js import Clients, pattern

pytestmark = pytest.mark.timeout(arweave_js.INSTALL_SECONDS + 120)  # the first run of a machine installs them
TAGS = (Tag.of("Content-Type", "text/html"), Tag.of("Größe", "1 €"))


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with arweave_js.running() as started:
        yield started


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


@pytest.mark.parametrize("size", [33, 1_070_000])
def test_arweave_js_verifies_our_transactions(clients: Clients, wallet: Wallet, size: int) -> None:
    data = pattern(size)
    tree = chunks.tree_of(data)
    made = transactions.sign(wallet, tree=tree, tags=TAGS, anchor=bytes(48), reward_winston=123)
    assert clients.call("verify_transaction", transaction=made.to_json(data)) is True
    forged = made.to_json(data) | {"reward": "124"}
    assert clients.call("verify_transaction", transaction=forged) is False


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 5_000_001])
def test_arweave_js_verifies_our_proofs_of_chunks(clients: Clients, size: int) -> None:
    tree = chunks.tree_of(pattern(size))
    for chunk in map(tree.chunk, range(tree.count)):
        said = {"root": to_base64url(tree.root), "offset": chunk.offset, "size": size}
        assert clients.call("verify_chunk", **said, proof=to_base64url(chunk.proof)) == chunk.size_bytes


def test_wallets_have_the_address_that_arweave_js_says(clients: Clients, wallet: Wallet) -> None:
    assert clients.call("address", jwk=json.loads(wallet.to_jwk())) == wallet.address


@pytest.mark.parametrize("tags", [(), TAGS, (Tag.of("n" * 1000, "v" * 3000),), (Tag.of("a", "b"),) * 128])
def test_arbundles_verifies_our_items(clients: Clients, wallet: Wallet, tags: tuple[Tag, ...]) -> None:
    data = pattern(1000)
    head = ans104.sign(wallet, data, tags=tags, anchor=b"a" * 32)
    found = clients.call("verify_item", item=to_base64url(ans104.encode_head(head) + data))
    assert found["id"] == head.id
    assert [Tag.of(tag["name"], tag["value"]) for tag in found["tags"]] == list(tags)
    assert from_base64url(found["data"]) == data
    assert from_base64url(found["owner"]) == wallet.owner
    forged = ans104.encode_head(head) + data[:-1] + b"!"
    assert clients.call("verify_item", item=to_base64url(forged)) is False


def test_arbundles_verifies_our_bundles(clients: Clients, wallet: Wallet) -> None:
    bodies = [b"", b"one", pattern(100_000)]
    heads = [ans104.sign(wallet, body, tags=TAGS) for body in bodies]
    items = [ans104.encode_head(head) + body for head, body in zip(heads, bodies, strict=True)]
    table = ans104.bundle_head([(head.raw_id, len(item)) for head, item in zip(heads, items, strict=True)])
    bundle = table + b"".join(items)
    assert clients.call("verify_bundle", bundle=to_base64url(bundle)) == [head.id for head in heads]


def test_what_the_clients_make_today_is_verified_here(clients: Clients) -> None:
    """The recorded vectors are what the clients made once; this is the same with new keys."""
    made = arweave_js.record()
    transactions.read(made["transaction"])
    for item in made["items"].values():
        ans104.read_item(from_base64url(item))
    assert len(list(ans104.read_bundle(from_base64url(made["bundle"])))) == 2
