"""libp2p keys (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md): what signs IPNS records.

A public key is a protobuf `{1: type, 2: bytes}`; its multihash, kept whole when it has at most 42 bytes and hashed
otherwise, is the peer ID and the IPNS name. Private keys come and go in the two formats of `ipfs key export`.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from af.protocols.ipfs import messages, varint
from af.protocols.ipfs.errors import InvalidBlock, InvalidKey

PrivateKey = Ed25519PrivateKey | RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | RSAPublicKey | ec.EllipticCurvePublicKey

MAX_KEY_BYTES = 16 * 1024  # an RSA private key of 8,192 bits has 6.4 KB as PEM
MAX_INLINE_BYTES = 42
RSA_BITS = range(2048, 8193)  # libp2p's bounds: shorter is weak, longer is slow to verify
_TYPE, _DATA = 1, 2
_SHA256 = hashes.SHA256()
_PEM_START = b"-----BEGIN"


class KeyType(IntEnum):
    """`KeyType` of libp2p's crypto.proto."""

    RSA = 0
    ED25519 = 1
    SECP256K1 = 2
    ECDSA = 3


class KeyFormat(StrEnum):
    """What `ipfs key export --format` and `ipfs key import --format` call them."""

    LIBP2P = "libp2p-protobuf-cleartext"
    PEM = "pem-pkcs8-cleartext"


def type_of(key: PrivateKey | PublicKey) -> KeyType:
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return KeyType.ED25519
    if isinstance(key, RSAPrivateKey | RSAPublicKey):
        return KeyType.RSA
    return KeyType.SECP256K1 if isinstance(key.curve, ec.SECP256K1) else KeyType.ECDSA


# --- public keys ---------------------------------------------------------------------------------------------------


def multihash(public: bytes) -> bytes:
    """The peer ID of an encoded public key: an identity multihash if it is short, else sha2-256."""
    if len(public) <= MAX_INLINE_BYTES:
        return b"\x00" + varint.encode(len(public)) + public
    return b"\x12\x20" + hashlib.sha256(public).digest()


def encode_public(key: PublicKey) -> bytes:
    kind = type_of(key)
    if isinstance(key, Ed25519PublicKey):
        data = key.public_bytes_raw()
    elif kind is KeyType.SECP256K1:
        data = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    else:
        data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return messages.encode({_TYPE: int(kind), _DATA: data})


def decode_public(encoded: bytes) -> PublicKey:
    """:raises InvalidKey: not a public key of one of the four types, or an RSA key outside `RSA_BITS`."""
    kind, data = _typed(encoded)
    try:
        if kind is KeyType.ED25519:
            return Ed25519PublicKey.from_public_bytes(data)
        if kind is KeyType.SECP256K1:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data)
        key = serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey(f"not a public key: {error}") from None
    if not isinstance(key, RSAPublicKey | ec.EllipticCurvePublicKey) or type_of(key) is not kind:
        raise InvalidKey(f"not a public key of type {kind.name}")
    _check_size(key)
    return key


def verify(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is that of `data`, as libp2p signs: Ed25519; RSA PKCS #1 v1.5, ECDSA (DER) over SHA-256."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), _SHA256)
        else:
            key.verify(signature, data, ec.ECDSA(_SHA256))
    except InvalidSignature:
        return False
    return True


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Always the same signature for the same data."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), _SHA256)
    return key.sign(data, ec.ECDSA(_SHA256, deterministic_signing=True))


# --- private keys --------------------------------------------------------------------------------------------------


def import_key(data: bytes) -> PrivateKey:
    """Reads a private key that `ipfs key export` wrote, in either format; a PEM key must not be encrypted.

    :raises InvalidKey: neither, or too long, or a type libp2p does not know.
    """
    if len(data) > MAX_KEY_BYTES:
        raise InvalidKey(f"a private key has at most {MAX_KEY_BYTES:,} bytes")
    try:
        if data.lstrip().startswith(_PEM_START):
            key: object = serialization.load_pem_private_key(data, password=None)
        else:
            key = _from_libp2p(*_typed(data))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the PEM is encrypted
        raise InvalidKey(f"not a private key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey | RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise InvalidKey("not a private key of a type that libp2p knows: Ed25519, RSA, secp256k1, ECDSA")
    _check_size(key.public_key())
    return key


def export_key(key: PrivateKey, key_format: KeyFormat = KeyFormat.LIBP2P) -> bytes:
    """What `ipfs key export` writes for this key, unencrypted."""
    if key_format is KeyFormat.PEM:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    kind = type_of(key)
    if isinstance(key, Ed25519PrivateKey):
        data = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    elif isinstance(key, ec.EllipticCurvePrivateKey) and kind is KeyType.SECP256K1:
        data = key.private_numbers().private_value.to_bytes(32, "big")
    else:  # PKCS #1 for RSA, SEC 1 for elliptic curves
        data = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return messages.encode({_TYPE: int(kind), _DATA: data})


def _from_libp2p(kind: KeyType, data: bytes) -> object:
    if kind is KeyType.ED25519:
        if len(data) not in (64, 96):  # 96: the public key twice, as libp2p wrote before 2017
            raise InvalidKey(f"an Ed25519 private key has 64 bytes, not {len(data)}")
        key = Ed25519PrivateKey.from_private_bytes(data[:32])
        if any(data[start : start + 32] != key.public_key().public_bytes_raw() for start in range(32, len(data), 32)):
            raise InvalidKey("the public half of the Ed25519 key is not that of its private half")
        return key
    if kind is KeyType.SECP256K1:
        if len(data) != 32:
            raise InvalidKey(f"a secp256k1 private key has 32 bytes, not {len(data)}")
        return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256K1())
    return serialization.load_der_private_key(data, password=None)


def _typed(encoded: bytes) -> tuple[KeyType, bytes]:
    try:
        fields = messages.decode(encoded)
    except InvalidBlock as error:
        raise InvalidKey(f"not a libp2p key: {error}") from None
    kind, data = fields.get(_TYPE), fields.get(_DATA)
    if fields.keys() != {_TYPE, _DATA} or not isinstance(kind, int) or not isinstance(data, bytes):
        raise InvalidKey("not a libp2p key: it has no type or no data, or more than that")
    try:
        return KeyType(kind), data
    except ValueError:
        raise InvalidKey(f"key type {kind} is not known") from None


def _check_size(key: PublicKey) -> None:
    if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS:
        raise InvalidKey(f"an RSA key has {RSA_BITS.start} to {RSA_BITS.stop - 1} bits, not {key.key_size}")
