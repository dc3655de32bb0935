"""Addresses, signed texts and contract wallets of Ethereum: EIP-55, EIP-191, EIP-1271, ERC-6492. No network.

Keccak and curve libraries are imported at first use: a process in which nobody signs in does not pay for them.
"""

from __future__ import annotations

import re
from typing import NewType

Address = NewType("Address", bytes)
"""20 bytes."""

SIGNATURE_BYTES = 65
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_RECOVERY = {0: 0, 1: 1, 27: 0, 28: 1}


class InvalidAddress(ValueError):
    """Not 0x and 40 hex digits, or of mixed case that is not its checksum."""


class InvalidSignature(ValueError):
    """Not a signature that a key can have made, in the one form that we accept."""


def keccak_256(data: bytes) -> bytes:
    """Keccak as Ethereum uses it: before NIST changed the padding to SHA3's."""
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()


# --- addresses ------------------------------------------------------------------------------------------------------


def to_text(address: bytes) -> str:
    """The EIP-55 form: the case of each letter is a bit of a checksum."""
    digits = address.hex()
    nibbles = keccak_256(digits.encode()).hex()
    return "0x" + "".join(d.upper() if n > "7" else d for d, n in zip(digits, nibbles, strict=False))


def is_checksummed(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None and to_text(bytes.fromhex(text[2:])) == text


def parse_address(text: str) -> Address:
    """An address as wallets give it: all lower case, all upper case, or with a right checksum.

    :raises InvalidAddress: none of them.
    """
    if not _ADDRESS.fullmatch(text):
        raise InvalidAddress("An Ethereum address is 0x and 40 hexadecimal digits.")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksummed(text):
        raise InvalidAddress("The address has a typing error: its upper and lower case is not its checksum (EIP-55).")
    return Address(bytes.fromhex(digits))


# --- keys -----------------------------------------------------------------------------------------------------------


def hash_of_text(text: str) -> bytes:
    """What ``personal_sign`` signs (EIP-191, version 0x45): 32 bytes."""
    data = text.encode()
    return keccak_256(b"\x19Ethereum Signed Message:\n%d" % len(data) + data)


def recover(digest: bytes, signature: bytes) -> Address:
    """The address whose key made a signature ``r || s || v`` of 65 bytes.

    Exactly one form is accepted of each: s in the lower half (EIP-2), v 27 or 28 (0 or 1 from some hardware); EIP-155's
    v is for transactions and EIP-2098's 64 bytes for contracts.

    :raises InvalidSignature: another form, or no key at all.
    """
    from coincurve import PublicKey

    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(f"a key's signature has {SIGNATURE_BYTES} bytes, this one {len(signature)}")
    if signature[64] not in _RECOVERY:
        raise InvalidSignature(f"the last byte must be 27 or 28 (or 0 or 1), it is {signature[64]}")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        raise InvalidSignature("r or s is out of range (s must be in the lower half, EIP-2)")
    try:
        key = PublicKey.from_signature_and_message(
            signature[:64] + bytes([_RECOVERY[signature[64]]]), digest, hasher=None
        )
    except ValueError as error:
        raise InvalidSignature("no key can have made it") from error
    return Address(keccak_256(key.format(compressed=False)[1:])[12:])


# --- contract wallets -----------------------------------------------------------------------------------------------

MAGIC = bytes.fromhex("1626ba7e")
"""Of EIP-1271: the selector of ``isValidSignature(bytes32,bytes)``, which is also its answer for "valid"."""
_DEPLOYLESS = bytes.fromhex("6492" * 16)
_ADDRESS_WORD = bytes(12)
_WORD = 32


def validity_call(digest: bytes, signature: bytes) -> bytes:
    """The call data of ``isValidSignature(digest, signature)``."""
    padding = bytes(-len(signature) % _WORD)
    return MAGIC + digest + _number(2 * _WORD) + _number(len(signature)) + signature + padding


def is_valid_answer(answer: bytes) -> bool:
    """Whether a call said "valid". The whole word counts: a contract that echoes its input begins with the selector
    too, and is no wallet."""
    return answer[:_WORD] == MAGIC.ljust(_WORD, b"\0")


def is_deployless(signature: bytes) -> bool:
    """Whether it is of a contract wallet that may not be on the chain yet (ERC-6492)."""
    return signature.endswith(_DEPLOYLESS)


def open_deployless(signature: bytes) -> tuple[Address, bytes, bytes]:
    """(factory, the factory's call data, the wallet's signature) of ``abi.encode(address, bytes, bytes)`` before the
    mark of ERC-6492. :raises InvalidSignature: it is not so encoded.
    """
    body = signature[: -len(_DEPLOYLESS)]
    if body[:12] != _ADDRESS_WORD or len(body) < 3 * _WORD:
        raise InvalidSignature("not an ERC-6492 signature: no factory")
    return Address(body[12:32]), _bytes_at(body, 1), _bytes_at(body, 2)


def deploy_and_check(factory: Address, preparation: bytes, wallet: Address, check: bytes) -> bytes:
    """A program that calls ``factory`` with ``preparation``, then ``wallet`` with ``check``, and returns the 32 bytes
    that the wallet answers (zeros when it fails). Given to ``eth_call`` as a new contract's code it runs once, in a
    state that is thrown away.
    """
    prepare_bytes, check_bytes = _push(len(preparation)), _push(len(check))

    def program(start: int) -> bytes:
        """``start``: where the inputs lie in the code, after the program."""
        steps = (
            prepare_bytes + _push(start) + _ZERO + _CODECOPY,  # memory = preparation
            _ZERO + _ZERO + prepare_bytes + _ZERO + _ZERO + _PUSH20 + factory + _GAS + _CALL + _POP,  # whatever it says
            check_bytes + _push(start + len(preparation)) + _ZERO + _CODECOPY,  # memory = check
            _push(_WORD)
            + check_bytes
            + check_bytes
            + _ZERO
            + _PUSH20
            + wallet
            + _GAS
            + _STATICCALL,  # answer behind it
            _RETURNDATASIZE + _push(_WORD - 1) + _LT + _AND,  # it succeeded and 31 < size of the answer
            check_bytes + _MLOAD + _MUL + _ZERO + _MSTORE,  # memory = that (0 or 1) * the answer
            _push(_WORD) + _ZERO + _RETURN,
        )
        return b"".join(steps)

    return program(len(program(0))) + preparation + check


_CALL, _STATICCALL, _RETURN, _GAS, _POP, _CODECOPY = b"\xf1", b"\xfa", b"\xf3", b"\x5a", b"\x50", b"\x39"
_MLOAD, _MSTORE, _MUL, _LT, _AND, _RETURNDATASIZE, _PUSH20 = (
    b"\x51",
    b"\x52",
    b"\x02",
    b"\x10",
    b"\x16",
    b"\x3d",
    b"\x73",
)
_ZERO = b"\x60\x00"  # PUSH1 0: PUSH0 is missing on older chains


def _push(value: int) -> bytes:
    """PUSH2."""
    return b"\x61" + value.to_bytes(2, "big")


def _bytes_at(body: bytes, index: int) -> bytes:
    start = int.from_bytes(body[index * _WORD : (index + 1) * _WORD], "big")
    size = int.from_bytes(body[start : start + _WORD], "big") if start <= len(body) - _WORD else -1
    end = start + _WORD + size
    if size < 0 or end > len(body):
        raise InvalidSignature("not an ERC-6492 signature: a part lies outside")
    return body[start + _WORD : end]


def _number(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")
