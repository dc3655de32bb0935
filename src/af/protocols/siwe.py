"""Sign-In with Ethereum: the message of EIP-4361 (https://eips.ethereum.org/EIPS/eip-4361), by its ABNF."""

from __future__ import annotations

import re
from typing import Any

from af.protocols import ethereum, siwx
from af.protocols.siwx import InvalidMessage, Message

_CHAIN = "Ethereum"
_REQUIRED = ("uri", "version", "chain_id", "nonce", "issued_at")
_NUMBER = re.compile(r"[0-9]+")


def parse(text: str) -> Message:
    """Strict: every character has its place, only LF ends lines, addresses are in EIP-55 form.

    :raises InvalidMessage: it is not such a message; ``field`` says where.
    """
    if len(text) > siwx.MESSAGE_CHARACTERS_MAX:
        raise InvalidMessage("layout", f"longer than {siwx.MESSAGE_CHARACTERS_MAX} characters")
    lines = text.split("\n")
    scheme, domain = siwx.open_header(lines[0], _CHAIN)
    if len(lines) < 5 or lines[2] != "":
        raise InvalidMessage("layout", "an empty line must follow the address")
    statement = lines[3] or None
    rest = lines[4:] if statement is None else lines[5:]
    if statement is not None and lines[4] != "":
        raise InvalidMessage("statement", "must be one line, with an empty line after it")
    found: dict[str, Any] = siwx.open_lines(rest)
    message = Message(domain=domain, address=lines[1], scheme=scheme, statement=statement, **found)
    _check(message)
    return message


def write(message: Message) -> str:
    """The text to sign. :raises InvalidMessage: a field is missing or has no form that the grammar allows."""
    _check(message)
    start = "" if message.scheme is None else f"{message.scheme}://"
    statement = [] if message.statement is None else [message.statement]
    lines = [start + siwx.header(message.domain, _CHAIN), message.address, "", *statement, "", *siwx.lines_of(message)]
    return "\n".join(lines)


def _check(message: Message) -> None:
    for name in _REQUIRED:
        if getattr(message, name) is None:
            raise InvalidMessage(name, "its line is missing")
    siwx.check_forms(message)
    chain_id = message.chain_id or ""
    if len(chain_id) > siwx.CHAIN_ID_CHARACTERS_MAX or not _NUMBER.fullmatch(chain_id):
        raise InvalidMessage("chain_id", "must be a number (EIP-155)")
    if not ethereum.is_checksummed(message.address):
        raise InvalidMessage("address", "must be 0x and 40 hex digits in the mixed case of EIP-55")
