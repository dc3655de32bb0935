"""CIDs: text and bytes, both ways, strictly."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import cid, varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid, InvalidVarint, IpfsError, UnsupportedHash

EMPTY_V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
EMPTY_V1 = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"  # raw "hello", from Kubo
IPNS_KEY = "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r"  # from the IPNS documentation


def identity(data: bytes, codec: int = cid.RAW) -> CID:
    return CID(b"\x01" + varint.encode(codec) + b"\x00" + varint.encode(len(data)) + data)


some_cids = st.one_of(
    st.binary(max_size=200).map(lambda data: cid.of(cid.RAW, data)),
    st.binary(max_size=200).map(lambda data: cid.of(cid.DAG_JSON, data)),
    st.binary(max_size=200).map(lambda data: CID(b"\x12\x20" + hashlib.sha256(data).digest())),
    st.binary(max_size=cid.MAX_DIGEST_BYTES).map(identity),
    st.binary(max_size=9).map(lambda data: CID(b"\x01\x55\x13\x40" + hashlib.sha512(data).digest())),
)


def test_the_known_texts_of_the_empty_directory_agree() -> None:
    assert cid.to_text(cid.EMPTY_DIRECTORY) == EMPTY_V1
    assert cid.parse(EMPTY_V1) == cid.EMPTY_DIRECTORY
    assert cid.as_v1(cid.parse(EMPTY_V0)) == cid.EMPTY_DIRECTORY
    assert cid.to_text(cid.parse(EMPTY_V0)) == EMPTY_V0


def test_known_text_of_raw_bytes() -> None:
    assert cid.to_text(cid.of(cid.RAW, b"hello")) == HELLO


def test_an_ipns_name_is_a_libp2p_key_in_base36() -> None:
    found = cid.parse(IPNS_KEY)
    assert cid.codec(found) == cid.LIBP2P_KEY
    assert cid.is_identity(found)
    assert cid.to_base36(found) == IPNS_KEY


def test_the_parts_of_both_versions() -> None:
    v0, v1 = cid.parse(EMPTY_V0), cid.parse(EMPTY_V1)
    assert (cid.version(v0), cid.version(v1)) == (0, 1)
    assert cid.codec(v0) == cid.codec(v1) == cid.DAG_PB
    assert cid.multihash(v0) == cid.multihash(v1) == v0
    assert cid.digest(v0) == cid.digest(v1) == hashlib.sha256(b"\x0a\x02\x08\x01").digest()
    assert cid.codec(cid.of(cid.DAG_JSON, b"{}")) == cid.DAG_JSON


@given(some_cids)
def test_every_base_gives_the_cid_back(found: CID) -> None:
    v1 = cid.as_v1(found)
    base32 = base64.b32encode(v1).decode().rstrip("=")
    texts = [cid.to_text(found), "b" + base32.lower(), "B" + base32, "f" + v1.hex(), "F" + v1.hex().upper()]
    assert cid.parse(texts[0]) == found
    assert [cid.parse(text) for text in texts[1:]] == [v1] * 4
    assert cid.parse(cid.to_base36(found)) == v1
    assert cid.from_bytes(found) == found
    assert cid.to_text(v1) == texts[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "Qm",
        "hello world",
        EMPTY_V0[:-1],
        EMPTY_V0 + "1",
        EMPTY_V0.replace("U", "0"),  # 0 is not in base58
        "z" + EMPTY_V0,  # version 0 takes no multibase prefix
        EMPTY_V1[:-1],
        EMPTY_V1 + "a",
        EMPTY_V1 + "=",
        EMPTY_V1[:-1] + "5",  # spare bits set
        "b" + EMPTY_V1[1:].upper(),  # upper case is base B
        EMPTY_V1[:20] + EMPTY_V1[20:].upper(),
        " " + EMPTY_V1,
        EMPTY_V1[:30] + "_" + EMPTY_V1[31:],
        EMPTY_V1[:30] + "1" + EMPTY_V1[31:],
        EMPTY_V1[:30] + "é" + EMPTY_V1[31:],
        "u" + base64.urlsafe_b64encode(cid.EMPTY_DIRECTORY).decode(),
        "f" + cid.EMPTY_DIRECTORY.hex() + "0",
        "f" + cid.EMPTY_DIRECTORY.hex() + "00",
        "f" + cid.EMPTY_DIRECTORY.hex().upper(),
        "f02" + cid.EMPTY_DIRECTORY.hex()[2:],  # CID version 2
        "f8100" + cid.EMPTY_DIRECTORY.hex()[2:],  # version as a padded varint
        "f0155" + "1e20" + "00" * 31,  # cut short
        "f0155" + "1210" + "00" * 16,  # a sha2-256 of 16 bytes
        "b" + "a" * 10_000,
        "k" + "0" * 400,
    ],
)
def test_text_that_is_not_exactly_a_cid_is_refused(text: str) -> None:
    with pytest.raises(InvalidCid):
        cid.parse(text)


@given(st.text(max_size=80))
def test_any_text_parses_or_is_an_invalid_cid(text: str) -> None:
    for candidate in (text, "b" + text, "k" + text, "z" + text, "f" + text, "Qm" + text):
        try:
            found = cid.parse(candidate)
        except InvalidCid:
            continue
        assert cid.from_bytes(found) == found


@given(st.binary(max_size=80))
def test_any_bytes_read_or_are_an_invalid_cid(data: bytes) -> None:
    for candidate in (data, b"\x01" + data, b"\x01\x55" + data, b"\x12\x20" + data):
        try:
            found, end = cid.read(candidate)
        except InvalidCid:
            continue
        assert candidate[:end] == found
        assert cid.from_bytes(found) == found
        cid.codec(found), cid.digest(found), cid.to_text(found)


def test_reading_stops_at_the_end_of_the_cid() -> None:
    assert cid.read(b"??" + cid.EMPTY_DIRECTORY + b"rest", 2) == (cid.EMPTY_DIRECTORY, 38)
    with pytest.raises(InvalidCid):
        cid.from_bytes(cid.EMPTY_DIRECTORY + b"rest")


@pytest.mark.parametrize(
    ("function", "digest"),
    [
        (b"\x12", hashlib.sha256(b"data").digest()),
        (b"\x13", hashlib.sha512(b"data").digest()),
        (b"\xa0\xe4\x02", hashlib.blake2b(b"data", digest_size=32).digest()),
        (b"\x00", b"data"),
    ],
)
def test_verify_tells_the_block_from_any_other(function: bytes, digest: bytes) -> None:
    found = cid.from_bytes(b"\x01\x55" + function + varint.encode(len(digest)) + digest)
    assert cid.verify(found, b"data")
    assert not cid.verify(found, b"other")
    assert not cid.verify(found, b"")


def test_verify_works_for_version_0() -> None:
    assert cid.verify(cid.parse(EMPTY_V0), b"\x0a\x02\x08\x01")
    assert not cid.verify(cid.parse(EMPTY_V0), b"\x0a\x02\x08\x02")


def test_verify_says_when_it_cannot() -> None:
    blake3 = cid.from_bytes(b"\x01\x55\x1e\x20" + bytes(32))
    with pytest.raises(UnsupportedHash):
        cid.verify(blake3, b"data")


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_varints_round_trip(value: int) -> None:
    encoded = varint.encode(value)
    assert varint.decode(encoded + b"\x01") == (value, len(encoded))
    assert varint.size(value) == len(encoded)


@pytest.mark.parametrize("encoded", [b"", b"\x80", b"\x80\x00", b"\xff" * 9, b"\xff" * 9 + b"\x01"])
def test_bad_varints_are_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidVarint):
        varint.decode(encoded)


@pytest.mark.parametrize("value", [-1, 2**63])
def test_numbers_that_do_not_fit_a_varint_are_refused(value: int) -> None:
    with pytest.raises(InvalidVarint):
        varint.encode(value)


def test_all_errors_are_value_errors() -> None:
    assert issubclass(IpfsError, ValueError)
