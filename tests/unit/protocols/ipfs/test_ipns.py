"""IPNS names and records: what is refused. That good ones are as Kubo makes them: conformance/test_ipns_kubo.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cbrrr
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns, messages, peerkeys
from af.protocols.ipfs.errors import InvalidKey, InvalidName, InvalidRecord

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NAME = ipns.name_of(KEY)
VALUE = b"/ipfs/bafkqaddwgevxmmraojswg33smq"
UNTIL = datetime(2126, 1, 1, tzinfo=UTC)


def made(key: Ed25519PrivateKey = KEY, value: bytes = VALUE, sequence: int = 1, until: datetime | str = UNTIL) -> bytes:
    return ipns.create(key, value, sequence=sequence, valid_until=until, ttl_seconds=60)


def changed(record: bytes, **fields: messages.Field | None) -> bytes:
    """The record with fields replaced, taken away (None) or added, by number: `f1=b"…"`."""
    replaced = messages.decode(record) | {int(name[1:]): value for name, value in fields.items()}
    return messages.encode(dict(sorted(replaced.items())))


def signed(values: object, key: Ed25519PrivateKey = KEY) -> bytes:
    """A record of version 2 alone, with `values` for its map."""
    data = cbrrr.encode_dag_cbor(values)  # type: ignore[arg-type]
    return messages.encode({8: key.sign(b"ipns-signature:" + data), 9: data})


def values(**others: object) -> dict[str, object]:
    return {"Value": VALUE, "ValidityType": 0, "Validity": b"2126-01-01T00:00:00Z", "Sequence": 1, "TTL": 60} | others


def test_a_record_says_what_was_put_into_it() -> None:
    record = ipns.read(NAME, made(sequence=9))

    assert (record.value, record.sequence, record.valid_until, record.ttl_seconds) == (VALUE, 9, UNTIL, 60)
    assert not record.is_expired(UNTIL)
    assert record.is_expired(UNTIL + timedelta(microseconds=1))


def test_fractions_of_the_end_are_kept() -> None:
    record = ipns.read(NAME, made(until="2126-01-01T00:00:00.123456789Z"))

    assert record.valid_until == UNTIL + timedelta(microseconds=123_456)
    assert record.validity == b"2126-01-01T00:00:00.123456789Z"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(made(OTHER), id="another key"),
        pytest.param(changed(made(), f7=peerkeys.encode_public(OTHER.public_key())), id="another key inside"),
        pytest.param(changed(made(), f7=b"\x08\x01\x12\x00"), id="no key inside"),
        pytest.param(changed(made(), f8=None), id="no signature"),
        pytest.param(changed(made(), f8=b""), id="empty signature"),
        pytest.param(changed(made(), f8=bytes(64)), id="zero signature"),
        pytest.param(changed(made(), f8=1), id="a number for a signature"),
        pytest.param(changed(made(), f8=None, f9=None), id="version 1 alone"),
        pytest.param(changed(made(), f9=cbrrr.encode_dag_cbor(values(Sequence=2))), id="other data"),
        pytest.param(changed(made(), f1=b"/ipfs/other"), id="version 1 has another value"),
        pytest.param(changed(made(), f1=None), id="version 1 lost its value"),
        pytest.param(changed(made(), f3=1), id="version 1 has another validity type"),
        pytest.param(changed(made(), f4=b"2127-01-01T00:00:00Z"), id="version 1 ends later"),
        pytest.param(changed(made(), f5=2), id="version 1 has another sequence"),
        pytest.param(changed(made(), f5=None), id="version 1 lost its sequence"),
        pytest.param(changed(made(), f6=61), id="version 1 has another time to live"),
        pytest.param(changed(signed(values()), f5=5), id="only a sequence of version 1"),
        pytest.param(made() + messages.encode({5: 1}), id="a field twice"),
        pytest.param(made() + b"\x7a\x7f", id="cut short"),
        pytest.param(made()[:-1], id="cut short inside the data"),
        pytest.param(made() + b"\x7d\x00\x00\x00\x00", id="a wire type of no use"),
        pytest.param(changed(made(), f20=bytes(ipns.MAX_RECORD_BYTES)), id="too large"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00", id="zero"),
        pytest.param(signed([]), id="no map"),
        pytest.param(signed({}), id="an empty map"),
        pytest.param(signed(values(Value="/ipfs/x")), id="a text for bytes"),
        pytest.param(signed(values(Sequence=-1)), id="a negative sequence"),
        pytest.param(signed(values(Sequence=True)), id="a true sequence"),
        pytest.param(signed(values(TTL=-1)), id="a negative time to live"),
        pytest.param(signed(values(ValidityType=1)), id="an unknown validity type"),
        pytest.param(signed(values(Validity=b"tomorrow")), id="no moment"),
        pytest.param(signed(values(Validity=b"2126-13-01T00:00:00Z")), id="no such month"),
        pytest.param(signed(values(Validity=b"0001-01-01T00:00:00+14:00")), id="a moment before time"),
        pytest.param(signed(values(Validity="2126-01-01T00:00:00Z".translate({48: 0x660}).encode())), id="odd digits"),
    ],
)
def test_a_forged_or_malformed_record_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        ipns.read(NAME, data)


def test_a_record_of_version_2_alone_and_unknown_fields_are_taken() -> None:
    assert ipns.read(NAME, signed(values(More="things"))).value == VALUE
    assert ipns.read(NAME, changed(made(), f20=b"later")).value == VALUE
    assert ipns.read(NAME, changed(made(), f2=b"not looked at")).value == VALUE


def test_a_record_of_exactly_the_bound_is_taken() -> None:
    room = ipns.MAX_RECORD_BYTES - len(changed(made(), f20=bytes(9000))) + 9000
    data = changed(made(), f20=bytes(room))

    assert len(data) == ipns.MAX_RECORD_BYTES
    assert ipns.read(NAME, data).value == VALUE


def test_a_hashed_name_needs_the_key_in_its_record() -> None:
    key = rsa.generate_private_key(65537, 2048)
    data = ipns.create(key, VALUE, sequence=1, valid_until=UNTIL, ttl_seconds=60)

    assert ipns.read(ipns.name_of(key), data).value == VALUE
    with pytest.raises(InvalidRecord, match="carries no public key"):
        ipns.read(ipns.name_of(key), changed(data, f7=None))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(made()) - 1), st.integers(1, 255))
def test_no_changed_byte_gives_another_meaning(position: int, difference: int) -> None:
    data = bytearray(made())
    data[position] ^= difference

    try:
        record = ipns.read(NAME, bytes(data))
    except InvalidRecord:
        return
    assert (record.value, record.sequence, record.valid_until, record.ttl_seconds) == (VALUE, 1, UNTIL, 60)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        ipns.read(NAME, data)


@pytest.mark.parametrize(
    ("sequence", "ttl", "until"),
    [(-1, 60, UNTIL), (1 << 63, 60, UNTIL), (1, -1, UNTIL), (1, 1e10, UNTIL), (1, 60, "soon")],
)
def test_a_record_that_nobody_could_read_is_not_made(sequence: int, ttl: float, until: datetime | str) -> None:
    with pytest.raises(InvalidRecord):
        ipns.create(KEY, VALUE, sequence=sequence, valid_until=until, ttl_seconds=ttl)


def test_a_record_over_the_bound_is_not_made() -> None:
    with pytest.raises(InvalidRecord, match="10,240"):
        made(value=b"/ipfs/" + b"x" * 5100)


def test_the_newer_record_wins() -> None:
    def record(sequence: int, until: str) -> ipns.Record:
        return ipns.read(NAME, made(sequence=sequence, until=until))

    old, new = record(1, "2126-01-02T00:00:00Z"), record(2, "2126-01-01T00:00:00Z")
    assert ipns.newer(old, new) is ipns.newer(new, old) is new
    short, long = record(1, "2126-01-01T00:00:00.000000001Z"), record(1, "2126-01-01T00:00:00.000000002Z")
    assert ipns.newer(short, long) is ipns.newer(long, short) is long


# --- names ---------------------------------------------------------------------------------------------------------


def test_a_name_is_the_same_in_every_spelling() -> None:
    base36, base32, base16 = ipns.to_text(NAME), cids.to_text(NAME), "f" + NAME.hex()

    assert base36.startswith("k51qzi5uqu5d")
    assert {ipns.parse_name(text) for text in (base36, base32, base16)} == {NAME}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "example.com",
        "/ipns/" + ipns.to_text(NAME),
        ipns.to_text(NAME).upper(),
        ipns.to_text(NAME) + "0",
        "12D3KooW",
        "Qm",
        "1" * 60,
        "1" * 300,
        cids.to_text(cids.of(cids.RAW, b"")),
        cids.to_text(cids.of(cids.DAG_PB, b"")),
        cids.to_text(cids.CID(b"\x01\x72\x00\x2b" + bytes(43))),
        cids.to_text(cids.CID(b"\x01\x72\x13\x40" + bytes(64))),
        "QmNOTBASE58l0O",
        "12D3KooWDUc8C2UYdEXTZ5YUofspUsiEhEYSncYqLy9BipxT4Us\u0661",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        ipns.parse_name(text)


# --- keys ----------------------------------------------------------------------------------------------------------


def private(kind: int, data: bytes) -> bytes:
    return messages.encode({1: kind, 2: data})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"key",
        private(1, bytes(63)),
        private(1, bytes(range(32)) + bytes(32)),
        private(2, bytes(31)),
        private(2, bytes(32)),
        private(3, b"\x30\x00"),
        private(0, b"\x30\x00"),
        private(9, bytes(64)),
        private(1, bytes(64)) + messages.encode({3: b"more"}),
        messages.encode({1: 1}),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        bytes(peerkeys.MAX_KEY_BYTES + 1),
    ],
)
def test_what_is_no_private_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidKey):
        peerkeys.import_key(data)


def test_short_rsa_keys_are_refused() -> None:
    key = rsa.generate_private_key(65537, 1024)

    with pytest.raises(InvalidKey, match="bits"):
        peerkeys.import_key(peerkeys.export_key(key))
    with pytest.raises(InvalidKey, match="bits"):
        peerkeys.decode_public(peerkeys.encode_public(key.public_key()))


def test_a_public_key_of_another_type_than_it_says_is_refused() -> None:
    encoded = messages.decode(peerkeys.encode_public(ec.generate_private_key(ec.SECP256R1()).public_key()))

    for kind in (0, 1, 2):
        with pytest.raises(InvalidKey):
            peerkeys.decode_public(messages.encode(encoded | {1: kind}))


def test_the_old_form_of_an_ed25519_key_is_read() -> None:
    key = peerkeys.import_key(private(1, KEY.private_bytes_raw() + 2 * KEY.public_key().public_bytes_raw()))

    assert ipns.name_of(key) == NAME
