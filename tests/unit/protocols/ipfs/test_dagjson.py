"""dag-json and dag-cbor as one data model: exact bytes, one form only, links and paths."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor, dagjson, datamodel, export, ipld, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import INT_MAX, INT_MIN, Link, Value
from af.protocols.ipfs.errors import InvalidBlock, UnsupportedCodec

TARGET = cids.of(cids.DAG_CBOR, b"\xa0")
TARGET_TEXT = cids.to_text(TARGET)
OLD_TARGET = CID(cids.multihash(TARGET))

WRITTEN: list[tuple[Value, str]] = [
    (None, "null"),
    (True, "true"),
    (0, "0"),
    (INT_MIN, "-18446744073709551616"),
    (INT_MAX, "18446744073709551615"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (0.1, "0.1"),
    (1e20, "100000000000000000000.0"),
    (1e21, "1e+21"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (-1.5e17, "-150000000000000000.0"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    ("", '""'),
    ('a"\\\n\r\t/', '"a\\"\\\\\\n\\r\\t/"'),
    ("\x00\x08\x0c\x1f\x7f", '"\\u0000\\u0008\\u000c\\u001f\x7f"'),
    ("é😀\u2028\u2029", '"é😀\\u2028\\u2029"'),
    (b"", '{"/":{"bytes":""}}'),
    (b"\x00", '{"/":{"bytes":"AA"}}'),
    (b"\xfb\xff", '{"/":{"bytes":"+/8"}}'),
    (Link(TARGET), f'{{"/":"{TARGET_TEXT}"}}'),
    (Link(OLD_TARGET), f'{{"/":"{cids.to_text(OLD_TARGET)}"}}'),
    ([], "[]"),
    ({}, "{}"),
    ([1, [2.0], {"b": b"x", "aa": None}], '[1,[2.0],{"aa":null,"b":{"/":{"bytes":"eA"}}}]'),
    ({"é": 1, "z": 2, "": 3, "😀": 4, "\uffff": 5}, '{"":3,"z":2,"é":1,"\uffff":5,"😀":4}'),
    ({"/": True}, '{"/":true}'),
    ({"/": {"bytes": 1}}, '{"/":{"bytes":1}}'),
    ({"/": {"a": 1, "bytes": "x"}}, '{"/":{"a":1,"bytes":"x"}}'),
    ({"!": 1, "/": "x"}, '{"!":1,"/":"x"}'),
    ({"/": Link(TARGET)}, f'{{"/":{{"/":"{TARGET_TEXT}"}}}}'),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=lambda item: repr(item)[:40])
def test_a_value_has_one_text_and_the_text_that_value(value: Value, text: str) -> None:
    block = text.encode()
    assert dagjson.encode(value) == block
    again = dagjson.decode(block)
    assert again == value
    assert type(again) is type(value)


def values() -> st.SearchStrategy[Value]:
    leaves: st.SearchStrategy[Value] = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(INT_MIN, INT_MAX),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
        st.binary(),
        st.sampled_from([Link(TARGET), Link(OLD_TARGET)]),
    )
    keys = st.text().filter(lambda key: key != "/")
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


def same(left: Value, right: Value) -> bool:
    """Equal, of equal types all the way: `1 == 1.0 == True` in Python, but not as blocks."""
    return repr(left) == repr(right) or dagcbor.encode(left) == dagcbor.encode(right)


@given(values())
@settings(max_examples=300)
def test_any_value_comes_back_through_either_codec(value: Value) -> None:
    assert same(dagjson.decode(dagjson.encode(value)), value)
    assert same(dagcbor.decode(dagcbor.encode(value)), value)
    assert dagjson.encode(dagcbor.decode(dagcbor.encode(value))) == dagjson.encode(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"b" : 1,\n\t"aa":2}\r\n', {"b": 1, "aa": 2}),
        ("1e3", 1000.0),
        ("-0", 0),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"/":{"bytes":"AAA="}}', b"\x00\x00"),
        ('{"/":{"b":1}}', {"/": {"b": 1}}),
    ],
)
def test_other_spellings_that_kubo_reads_are_read(text: str, value: Value) -> None:
    assert dagjson.decode(text.encode()) == value


REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "two values": b"1 2",
    "trailing comma": b"[1,]",
    "leading zero": b"01",
    "misspelt null": b"nule",
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "float too large": b"1e999",
    "integer too large": b"18446744073709551616",
    "integer of a million digits": b"1" * 1_000_000,
    "repeated key": b'{"a":1,"a":1}',
    "repeated key of a link": b'{"/":"x","/":"y"}',
    "byte order mark": b"\xef\xbb\xbf1",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "not UTF-8": b'"\xff"',
    "lone surrogate": b'["\\ud800"]',
    "lone surrogate as a key": b'{"\\udc00":1}',
    "UTF-8 of a surrogate": b'"\xed\xa0\x80"',
    "control character": b'"\x01"',
    "link that is none": b'{"/":"foo"}',
    "link of another base": b'{"/":"f015500020000"}',
    "link in upper case": b'{"/":"BAFKQAAA"}',
    "link and more": b'{"/":"bafkqaaa","a":1}',
    "link and more, out of order": b'{"a":1,"/":"bafkqaaa"}',
    "bytes and more": b'{"/":{"bytes":"AA"},"a":1}',
    "bytes and more inside": b'{"/":{"bytes":"AA","c":1}}',
    "base64 with a space": b'{"/":{"bytes":"A A"}}',
    "base64 with a line end": b'{"/":{"bytes":"AA\\nAA"}}',
    "base64 for URLs": b'{"/":{"bytes":"-_8"}}',
    "base64 with spare bits": b'{"/":{"bytes":"AB"}}',
    "base64 cut short": b'{"/":{"bytes":"A"}}',
    "base64 with half its padding": b'{"/":{"bytes":"AA="}}',
}


@pytest.mark.parametrize("block", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_dag_json_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidBlock):
        dagjson.decode(block)


def test_plain_json_knows_no_links_and_no_bytes() -> None:
    text = f'{{"/":"{TARGET_TEXT}"}}'.encode()
    assert dagjson.decode_plain(text) == {"/": TARGET_TEXT}
    assert dagjson.encode_plain({"/": TARGET_TEXT}) == text
    for value in (b"x", Link(TARGET), [Link(TARGET)]):
        with pytest.raises(InvalidBlock):
            dagjson.encode_plain(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        {"/": TARGET_TEXT},
        {"/": "anything"},
        {"/": "anything", "a": 1},
        {"/": {"bytes": "AA"}},
        {"/": {"bytes": "AA", "c": 1}},
        math.nan,
        math.inf,
        INT_MAX + 1,
        INT_MIN - 1,
        "\ud800",
        {"\ud800": 1},
        (1, 2),
        bytearray(b"x"),
    ],
    ids=repr,
)
def test_what_would_not_come_back_the_same_is_not_written(value: Value) -> None:
    with pytest.raises(InvalidBlock):
        dagjson.encode(value)


@pytest.mark.parametrize("value", [math.nan, INT_MAX + 1, "\ud800", {"\ud800": 1}, {1: 1}, (1,)], ids=repr)
def test_dag_cbor_writes_the_data_model_only(value: Value) -> None:
    with pytest.raises(InvalidBlock):
        dagcbor.encode(value)


@pytest.mark.parametrize(
    "text",
    [
        "1805",  # 5 in two bytes
        "f93c00",  # half precision
        "fa3f800000",  # single precision
        "f7",  # undefined
        "fb7ff8000000000000",  # NaN
        "fb7ff0000000000000",  # infinity
        "9fff",  # indefinite length
        "a2616201616102",  # keys out of order
        "a2616101616101",  # repeated key
        "a10101",  # a number as key
        "61ff",  # not UTF-8
        "c249010000000000000000",  # bignum tag
        "d82a420001",  # a link that is no CID
        "d82a4501551200",  # a link without its leading zero
        "0000",  # two values
        "",
    ],
)
def test_dag_cbor_takes_the_canonical_form_only(text: str) -> None:
    with pytest.raises(InvalidBlock):
        dagcbor.decode(bytes.fromhex(text))


def test_plain_cbor_knows_no_links() -> None:
    assert dagcbor.decode_plain(dagcbor.encode_plain({"a": [1, b"x"]})) == {"a": [1, b"x"]}
    with pytest.raises(InvalidBlock):
        dagcbor.decode_plain(dagcbor.encode(Link(TARGET)))
    with pytest.raises(InvalidBlock):
        dagcbor.encode_plain([Link(TARGET)])


# --- by codec, links, paths ----------------------------------------------------------------------------------------


def test_every_codec_is_found_by_its_number() -> None:
    for codec in (cids.DAG_JSON, cids.DAG_CBOR, dagjson.JSON, dagjson.CBOR):
        assert dagjson.decode_block(codec, dagjson.encode_block(codec, {"a": [1]})) == {"a": [1]}
    assert dagjson.decode_block(cids.RAW, b"x") == dagjson.encode_block(cids.RAW, b"x") == b"x"
    assert dagjson.encode_block(cids.DAG_PB, {"Links": []}) == b""
    with pytest.raises(InvalidBlock):
        dagjson.encode_block(cids.RAW, "x")
    with pytest.raises(UnsupportedCodec):
        dagjson.decode_block(0x78, b"")
    with pytest.raises(UnsupportedCodec):
        dagjson.encode_block(0x78, None)


def test_links_are_found_in_dag_json_and_dag_cbor_alike() -> None:
    value: Value = {"a": [Link(TARGET), {"b": Link(OLD_TARGET)}], "c": {"/": Link(TARGET)}}
    for codec in (cids.DAG_JSON, cids.DAG_CBOR):
        block = dagjson.encode_block(codec, value)
        assert sorted(export.links_of(cids.of(codec, block), block)) == sorted([TARGET, TARGET, OLD_TARGET])
        assert sorted(datamodel.links(dagjson.decode_block(codec, block))) == sorted([TARGET, TARGET, OLD_TARGET])


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("", (None, ())),
        ("a", (None, (b"a",))),
        ("a/0", (TARGET, ())),
        ("a/0/x/y", (TARGET, (b"x", b"y"))),
        ("a/1/é", (OLD_TARGET, ())),
        ("a/1/é/z", (OLD_TARGET, (b"z",))),
        ("n", (None, (b"n",))),
        ("n/x", (None, None)),
        ("a/2", (None, None)),
        ("a/+0", (None, None)),
        ("a/-1", (None, None)),
        ("a/²", (None, None)),
        ("b", (None, None)),
        ("s/0", (None, None)),
    ],
)
def test_paths_lead_through_maps_and_lists_to_links(path: str, reached: tuple[CID | None, object]) -> None:
    value: Value = {"a": [Link(TARGET), {"é": Link(OLD_TARGET)}], "n": None, "s": "text"}
    segments = tuple(part.encode() for part in path.split("/") if part)
    for codec in (cids.DAG_JSON, cids.DAG_CBOR):
        assert ipld.follow(codec, dagjson.encode_block(codec, value), segments) == reached


def test_a_unixfs_directory_reads_as_its_links() -> None:
    put: dict[CID, bytes] = {}
    entry = unixfs.build_tree([("a", unixfs.symlink(b"x", put.__setitem__))], put.__setitem__)
    form = dagjson.decode_block(cids.DAG_PB, put[entry.cid])
    assert isinstance(form, dict)
    assert [link["Name"] for link in form["Links"]] == ["a"]  # type: ignore[union-attr, call-overload, index]
