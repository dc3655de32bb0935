"""Arweave's formats against values that arweave-js made (tests/support/arweave_js.py records them)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.arweave import chunks, encoding, manifests, transactions, wallets
from af.protocols.arweave.chunks import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, ChunkHasher, InvalidChunks
from af.protocols.arweave.encoding import InvalidEncoding, from_base64url, to_base64url
from af.protocols.arweave.manifests import InvalidManifest, Manifest
from af.protocols.arweave.transactions import InvalidTransaction, Tag
from af.protocols.arweave.wallets import InvalidWallet, Wallet
from tests.support import arweave_js
from tests.support.arweave_js import pattern

RECORDED = json.loads((Path(__file__).parents[2] / "conformance" / "vectors" / "arweave.json").read_text())
ID = "A" * 43


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


# --- chunks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [int(size) for size in RECORDED["trees"]])
def test_trees_are_those_of_arweave_js(size: int) -> None:
    theirs, data = RECORDED["trees"][str(size)], pattern(size)
    tree = chunks.tree_of(data)
    assert to_base64url(tree.root) == theirs["root"]
    ours = [tree.chunk(index) for index in range(tree.count)]
    assert [chunk.end for chunk in ours] == theirs["ends"]
    assert [to_base64url(chunk.proof) for chunk in ours] == theirs["proofs"]
    for chunk in ours:
        chunks.verify(tree.root, chunk, data[chunk.start : chunk.end], size_bytes=size)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1_200_000), st.integers(1, 300_000))
def test_data_in_pieces_has_the_tree_of_the_whole(size: int, step: int) -> None:
    data = bytes(size)
    hasher = ChunkHasher(size)
    for at in range(0, size, step):
        hasher.update(data[at : at + step])
    assert hasher.finish() == chunks.tree_of(data)


@given(st.integers(1, 1 << 40))
@settings(deadline=None)
def test_chunks_are_neither_too_large_nor_too_small(size: int) -> None:
    start = max(0, size - 3 * CHUNK_BYTES_MAX) // CHUNK_BYTES_MAX * CHUNK_BYTES_MAX
    while start < size:
        end = chunks.next_cut(start, size)
        assert start < end <= size
        assert end - start <= CHUNK_BYTES_MAX
        assert end - start >= CHUNK_BYTES_MIN or size < CHUNK_BYTES_MIN
        start = end


def test_a_chunk_does_not_pass_for_another() -> None:
    data = pattern(700_000)
    tree = chunks.tree_of(data)
    first, second = tree.chunk(0), tree.chunk(1)
    body = data[: first.end]
    for wrong, bytes_of_it in (
        (replace(first, proof=second.proof), body),
        (replace(first, proof=first.proof[:-1]), body),
        (replace(first, proof=b""), body),
        (replace(first, proof=first.proof + bytes(32)), body),
        (replace(first, proof=bytes(len(first.proof))), body),
        (replace(first, start=1), body),
        (replace(first, end=first.end - 1), body[:-1]),
        (first, body[:-1] + b"!"),
        (first, body + b"!"),
    ):
        with pytest.raises(InvalidChunks):
            chunks.verify(tree.root, wrong, bytes_of_it, size_bytes=len(data))
    with pytest.raises(IndexError):
        tree.chunk(tree.count)


def test_the_size_that_was_said_must_be_true() -> None:
    for size in (0, -1, chunks.DATA_BYTES_MAX + 1):
        with pytest.raises(InvalidChunks):
            ChunkHasher(size)
    hasher = ChunkHasher(3)
    with pytest.raises(InvalidChunks, match="more data"):
        hasher.update(b"four")
    hasher.update(b"ab")
    with pytest.raises(InvalidChunks, match="2 bytes"):
        hasher.finish()


# --- wallets --------------------------------------------------------------------------------------------------------


def test_a_wallet_survives_its_key_file_and_shows_no_secret(wallet: Wallet) -> None:
    again = Wallet.from_jwk(wallet.to_jwk())
    assert again.address == wallet.address
    assert encoding.is_id(wallet.address)
    assert wallets.is_signed_by(wallet.owner, b"message", again.sign(b"message"))
    secrets = json.loads(wallet.to_jwk())
    assert not any(secrets[name][:20] in repr(wallet) + str(wallet) for name in "dpq")


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"d": None},
        {"d": 7},
        {"e": "Aw"},
        {"n": "AQAB"},
        {"d": "AQAB"},
        {"p": "AQAB"},
        {"qi": "AQAB"},
        {"dp": "AQ"},
        {"n": "not base64url!"},
    ],
)
def test_key_files_that_are_none_are_refused_without_quoting_them(wallet: Wallet, change: dict[str, Any]) -> None:
    jwk = json.loads(wallet.to_jwk())
    with pytest.raises(InvalidWallet) as refused:
        Wallet.from_jwk(json.dumps(jwk | change))
    assert jwk["d"][:10] not in str(refused.value)


def test_factors_of_one_are_no_key(wallet: Wallet) -> None:
    jwk = json.loads(wallet.to_jwk())
    with pytest.raises(InvalidWallet):
        Wallet.from_jwk(json.dumps(jwk | {"p": "AQ", "q": jwk["n"]}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{}", "[" * 5000, '"x"', "x" * 20_000, "1" * 5000])
def test_other_files_are_no_wallets(text: str) -> None:
    with pytest.raises(InvalidWallet):
        Wallet.from_jwk(text)


def test_signatures_of_others_and_odd_keys_are_not_valid(wallet: Wallet) -> None:
    signature = wallet.sign(b"message")
    assert not wallets.is_signed_by(wallet.owner, b"another", signature)
    assert not wallets.is_signed_by(wallet.owner, b"message", signature[:-1])
    assert not wallets.is_signed_by(wallet.owner[:-1] + b"\0", b"message", signature)  # even
    assert not wallets.is_signed_by(bytes(512), b"message", signature)
    assert not wallets.is_signed_by(b"", b"message", signature)


# --- transactions ---------------------------------------------------------------------------------------------------


def test_a_transaction_of_arweave_js_is_read_and_verified() -> None:
    transaction, data = transactions.read(RECORDED["transaction"])
    assert data == b"<h1>hello</h1>"
    assert transaction.reward_winston == 2_507_000
    assert transaction.tags == (Tag.of("Content-Type", "text/html"), Tag.of("Größe", "1 €"))
    assert wallets.address_of(transaction.owner) == RECORDED["address"]
    assert transaction.to_json(data) == RECORDED["transaction"]


def test_our_own_transaction_is_read_back(wallet: Wallet) -> None:
    data = pattern(300_000)
    tree = chunks.tree_of(data)
    tags = (Tag.of("Content-Type", "text/plain"),)
    transaction = transactions.sign(wallet, tree=tree, tags=tags, anchor=bytes(48), reward_winston=5)
    assert transactions.read(transaction.to_json(data)) == (transaction, data)
    assert transactions.read(transaction.to_json()) == (transaction, b"")
    chunk = tree.chunk(1)
    sent = transactions.chunk_to_json(tree, chunk, data[chunk.start : chunk.end])
    assert (sent["offset"], sent["data_size"]) == ("299999", "300000")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"format": "2"},
        {"target": ID},
        {"quantity": "1"},
        {"id": ID},
        {"reward": "2507001"},
        {"reward": "-1"},
        {"reward": "1" * 31},
        {"reward": "٣"},
        {"data_size": "15"},
        {"data_size": "0"},
        {"data_root": ID},
        {"data_root": ""},
        {"data": "PGgxPmhlbGxvPC9oMTU"},
        {"data": "="},
        {"last_tx": "A" * 66},
        {"owner": ID},
        {"owner": None},
        {"signature": "A" * 683},
        {"tags": None},
        {"tags": ["x"]},
        {"tags": [{}] * 129},
        {"tags": []},
        {"tags": [{"name": to_base64url(b"n" * 2048), "value": "AA"}]},
    ],
)
def test_changed_transactions_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTransaction):
        transactions.read(RECORDED["transaction"] | change)


def test_a_transaction_out_of_bounds_is_not_made(wallet: Wallet) -> None:
    tree = chunks.tree_of(b"x")
    for tags, anchor, reward in (
        ((Tag(b"n" * 1024, b"v" * 1025),), b"", 1),
        ((Tag(b"n", b"v"),) * 129, b"", 1),
        ((), bytes(49), 1),
        ((), b"", -1),
        ((), b"", transactions.REWARD_MAX + 1),
    ):
        with pytest.raises(InvalidTransaction):
            transactions.sign(wallet, tree=tree, tags=tags, anchor=anchor, reward_winston=reward)


# --- encodings and manifests ----------------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_base64url_has_one_text_for_each_value(data: bytes) -> None:
    assert from_base64url(to_base64url(data)) == data


@pytest.mark.parametrize("text", ["AB", "AA==", "A", "A+", "A/", "AA\n", " AA", "Ä", "A" * 42 + "B"])
def test_other_texts_are_not_base64url(text: str) -> None:
    with pytest.raises(InvalidEncoding):
        from_base64url(text)
    assert not encoding.is_id(text)


def test_amounts_are_shown_exactly() -> None:
    assert encoding.to_ar(0) == "0"
    assert encoding.to_ar(2_507_000_000) == "0.002507"
    assert encoding.to_ar(10**13) == "10"
    assert encoding.to_ar(1) == "0.000000000001"


def test_a_manifest_survives_and_is_the_same_for_the_same_files() -> None:
    paths = {"index.html": ID, "css/ü.css": "B" * 42 + "A"}
    manifest = Manifest(paths=paths, index="index.html", fallback=ID)
    written = manifests.encode(manifest)
    assert manifests.decode(written) == manifest
    assert manifests.encode(replace(manifest, paths=dict(reversed(paths.items())))) == written
    assert json.loads(written)["version"] == "0.2.0"


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"manifest": "other", "version": "0.2.0", "paths": {}},
        {"manifest": "arweave/paths", "version": "9", "paths": {}},
        {"manifest": "arweave/paths", "version": "0.2.0"},
        {"manifest": "arweave/paths", "version": "0.2.0", "paths": {"a": {}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "paths": {"a": {"id": "x"}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "paths": {"/a": {"id": ID}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "paths": {"": {"id": ID}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "index": {"path": "b"}, "paths": {"a": {"id": ID}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "index": "a", "paths": {"a": {"id": ID}}},
        {"manifest": "arweave/paths", "version": "0.2.0", "fallback": {"id": "a"}, "paths": {}},
    ],
)
def test_other_manifests_are_refused(value: object) -> None:
    with pytest.raises(InvalidManifest):
        manifests.decode(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_no_manifest(data: bytes) -> None:
    with pytest.raises(InvalidManifest):
        manifests.decode(data)
