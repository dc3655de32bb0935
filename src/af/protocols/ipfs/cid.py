"""Content identifiers (https://github.com/multiformats/cid), kept as plain bytes.

A `CID` is the binary form: `<1><codec><multihash>` for version 1, the bare 34-byte sha2-256 multihash for version 0.
Bytes make good keys: they compare, hash and store without conversion. Text is for edges only: `parse` and `to_text`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NewType

from af.protocols.ipfs import varint
from af.protocols.ipfs.errors import InvalidCid, InvalidVarint, UnsupportedHash

CID = NewType("CID", bytes)

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
LIBP2P_KEY = 0x72
DAG_JSON = 0x0129

IDENTITY = 0x00
SHA2_256 = 0x12
SHA2_512 = 0x13
BLAKE2B_256 = 0xB220

MAX_DIGEST_BYTES = 128  # Kubo's bound for identity CIDs; every hash function we know is shorter
MAX_CID_BYTES = 4 * varint.MAX_BYTES + MAX_DIGEST_BYTES
MAX_TEXT = 1 + 2 * MAX_CID_BYTES  # base16 is the widest base we accept

_V0_PREFIX = b"\x12\x20"
_SHA2_256_PREFIXES = {
    code: b"\x01" + varint.encode(code) + _V0_PREFIX for code in (RAW, DAG_PB, DAG_CBOR, DAG_JSON, LIBP2P_KEY)
}
_COMMON_PREFIXES = frozenset(prefix for prefix in _SHA2_256_PREFIXES.values() if len(prefix) == 4)


def _blake2b_256(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


_HASHES: dict[int, tuple[int, Callable[[bytes], bytes]]] = {  # code -> (digest bytes, function)
    SHA2_256: (32, lambda data: hashlib.sha256(data).digest()),
    SHA2_512: (64, lambda data: hashlib.sha512(data).digest()),
    BLAKE2B_256: (32, _blake2b_256),
}


def of(codec: int, data: bytes | bytearray | memoryview) -> CID:
    """The CIDv1 (sha2-256) of a block."""
    prefix = _SHA2_256_PREFIXES.get(codec)
    if prefix is None:
        prefix = b"\x01" + varint.encode(codec) + _V0_PREFIX
    return CID(prefix + hashlib.sha256(data).digest())


def verify(cid: CID, data: bytes | bytearray | memoryview) -> bool:
    """Whether `data` is the block that `cid` names. Raises UnsupportedHash if we cannot compute its hash."""
    if cid[:4] in _COMMON_PREFIXES:
        return cid[4:] == hashlib.sha256(data).digest()
    function, expected = _hash_and_digest(cid)
    if function == IDENTITY:
        return expected == data
    if function not in _HASHES:
        raise UnsupportedHash(
            f"cannot verify hash function 0x{function:x} (supported: sha2-256, sha2-512, blake2b-256)"
        )
    return expected == _HASHES[function][1](bytes(data))


def matches(cid: CID, data: bytes | bytearray | memoryview) -> bool:
    """`verify` that takes a hash which we cannot compute for one that does not match."""
    try:
        return verify(cid, data)
    except UnsupportedHash:
        return False


# --- parts ---------------------------------------------------------------------------------------------------------


def version(cid: CID) -> int:
    return 0 if len(cid) == 34 and cid[:2] == _V0_PREFIX else 1


def codec(cid: CID) -> int:
    """The multicodec of the block: `RAW`, `DAG_PB`, …"""
    if version(cid) == 0:
        return DAG_PB
    return cid[1] if cid[1] < 0x80 else varint.decode(cid, 1)[0]


def multihash(cid: CID) -> bytes:
    """`<hash function><length><digest>`: what blocks with different codecs share."""
    return bytes(cid) if version(cid) == 0 else bytes(cid[varint.decode(cid, 1)[1] :])


def digest(cid: CID) -> bytes:
    return _hash_and_digest(cid)[1]


def is_identity(cid: CID) -> bool:
    """Whether the block's bytes are inside the CID itself (so it need not be fetched): they are `digest(cid)`."""
    return version(cid) == 1 and _hash_and_digest(cid)[0] == IDENTITY


def as_v1(cid: CID) -> CID:
    return CID(_SHA2_256_PREFIXES[DAG_PB][:2] + cid) if version(cid) == 0 else cid


def _hash_and_digest(cid: CID) -> tuple[int, bytes]:
    hashed = multihash(cid)
    function, offset = varint.decode(hashed)
    _, offset = varint.decode(hashed, offset)
    return function, hashed[offset:]


# --- bytes ---------------------------------------------------------------------------------------------------------


def from_bytes(data: bytes) -> CID:
    """Checks that `data` is exactly one CID."""
    if len(data) == 36 and data[:4] in _COMMON_PREFIXES:
        return CID(bytes(data))
    cid, end = read(data)
    if end != len(data):
        raise InvalidCid(f"{len(data) - end} bytes after the CID")
    return cid


def read(buffer: bytes | bytearray | memoryview, offset: int = 0) -> tuple[CID, int]:
    """Reads the CID that starts at `offset`; returns it and the offset after it."""
    is_v0 = bytes(buffer[offset : offset + 2]) == _V0_PREFIX
    end = offset + 34 if is_v0 else _end_of_v1(buffer, offset)
    if end > len(buffer):
        raise InvalidCid("CID is cut short")
    return CID(bytes(buffer[offset:end])), end


def _end_of_v1(buffer: bytes | bytearray | memoryview, offset: int) -> int:
    try:
        number, position = varint.decode(buffer, offset)
        if number != 1:
            raise InvalidCid(f"CID version {number} is not supported")
        _, position = varint.decode(buffer, position)
        function, position = varint.decode(buffer, position)
        length, position = varint.decode(buffer, position)
    except InvalidVarint as error:
        raise InvalidCid(f"not a CID: {error}") from None
    if length > MAX_DIGEST_BYTES:
        raise InvalidCid(f"digest of {length} bytes is longer than {MAX_DIGEST_BYTES}")
    if function in _HASHES and length != _HASHES[function][0]:
        raise InvalidCid(f"digest of {length} bytes does not fit hash function 0x{function:x}")
    return position + length


# --- text ----------------------------------------------------------------------------------------------------------

_BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
_BASE36 = b"0123456789abcdefghijklmnopqrstuvwxyz"
_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _only(alphabet: bytes, meaning: bytes) -> bytes:
    """A translation table from `alphabet` to digits `int()` understands; anything else becomes '!', which it refuses
    (by itself `int()` would allow underscores, signs, spaces and either case)."""
    table = bytearray(b"!" * 256)
    for symbol, digit in zip(alphabet, meaning, strict=False):
        table[symbol] = digit
    return bytes(table)


_FROM_BASE16 = _only(b"0123456789abcdef", b"0123456789abcdef")
_FROM_BASE16_UPPER = _only(b"0123456789ABCDEF", b"0123456789abcdef")
_FROM_BASE32 = _only(_BASE32, _BASE36)
_FROM_BASE32_UPPER = _only(_BASE32.upper(), _BASE36)
_FROM_BASE36 = _only(_BASE36, _BASE36)
_FROM_BASE58 = {symbol: value for value, symbol in enumerate(_BASE58)}


def parse(text: str) -> CID:
    """Reads a CID from text: `Qm…` (version 0), or version 1 in base32 `b` `B`, base36 `k`, base58 `z`, base16 `f` `F`.

    Strict: exact alphabet and case, no padding, no spare bits, nothing after the digest. Raises InvalidCid.
    """
    if len(text) == 59 and text[0] == "b":
        data = _from_base32(text, _FROM_BASE32)
        if data[:4] in _COMMON_PREFIXES:
            return CID(data)
        return from_bytes(data)
    if not 2 <= len(text) <= MAX_TEXT:
        raise InvalidCid(f"not a CID: {len(text)} characters (2 to {MAX_TEXT} expected)")
    if len(text) == 46 and text.startswith("Qm"):
        return from_bytes(_from_base58(text))
    data = _from_multibase(text)
    if data[:1] != b"\x01":
        raise InvalidCid(f"not a CIDv1: {text[:16]}… does not start with version 1")
    return from_bytes(data)


def _from_multibase(text: str) -> bytes:
    match text[0]:
        case "b":
            return _from_base32(text, _FROM_BASE32)
        case "B":
            return _from_base32(text, _FROM_BASE32_UPPER)
        case "k":
            number = _number(text, _FROM_BASE36, 36)
            return number.to_bytes((number.bit_length() + 7) // 8, "big")
        case "z":
            return _from_base58(text[1:])
        case "f" | "F":
            table = _FROM_BASE16 if text[0] == "f" else _FROM_BASE16_UPPER
            if len(text) % 2 == 0:
                raise InvalidCid("not a CID: odd number of base16 digits")
            return _number(text, table, 16).to_bytes(len(text) // 2, "big")
    raise InvalidCid(f"not a CID: {text[:16]!r} starts with no base we know (Qm, b, B, k, z, f, F)")


def _number(text: str, table: bytes, base: int) -> int:
    """The digits after the first character as one integer. `int()` is linear for powers of two; base 36 is bounded."""
    try:
        return int(text[1:].encode("ascii").translate(table), base)
    except ValueError:
        raise InvalidCid(f"not a CID: {text[:16]!r}… has a character outside base {base}") from None


def _from_base32(text: str, table: bytes) -> bytes:
    # base64.b32decode is a Python loop, ten times slower than letting int() do it.
    size_bytes, spare_bits = divmod((len(text) - 1) * 5, 8)
    number = _number(text, table, 32)
    if spare_bits > 4 or number & ((1 << spare_bits) - 1):
        raise InvalidCid(f"not a CID: {text[:16]}… has spare bits at the end of its base32")
    return (number >> spare_bits).to_bytes(size_bytes, "big")


def _from_base58(digits: str) -> bytes:
    number = 0
    try:
        for symbol in digits.encode("ascii"):
            number = number * 58 + _FROM_BASE58[symbol]
    except (KeyError, UnicodeEncodeError):
        raise InvalidCid(f"not a CID: {digits[:16]!r}… has a character outside base58btc") from None
    zeros = len(digits) - len(digits.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def to_text(cid: CID) -> str:
    """The usual text: base58 `Qm…` for version 0, lower-case base32 `b…` for version 1."""
    if len(cid) == 36:
        return _to_base32_36(cid)
    if version(cid) == 0:
        return _to_digits(cid, _BASE58)
    digits, spare_bits = -(-len(cid) * 8 // 5), -len(cid) * 8 % 5
    number = int.from_bytes(cid, "big") << spare_bits
    return "b" + "".join(chr(_BASE32[number >> 5 * index & 31]) for index in reversed(range(digits)))


def to_base36(cid: CID) -> str:
    """Base36 `k…` of the version 1 form: short enough for one DNS label (63) where base32 is not (IPNS keys)."""
    return "k" + _to_digits(as_v1(cid), _BASE36)


def _to_digits(data: bytes, alphabet: bytes) -> str:
    number, base, digits = int.from_bytes(data, "big"), len(alphabet), bytearray()
    while number:
        number, digit = divmod(number, base)
        digits.append(alphabet[digit])
    digits += alphabet[:1] * (len(data) - len(data.lstrip(b"\0")))
    return digits[::-1].decode("ascii")


def _spreading_steps() -> list[tuple[int, int, int]]:
    """(low mask, high mask, shift) for each of six steps that move 64 five-bit digits into 64 separate bytes.

    Step k cuts each run of 64 / 2**k digits in half and moves the upper half up to where its bytes will be.
    """
    steps = []
    for half in (32, 16, 8, 4, 2, 1):
        low = sum(((1 << 5 * half) - 1) << start * 8 for start in range(0, 64, 2 * half))
        steps.append((low, low << 5 * half, 3 * half))
    return steps


(
    (_LOW_32, _HIGH_32, _SHIFT_32),
    (_LOW_16, _HIGH_16, _SHIFT_16),
    (_LOW_8, _HIGH_8, _SHIFT_8),
    (_LOW_4, _HIGH_4, _SHIFT_4),
    (_LOW_2, _HIGH_2, _SHIFT_2),
    (_LOW_1, _HIGH_1, _SHIFT_1),
) = _spreading_steps()
_TO_BASE32 = bytes(_BASE32[value & 31] for value in range(256))


def _to_base32_36(cid: CID) -> str:
    """Base32 of 36 bytes (58 digits) in 1 µs where base64.b32encode takes four. With 32 zero bits it is 64 digits."""
    bits = int.from_bytes(cid, "big") << 32
    bits = bits & _LOW_32 | (bits & _HIGH_32) << _SHIFT_32
    bits = bits & _LOW_16 | (bits & _HIGH_16) << _SHIFT_16
    bits = bits & _LOW_8 | (bits & _HIGH_8) << _SHIFT_8
    bits = bits & _LOW_4 | (bits & _HIGH_4) << _SHIFT_4
    bits = bits & _LOW_2 | (bits & _HIGH_2) << _SHIFT_2
    bits = bits & _LOW_1 | (bits & _HIGH_1) << _SHIFT_1
    return "b" + bits.to_bytes(64, "big").translate(_TO_BASE32)[:58].decode("ascii")


EMPTY_DIRECTORY = of(DAG_PB, b"\x0a\x02\x08\x01")
"""The UnixFS directory with nothing in it: bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354."""
