"""IPNS names and records (https://specs.ipfs.tech/ipns/ipns-record/): a signed, dated pointer that its key can move.

A name is a public key: CIDv1, codec libp2p-key, over an identity (Ed25519, secp256k1) or sha2-256 (RSA, ECDSA)
multihash. A record is a protobuf around a dag-cbor map, which signatureV2 covers. Records made here carry the older V1
fields too, as Kubo's do, and are byte for byte what Kubo makes from the same key and values. Nothing here asks the
time: `read` says whether a record is genuine, `Record.is_expired` whether it still counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import cbrrr

from af.protocols import base58
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import messages, peerkeys
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, InvalidCid, InvalidKey, InvalidName, InvalidRecord
from af.protocols.ipfs.peerkeys import PrivateKey

Name = CID

CONTENT_TYPE = "application/vnd.ipfs.ipns-record"
MAX_RECORD_BYTES = 10 * 1024
MAX_SEQUENCE = (1 << 63) - 1
_NANOSECONDS = 1_000_000_000

# Field numbers of IpnsEntry.
_VALUE, _SIGNATURE_V1, _VALIDITY_TYPE, _VALIDITY, _SEQUENCE, _TTL, _PUBLIC_KEY, _SIGNATURE_V2, _DATA = range(1, 10)
_VERSION_1 = (_VALUE, _VALIDITY_TYPE, _VALIDITY, _SEQUENCE, _TTL)
_VALIDITY_TYPE_EOL = 0
_V2_PREFIX = b"ipns-signature:"


# --- names ---------------------------------------------------------------------------------------------------------


def parse_name(text: str) -> Name:
    """Reads a name: CIDv1 in any base (`k51…`, `bafz…`, `f01…`, `z…`), or a peer ID in base58 (`12D3KooW…`, `Qm…`).

    :raises InvalidName: anything else; also a CID whose codec is not libp2p-key.
    """
    try:
        if text.startswith(("1", "Qm")):
            return of_multihash(base58.decode(text))
        name = cids.parse(text)
    except ValueError as error:  # InvalidCid is one
        raise InvalidName(f"not an IPNS name: {error}") from None
    if cids.codec(name) != cids.LIBP2P_KEY:
        raise InvalidName(
            f"not an IPNS name: the codec of {text[:80]} is 0x{cids.codec(name):x}, not libp2p-key (0x72)"
        )
    return _checked(name)


def of_multihash(multihash: bytes) -> Name:
    """The name over a key's multihash: what a peer ID, or a CID with the wrong codec, stands for."""
    try:
        return _checked(cids.from_bytes(b"\x01\x72" + multihash))
    except InvalidCid as error:
        raise InvalidName(f"not an IPNS name: {error}") from None


def _checked(name: CID) -> Name:
    multihash = cids.multihash(name)
    if multihash[0] == cids.IDENTITY and len(multihash) > 2 + peerkeys.MAX_INLINE_BYTES:
        raise InvalidName(f"not an IPNS name: a key of more than {peerkeys.MAX_INLINE_BYTES} bytes is not inlined")
    if multihash[0] not in (cids.IDENTITY, cids.SHA2_256):
        raise InvalidName("not an IPNS name: its multihash is neither identity nor sha2-256")
    return name


def to_text(name: Name) -> str:
    """Base36, `k…`: the usual text."""
    return cids.to_base36(name)


def name_of(key: PrivateKey) -> Name:
    return of_multihash(peerkeys.multihash(peerkeys.encode_public(key.public_key())))


# --- records -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record whose signature is genuine."""

    value: bytes
    """What the name points at: a content path, `/ipfs/…` or `/ipns/…`. Whoever follows it checks it."""

    sequence: int
    valid_until: datetime
    """To the microsecond; `validity` is what was signed."""

    ttl_seconds: float
    """How long the answer may be kept before asking again. 0: the publisher did not say."""

    validity: bytes
    """RFC 3339 with nanoseconds, as it was signed."""

    data: bytes
    """The whole record as it came."""

    def is_expired(self, now: datetime) -> bool:
        return now > self.valid_until


def newer(first: Record, second: Record) -> Record:
    """Which of two records of one name wins: the higher sequence, then the later end, then the larger bytes."""
    return max(first, second, key=_rank)


def _rank(record: Record) -> tuple[int, tuple[datetime, int], bytes]:
    moment = _moment(record.validity)
    assert moment is not None  # read() has parsed it
    return record.sequence, moment, record.data


def create(key: PrivateKey, value: bytes, *, sequence: int, valid_until: datetime | str, ttl_seconds: float) -> bytes:
    """A record signed with `key`, in the bytes Kubo would write.

    `valid_until` is a moment with a zone, or its RFC 3339 text where nanoseconds matter.
    :raises InvalidRecord: a number out of range, a text that is no moment, or more than `MAX_RECORD_BYTES` in all.
    """
    validity = _written(valid_until) if isinstance(valid_until, datetime) else valid_until.encode()
    ttl = round(ttl_seconds * _NANOSECONDS)
    if not 0 <= sequence <= MAX_SEQUENCE or not 0 <= ttl <= MAX_SEQUENCE or _moment(validity) is None:
        raise InvalidRecord("the sequence, the time to live or the end of the record is out of range")
    data = cbrrr.encode_dag_cbor(
        {"Value": value, "Validity": validity, "ValidityType": _VALIDITY_TYPE_EOL, "Sequence": sequence, "TTL": ttl}
    )
    public = peerkeys.encode_public(key.public_key())
    record = messages.encode(
        {
            _VALUE: value,
            _SIGNATURE_V1: peerkeys.sign(key, value + validity + b"EOL"),
            _VALIDITY_TYPE: _VALIDITY_TYPE_EOL,
            _VALIDITY: validity,
            _SEQUENCE: sequence,
            _TTL: ttl,
            _PUBLIC_KEY: None if len(public) <= peerkeys.MAX_INLINE_BYTES else public,
            _SIGNATURE_V2: peerkeys.sign(key, _V2_PREFIX + data),
            _DATA: data,
        }
    )
    if len(record) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"the record has {len(record):,} bytes; {MAX_RECORD_BYTES:,} are allowed")
    return record


def read(name: Name, data: bytes) -> Record:
    """Reads and verifies a record of `name`. Does not look at its end: an expired record is still a genuine one.

    Refused as Kubo refuses them: a record without signatureV2 (version 1 alone), a signature by another key, V1 fields
    that differ from the signed ones. signatureV1 is not looked at: nobody relies on it any more.
    :raises InvalidRecord: any of these, or malformed, or more than `MAX_RECORD_BYTES`.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"the record has {len(data):,} bytes; {MAX_RECORD_BYTES:,} are allowed")
    try:
        fields = messages.decode(data)
        public = peerkeys.decode_public(_public_key(name, fields))
    except (InvalidBlock, InvalidKey) as error:
        raise InvalidRecord(f"not an IPNS record: {error}") from None
    signature, signed = fields.get(_SIGNATURE_V2), fields.get(_DATA)
    if not isinstance(signature, bytes) or not isinstance(signed, bytes):
        raise InvalidRecord("the record has no signature of version 2; version 1 alone is not safe")
    if not peerkeys.verify(public, signature, _V2_PREFIX + signed):
        raise InvalidRecord("the record is not signed by the key of this name")
    values = _signed_values(signed)
    _check_version_1(fields, values)
    return _record(values, data)


def _public_key(name: Name, fields: dict[int, messages.Field]) -> bytes:
    """The encoded key of `name`: out of the record, where it must be the right one, or out of the name itself."""
    public = fields.get(_PUBLIC_KEY)
    if public is None:
        if not cids.is_identity(name):
            raise InvalidRecord("the record carries no public key, and its name does not either")
        return cids.digest(name)
    if not isinstance(public, bytes) or peerkeys.multihash(public) != cids.multihash(name):
        raise InvalidRecord("the record carries the public key of another name")
    return public


class _Signed(NamedTuple):
    """What signatureV2 covers; the order is that of the fields of version 1."""

    value: bytes
    validity_type: int
    validity: bytes
    sequence: int
    ttl: int


def _signed_values(signed: bytes) -> _Signed:
    """The dag-cbor map, checked to have the five values with the right types and in range."""
    try:
        values = cbrrr.decode_dag_cbor(signed)
    except ValueError as error:
        raise InvalidRecord(f"the signed data is not dag-cbor: {error}") from None
    match values:
        case {
            "Value": bytes(value),
            "ValidityType": int(kind),
            "Validity": bytes(validity),
            "Sequence": int(sequence),
            "TTL": int(ttl),
        }:
            found = _Signed(value, kind, validity, sequence, ttl)
        case _:
            raise InvalidRecord("the signed data is not a map with Value, ValidityType, Validity, Sequence and TTL")
    if bool in (type(kind), type(sequence), type(ttl)):  # to Python, a bool is an int
        raise InvalidRecord("the signed data has a boolean where a number belongs")
    if kind != _VALIDITY_TYPE_EOL or not 0 <= sequence <= MAX_SEQUENCE or not 0 <= ttl <= MAX_SEQUENCE:
        raise InvalidRecord("the validity type, the sequence or the time to live of the record is out of range")
    return found


def _check_version_1(fields: dict[int, messages.Field], signed: _Signed) -> None:
    """Each field of version 1 must say what was signed. Once there is a value or signatureV1, one left out has its
    default, as protobuf has it."""
    older: dict[int, messages.Field] = dict(zip(_VERSION_1, signed, strict=True))
    present = fields
    if _VALUE in fields or _SIGNATURE_V1 in fields:
        present = {number: type(value)() for number, value in older.items()} | fields
    if any(present[number] != value for number, value in older.items() if number in present):
        raise InvalidRecord("the fields of version 1 say something other than the signed data")


def _record(signed: _Signed, data: bytes) -> Record:
    moment = _moment(signed.validity)
    if moment is None:
        raise InvalidRecord("the end of the record is not a moment as RFC 3339 writes it")
    return Record(
        value=signed.value,
        sequence=signed.sequence,
        valid_until=moment[0] + timedelta(microseconds=moment[1] // 1000),
        ttl_seconds=signed.ttl / _NANOSECONDS,
        validity=signed.validity,
        data=data,
    )


_RFC3339 = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def _moment(validity: bytes) -> tuple[datetime, int] | None:
    """The whole second (UTC) and its nanoseconds, which a datetime cannot hold; None if it is no moment."""
    match = _RFC3339.fullmatch(validity)
    if match is None:
        return None
    second, fraction, zone = (part.decode() for part in match.groups(b""))
    try:
        return datetime.fromisoformat(second + zone.replace("Z", "+00:00")).astimezone(UTC), int(fraction.ljust(9, "0"))
    except (ValueError, OverflowError):
        return None


def _written(moment: datetime) -> bytes:
    """As Go's RFC3339Nano writes it: UTC, no zeros at the end of the fraction."""
    assert moment.tzinfo is not None
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z".encode()
