"""Hostile blocks of data: deep, long, many, or nonsense; read or refused by an error of ours, in time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor, dagjson, datamodel, pbform
from af.protocols.ipfs.datamodel import DEPTH_MAX, VALUES_MAX, Value
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded

HOSTILE_SECONDS = 5.0


def nested(depth: int) -> Value:
    value: Value = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("codec", [dagjson, dagcbor], ids=["dag-json", "dag-cbor"])
def test_depth_is_bounded_both_ways(codec: object) -> None:
    encode: Callable[[Value], bytes] = codec.encode  # type: ignore[attr-defined]
    decode: Callable[[bytes], Value] = codec.decode  # type: ignore[attr-defined]
    assert decode(encode(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    for depth in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(LimitExceeded):
            encode(nested(depth))
        with pytest.raises(LimitExceeded):
            decode(b"[" * depth + b"]" * depth if codec is dagjson else b"\x81" * depth + b"\x00")


@pytest.mark.parametrize("codec", [dagjson, dagcbor], ids=["dag-json", "dag-cbor"])
def test_the_number_of_values_is_bounded(codec: object) -> None:
    encode: Callable[[Value], bytes] = codec.encode  # type: ignore[attr-defined]
    decode: Callable[[bytes], Value] = codec.decode  # type: ignore[attr-defined]
    items: list[Value] = [1, []]
    for item in items:
        allowed: Value = [item] * (VALUES_MAX // 8)
        assert decode(encode(allowed)) == allowed
        with pytest.raises(LimitExceeded):
            decode(encode([item] * (VALUES_MAX + 1)))


def test_what_is_in_strings_and_bytes_are_no_values() -> None:
    assert dagjson.decode(b'"' + b"," * 1_000_000 + b'"') == "," * 1_000_000
    value: Value = [b"\x81" * 300_000, b"\x00" * 300_000, "\x01" * 300_000, {"a" * 300_000: 1}]
    assert dagcbor.decode(dagcbor.encode(value)) == value


def test_brackets_in_strings_are_not_depth() -> None:
    assert dagjson.decode(b'["' + b"[" * 1_000 + b'\\"' + b"{" * 1_000 + b'"]') == ["[" * 1_000 + '"' + "{" * 1_000]


@pytest.mark.parametrize(
    "block",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 1_000_000,
        b"[" * 300 + b'"\\"' + b'\\"' * 900_000,
        b'"' * 2_000_000,
        b'{"/":' * 300_000,
        b"[" + b"{}," * 600_000 + b"{}]",
        b"\x81" * 100_000 + b"\x00",
        b"\xa1\x61a" * 100_000 + b"\x00",
        b"\x9a\x00\x1e\x84\x80" + b"\x80" * 2_000_000,
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5a\x7f\xff\xff\xff" + b"x" * 1_000,
        b" " * 3_000_000,
    ],
    ids=range(14),
)
def test_a_hostile_block_is_read_or_refused_in_time(block: bytes) -> None:
    for decode in (dagjson.decode, dagjson.decode_plain, dagcbor.decode, dagcbor.decode_plain, pbform.decode):
        started = time.monotonic()
        try:
            decode(block)
        except (InvalidBlock, LimitExceeded):
            pass
        assert time.monotonic() - started < HOSTILE_SECONDS


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_a_value_or_an_error_of_ours(block: bytes) -> None:
    for codec in (cids.DAG_JSON, cids.DAG_CBOR, cids.DAG_PB, cids.RAW, dagjson.JSON, dagjson.CBOR):
        try:
            dagjson.decode_block(codec, block)
        except (InvalidBlock, LimitExceeded):
            pass


@given(st.text(alphabet='{}[]",:/\\ubytes0123456789.eE+-AQ= ', max_size=60))
@settings(max_examples=500)
def test_text_that_looks_like_dag_json_is_a_value_or_an_error_of_ours(text: str) -> None:
    try:
        value = dagjson.decode(text.encode())
    except (InvalidBlock, LimitExceeded):
        return
    assert dagjson.encode(dagjson.decode(dagjson.encode(value))) == dagjson.encode(value)


def test_a_value_that_contains_itself_is_too_deep() -> None:
    endless: list[Value] = []
    endless.append(endless)
    for call in (datamodel.check, datamodel.links, dagjson.encode, dagcbor.encode):
        with pytest.raises(LimitExceeded):
            call(endless)
