"""ANS-104 data items and bundles against what arbundles made (tests/support/arweave_js.py records it)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols import ans104
from af.protocols.ans104 import InvalidBundle, InvalidItem, ItemReader, Signing
from af.protocols.arweave.encoding import BlobHasher, from_base64url
from af.protocols.arweave.transactions import Tag
from af.protocols.arweave.wallets import Wallet
from tests.support import arweave_js

RECORDED = json.loads((Path(__file__).parents[2] / "conformance" / "vectors" / "arweave.json").read_text())
ITEMS = {kind: from_base64url(text) for kind, text in RECORDED["items"].items()}
BUNDLE = from_base64url(RECORDED["bundle"])
DATA = b"<h1>hello</h1>"
TAGS = (Tag.of("Content-Type", "text/html"), Tag.of("Größe", "1 €"))


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


@pytest.mark.parametrize("kind", ["arweave", "ed25519", "ethereum", "solana"])
def test_items_of_arbundles_are_read_and_verified(kind: str) -> None:
    head, data = ans104.read_item(ITEMS[kind])
    assert data == DATA
    assert head.tags == TAGS
    assert head.signing is Signing[kind.upper()]
    assert ans104.encode_head(head) + data == ITEMS[kind]
    assert head.anchor == (b"x" * 32 if kind == "arweave" else b"")


def test_an_item_without_tags_is_read() -> None:
    assert ans104.read_item(ITEMS["untagged"])[0].tags == ()


@pytest.mark.parametrize("kind", list(ITEMS))
def test_any_changed_bit_is_noticed(kind: str) -> None:
    item = ITEMS[kind]
    for at in {0, 1, 2, 70, 140, len(item) // 2, len(item) - 30, len(item) - len(DATA) - 1, len(item) - 1}:
        changed = bytearray(item)
        changed[at] ^= 1
        with pytest.raises(InvalidItem):
            ans104.read_item(bytes(changed))


@pytest.mark.parametrize("kind", list(ITEMS))
def test_an_item_cut_off_anywhere_is_refused(kind: str) -> None:
    for end in range(0, len(ITEMS[kind]) - 1, 13):
        with pytest.raises(InvalidItem):
            ans104.read_item(ITEMS[kind][:end])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_heads_end_in_a_refusal(data: st.DataObject) -> None:
    item = bytearray(ITEMS["ed25519"])
    for _ in range(data.draw(st.integers(1, 6))):
        item[data.draw(st.integers(98, len(item) - 1))] = data.draw(st.integers(0, 255))
    try:
        ans104.read_head(bytes(item))
    except InvalidItem:
        return


def test_a_large_item_is_made_and_read_in_pieces(wallet: Wallet) -> None:
    pieces = [bytes([i]) * 50_000 for i in range(40)]
    hasher = BlobHasher()
    for piece in pieces:
        hasher.update(piece)
    head = ans104.sign(wallet, hasher.digest(), tags=TAGS)
    whole = ans104.encode_head(head) + b"".join(pieces)
    assert ans104.read_item(whole) == (head, b"".join(pieces))
    for step in (1000, 7001, len(whole)):
        reader, got = ItemReader(), b""
        for at in range(0, len(whole), step):
            got += reader.data(whole[at : at + step])
        got += reader.rest()
        assert reader.finish() == head
        assert got == b"".join(pieces)


def test_the_same_item_has_the_same_id_however_often_it_is_signed(wallet: Wallet) -> None:
    first = ans104.sign(wallet, DATA, tags=TAGS)
    assert ans104.sign(wallet, DATA, tags=TAGS) == first
    assert first.size_bytes == ans104.head_bytes(TAGS)
    assert ans104.sign(wallet, DATA, tags=TAGS, anchor=bytes(32)).id != first.id


def test_a_small_item_in_pieces_is_verified_too() -> None:
    reader = ItemReader()
    assert reader.data(ITEMS["solana"]) == b""
    assert reader.rest() == DATA
    assert reader.finish().tags == TAGS
    forged = ItemReader()
    forged.data(ITEMS["solana"][:-1] + b"!")
    forged.rest()
    with pytest.raises(InvalidItem, match="signature"):
        forged.finish()


def test_tags_out_of_bounds_are_neither_made_nor_read(wallet: Wallet) -> None:
    for tags in (
        [Tag(b"n", b"v")] * 129,
        [Tag(b"", b"v")],
        [Tag(b"n", b"")],
        [Tag(b"n" * 1025, b"v")],
        [Tag(b"n", b"v" * 3073)],
        [Tag(b"n", b"v" * 3000), Tag(b"n", b"v" * 3000)],
    ):
        with pytest.raises(InvalidItem):
            ans104.sign(wallet, b"", tags=tags)
    with pytest.raises(InvalidItem):
        ans104.sign(wallet, b"", anchor=b"short")


@pytest.mark.parametrize(
    "written",
    [
        b"\x02\x02n\x02v",  # not closed
        b"\x02\x02n\x02v\x00\x00",  # more behind it
        b"\xff" * 20,  # a number without an end
        b"\x02\x01n\x02v\x00",  # a negative size
        b"\x02\xfe\xff\xff\xff\x0fn",  # a size beyond the end
        b"\xfe\xff\xff\xff\x0f",  # two billion tags
        b"\x00",  # one tag was said
        b"",
    ],
)
def test_malformed_tags_are_refused(written: bytes) -> None:
    head = ans104.read_head(ITEMS["untagged"])
    start = bytearray(ans104.encode_head(replace(head, tags=(Tag(b"n", b"v"),), written_tags=written)))
    with pytest.raises(InvalidItem):
        ans104.read_head(bytes(start))


def test_tags_in_blocks_with_sizes_are_read() -> None:
    head = ans104.read_head(ITEMS["untagged"])
    tag = Tag(b"n", b"v")
    written = b"\x01\x08\x02n\x02v" + b"\x00"  # Avro allows a negative count, followed by the size of the block
    assert ans104.read_head(ans104.encode_head(replace(head, tags=(tag,), written_tags=written))).tags == (tag,)


def test_a_bundle_of_arbundles_is_read() -> None:
    (first, data), (second, other) = ans104.read_bundle(BUNDLE)
    assert (first.tags, data, second.tags, other) == (TAGS, DATA, (), b"x")
    entries = ans104.read_bundle_head(BUNDLE)
    made = ans104.bundle_head([(from_base64url(entry.id), entry.size_bytes) for entry in entries])
    assert BUNDLE.startswith(made)
    assert len(made) == ans104.bundle_head_bytes(BUNDLE[:32])


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        BUNDLE[:31],
        BUNDLE[:100],
        BUNDLE[:-1],
        BUNDLE + b"x",
        b"\xff" * 32 + BUNDLE[32:],
        BUNDLE[:32] + b"\xff" * 32 + BUNDLE[64:],
        BUNDLE[:64] + bytes(32) + BUNDLE[96:],
    ],
)
def test_malformed_bundles_are_refused(bundle: bytes) -> None:
    with pytest.raises((InvalidBundle, InvalidItem)):
        list(ans104.read_bundle(bundle))
