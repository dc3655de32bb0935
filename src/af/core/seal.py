"""Sealing of secrets at rest: envelope encryption with AES-256-GCM.

Each secret has a data key of its own, sealed by a master key; the ``purpose`` (``"signing-key"``, ``"site-env:sit_…"``)
is authenticated with both, so a sealed value cannot be moved to another place. The key's id is stored with the value:
several master keys can be known at once, which is how one is rotated.

Layout: ``1 | key id (8) | nonce (12) | sealed data key (48) | nonce (12) | ciphertext and tag``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from af.core.errors import Internal, Unavailable
from af.core.settings import InvalidSetting, Settings

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_KEY_BYTES = KEY_BYTES + _TAG_BYTES
_HEADER_BYTES = 1 + _ID_BYTES + _NONCE_BYTES + _SEALED_KEY_BYTES + _NONCE_BYTES


class SealBroken(Internal):
    """A sealed value cannot be opened: another master key, another purpose, or damage."""

    code = "seal_broken"
    number = 1108
    explain = (
        "A stored secret cannot be opened. Either AF_MASTER_KEY (or keys/master.key in the data folder) is not the one "
        "it was sealed with, or the value was damaged. Restore the key from your backup."
    )


class KeyUnreadable(Unavailable):
    """The master key file cannot be read or written."""

    code = "key_unreadable"
    number = 1109
    retryable = False
    explain = "The master key file in the data folder cannot be used. Check its owner and mode (0600)."


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, *keys: bytes) -> None:
        assert keys, "at least one master key"
        assert all(len(key) == KEY_BYTES for key in keys), "master keys have 32 bytes"
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        """``plaintext`` so that only `open` with the same purpose gives it back."""
        bound = purpose.encode()
        data_key, outer, inner = secrets.token_bytes(KEY_BYTES), os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        sealed_key = self._keys[self._current].encrypt(outer, data_key, bound)
        return _VERSION + self._current + outer + sealed_key + inner + AESGCM(data_key).encrypt(inner, plaintext, bound)

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """:raises SealBroken: wrong key or purpose, or changed bytes."""
        bound = purpose.encode()
        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise SealBroken("A stored secret is damaged.", detail=f"purpose {purpose}: not a sealed value")
        master = self._keys.get(sealed[1 : 1 + _ID_BYTES])
        if master is None:
            raise SealBroken("A stored secret was sealed with another master key.", detail=f"purpose {purpose}")
        at = 1 + _ID_BYTES
        outer, at = sealed[at : at + _NONCE_BYTES], at + _NONCE_BYTES
        sealed_key, at = sealed[at : at + _SEALED_KEY_BYTES], at + _SEALED_KEY_BYTES
        inner, at = sealed[at : at + _NONCE_BYTES], at + _NONCE_BYTES
        try:
            return AESGCM(master.decrypt(outer, sealed_key, bound)).decrypt(inner, sealed[at:], bound)
        except InvalidTag as error:
            raise SealBroken(
                "A stored secret is damaged or in the wrong place.", detail=f"purpose {purpose}"
            ) from error

    def sealed_with_current(self, sealed: bytes) -> bool:
        """Whether the value needs no re-sealing after a rotation."""
        return sealed[1 : 1 + _ID_BYTES] == self._current


def load_master_key(settings: Settings) -> bytes:
    """``AF_MASTER_KEY``, else the key file in the data folder, made (0600) when there is none yet.

    :raises InvalidSetting: not the base64 of 32 bytes.
    :raises KeyUnreadable: the file cannot be read or made, or others may read it.
    """
    if settings.master_key:
        return _decode(settings.master_key, "AF_MASTER_KEY")
    path = settings.data / "keys" / "master.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise KeyUnreadable(f"The master key {path} can be read by others.", hint=f"Run: chmod 600 {path}")
        return _decode(path.read_text("utf-8", errors="replace").strip(), str(path))
    except OSError as error:
        raise KeyUnreadable(f"The master key {path} cannot be used: {error.strerror}.") from error


def _create(path: Path) -> None:
    """Write a fresh key beside ``path`` and link it into place: of two starters, the first one's key stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)  # the first secret must not outlive the key that opens it
        os.close(folder)
    finally:
        os.close(descriptor)
        temporary.unlink()


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidSetting(f"{source} is not the base64 of 32 bytes.", hint="Make one: `openssl rand -base64 32`.")
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"af master key id" + key).digest()[:_ID_BYTES]
