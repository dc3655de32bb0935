"""Sign-In with Solana: the message of https://github.com/phantom/sign-in-with-solana, by its ABNF, and its signature.

All but domain and address may be missing. A statement that looks like a field is read as the field, as wallets do.
"""

from __future__ import annotations

from typing import Any

from af.protocols import base58, siwx
from af.protocols.siwx import InvalidMessage, Message

CHAINS = frozenset({"mainnet", "testnet", "devnet", "localnet", "solana:mainnet", "solana:testnet", "solana:devnet"})
KEY_BYTES = 32
SIGNATURE_BYTES = 64
_CHAIN = "Solana"
_TAGS = (*siwx.TAGS.values(), siwx.RESOURCES)

_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME
_SMALL_ORDER = frozenset(
    {
        0,  # order 4
        1,  # order 1
        _PRIME - 1,  # order 2
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,  # order 8
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,  # order 8
    }
)
"""The y of every point whose order divides 8: as a key, one signature of theirs fits many messages."""


def parse(text: str) -> Message:
    """Strict: only LF ends lines, fields in order. :raises InvalidMessage: it is not such a message."""
    if len(text) > siwx.MESSAGE_CHARACTERS_MAX:
        raise InvalidMessage("layout", f"longer than {siwx.MESSAGE_CHARACTERS_MAX} characters")
    lines = text.split("\n")
    scheme, domain = siwx.open_header(lines[0], _CHAIN)
    if scheme is not None:
        raise InvalidMessage("scheme", "has no place in this message")
    if len(lines) < 2:
        raise InvalidMessage("address", "its line is missing")
    rest = lines[2:]
    statement = None
    if len(rest) >= 2 and rest[0] == "" and not rest[1].startswith(_TAGS):
        statement, rest = rest[1], rest[2:]
    found: dict[str, Any] = {}
    if rest:
        if rest[0] != "" or len(rest) < 2:
            raise InvalidMessage("layout", "an empty line must follow the address and the statement")
        found = siwx.open_lines(rest[1:])
    message = Message(domain=domain, address=lines[1], statement=statement, **found)
    _check(message)
    return message


def write(message: Message) -> str:
    """The text to sign. :raises InvalidMessage: a field has no form that the grammar allows."""
    _check(message)
    lines = [siwx.header(message.domain, _CHAIN), message.address]
    if message.statement is not None:
        lines += ["", message.statement]
    if fields := list(siwx.lines_of(message)):
        lines += ["", *fields]
    return "\n".join(lines)


def _check(message: Message) -> None:
    if message.scheme is not None:
        raise InvalidMessage("scheme", "has no place in this message")
    if message.statement is not None and message.statement.startswith(_TAGS):
        raise InvalidMessage("statement", "must not begin like a field")
    siwx.check_forms(message)
    if message.chain_id is not None and message.chain_id not in CHAINS:
        raise InvalidMessage("chain_id", f"must be one of {', '.join(sorted(CHAINS))}")
    try:
        parse_address(message.address)
    except ValueError as error:
        raise InvalidMessage("address", str(error)) from None


def parse_address(text: str) -> bytes:
    """The 32 bytes of an account that has a key: a point of the curve (addresses of programs are none), canonical, and
    not of small order.

    :raises ValueError: another text.
    """
    try:
        key = base58.decode(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("must be 32 bytes in base58")
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= _PRIME or y in _SMALL_ORDER:
        raise ValueError("must not be one of the keys that anybody can sign for")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _PRIME) % _PRIME
    if pow(square, (_PRIME - 1) // 2, _PRIME) != 1:
        raise ValueError("must be a key's; a program's address cannot sign")
    return key


def is_signature(key: bytes, text: str, signature: bytes) -> bool:
    """Whether ``key`` (as `parse_address` gives it) signed the text: ed25519 (RFC 8032), s below the group's order."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
