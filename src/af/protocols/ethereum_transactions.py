"""Transactions of Ethereum with base fees (EIP-1559, type 2): written, signed and read. No network.

Spec: https://eips.ethereum.org/EIPS/eip-1559, https://eips.ethereum.org/EIPS/eip-2718. Amounts are in wei.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from af.protocols.ethereum import Address, keccak_256

KEY_BYTES = 32
_TYPE = b"\x02"
_LONG = 55  # RLP: strings and lists up to here have their length in the first byte

if TYPE_CHECKING:
    from coincurve import PrivateKey

Item: TypeAlias = bytes | int | list["Item"]


class InvalidKey(ValueError):
    """Not a private key of secp256k1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A call of ``to`` with ``data``. ``max_fee`` and ``max_priority_fee`` are wei for a unit of gas."""

    chain_id: int
    nonce: int
    max_priority_fee: int
    max_fee: int
    gas: int
    to: Address
    value: int = 0
    data: bytes = b""

    def _fields(self) -> list[Item]:
        access_list: list[Item] = []
        fees: list[Item] = [self.max_priority_fee, self.max_fee, self.gas]
        return [self.chain_id, self.nonce, *fees, self.to, self.value, self.data, access_list]

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return keccak_256(_TYPE + rlp(self._fields()))

    def signed(self, key: bytes) -> bytes:
        """The bytes for ``eth_sendRawTransaction``. :raises InvalidKey:"""
        signature = _private_key(key).sign_recoverable(self.digest, hasher=None)
        parity = signature[64]
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return _TYPE + rlp([*self._fields(), parity, r, s])


def hash_of(signed: bytes) -> bytes:
    """The 32 bytes by which a transaction is found."""
    return keccak_256(signed)


def address_of(key: bytes) -> Address:
    """The account of a private key. :raises InvalidKey:"""
    return Address(keccak_256(_private_key(key).public_key.format(compressed=False)[1:])[12:])


def parse_key(text: str) -> bytes:
    """A private key of 64 hex digits, with or without 0x. :raises InvalidKey: it is none; the text is not repeated."""
    digits = text.removeprefix("0x")
    try:
        if len(digits) != 2 * KEY_BYTES or not digits.isascii() or any(c.isspace() for c in digits):
            raise ValueError
        key = bytes.fromhex(digits)
    except ValueError:
        raise InvalidKey("a private key has 64 hexadecimal digits") from None
    _private_key(key)
    return key


def _private_key(key: bytes) -> PrivateKey:
    from coincurve import PrivateKey

    if len(key) != KEY_BYTES:
        raise InvalidKey(f"a private key has {KEY_BYTES} bytes")
    try:
        return PrivateKey(key)
    except ValueError:
        raise InvalidKey("no private key of secp256k1") from None


def rlp(item: Item) -> bytes:
    """Recursive length prefix, the serialisation of transactions (Ethereum yellow paper, appendix B)."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(0x80, len(item)) + item
    body = b"".join(rlp(part) for part in item)
    return _prefix(0xC0, len(body)) + body


def _prefix(kind: int, size: int) -> bytes:
    if size <= _LONG:
        return bytes([kind + size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([kind + _LONG + len(length)]) + length
