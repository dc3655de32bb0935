"""A passkey authenticator and the browser in front of it, in software: WebAuthn Level 3 §6 and §5, written from the
specification and independent of the library that the server uses. ES256 keys, CBOR by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


@dataclass
class Key:
    """A resident credential."""

    id: bytes
    private: ec.EllipticCurvePrivateKey
    relying_party: str
    user_handle: bytes
    count: int = 0


@dataclass
class Authenticator:
    """``flags`` is what it says of its person; ``counts`` whether it has a signature counter."""

    flags: int = USER_PRESENT | USER_VERIFIED
    counts: bool = True
    keys: list[Key] = field(default_factory=list)

    def create(self, options: dict[str, Any], origin: str, **changes: Any) -> dict[str, Any]:
        """``navigator.credentials.create({publicKey})``, then ``toJSON()``. ``changes``: see `_client_data`,
        ``relying_party``, ``format``, ``statement``, ``public_key`` (CBOR)."""
        excluded = {entry["id"] for entry in options.get("excludeCredentials", [])}
        assert not excluded & {encode(key.id) for key in self.keys}, "InvalidStateError: this authenticator has a key"
        assert any(p["alg"] == -7 for p in options["pubKeyCredParams"]), "NotSupportedError: ES256 is not wanted"
        relying_party = changes.get("relying_party", options["rp"]["id"])
        key = Key(
            secrets.token_bytes(32),
            ec.generate_private_key(ec.SECP256R1()),
            relying_party,
            decode(options["user"]["id"]),
        )
        self.keys.append(key)
        public = changes.get("public_key", _cose(key.private))
        attested = bytes(16) + struct.pack(">H", len(key.id)) + key.id + public
        data = self._data(key, ATTESTED) + attested
        document = cbor(
            {"fmt": changes.get("format", "none"), "attStmt": changes.get("statement", {}), "authData": data}
        )
        response = {
            "clientDataJSON": encode(_client_data("webauthn.create", options["challenge"], origin, changes)),
            "attestationObject": encode(document),
            "transports": ["internal", "hybrid"],
        }
        return _credential(key, response)

    def get(self, options: dict[str, Any], origin: str, **changes: Any) -> dict[str, Any]:
        """``navigator.credentials.get({publicKey})``, then ``toJSON()``. ``changes``: see `_client_data`,
        ``relying_party``, ``user_handle``."""
        key = next(key for key in self.keys if key.relying_party == options["rpId"])
        signed = Key(key.id, key.private, changes.get("relying_party", key.relying_party), key.user_handle, key.count)
        data = self._data(signed)
        key.count = signed.count
        client_data = _client_data("webauthn.get", options["challenge"], origin, changes)
        signature = key.private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        handle = changes.get("user_handle", key.user_handle)
        response = {
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(data),
            "signature": encode(signature),
            **({} if handle is None else {"userHandle": encode(handle)}),
        }
        return _credential(key, response)

    def _data(self, key: Key, more_flags: int = 0) -> bytes:
        """Authenticator data (§6.1) up to the counter."""
        key.count += int(self.counts)
        return hashlib.sha256(key.relying_party.encode()).digest() + struct.pack(
            ">BI", self.flags | more_flags, key.count
        )


def _client_data(kind: str, challenge: str, origin: str, changes: dict[str, Any]) -> bytes:
    """The browser's part (§5.8.1); ``changes`` may hold another ``type``, ``challenge``, ``cross_origin``."""
    return json.dumps(
        {
            "type": changes.get("type", kind),
            "challenge": changes.get("challenge", challenge),
            "origin": origin,
            "crossOrigin": changes.get("cross_origin", False),
        }
    ).encode()


def _credential(key: Key, response: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": encode(key.id),
        "rawId": encode(key.id),
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": response,
    }


def _cose(private: ec.EllipticCurvePrivateKey) -> bytes:
    """RFC 9053: kty EC2, alg ES256, crv P-256, x, y."""
    numbers = private.public_key().public_numbers()
    return cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def cbor(value: Any) -> bytes:
    """RFC 8949, as far as WebAuthn needs it."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    assert isinstance(value, dict), f"no CBOR for {type(value)}"
    return _head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    if argument < 1 << 8:
        return bytes([major << 5 | 24, argument])
    if argument < 1 << 16:
        return bytes([major << 5 | 25]) + argument.to_bytes(2, "big")
    return bytes([major << 5 | 26]) + argument.to_bytes(4, "big")


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
