"""Calls of contracts as bytes: selectors, arguments, answers, why a contract refused (the Solidity ABI). No network.

Spec: https://docs.soliditylang.org/en/latest/abi-spec.html. Only what we call: words (numbers, addresses, 32 bytes) and
byte strings.
"""

from __future__ import annotations

from functools import lru_cache

from af.protocols.ethereum import Address, keccak_256

WORD = 32
ANSWER_BYTES_MAX = 1 << 16
_REASON_MAX = 300
_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)

Argument = bytes | int
"""An int is a number; 20 bytes an address; 32 bytes a word. Byte strings are wrapped in `Dynamic`."""


class Dynamic(bytes):
    """An argument of the ABI's type ``bytes`` or ``string``."""


class InvalidAnswer(ValueError):
    """A contract's answer is not encoded as the ABI says."""


@lru_cache(maxsize=64)
def selector(signature: str) -> bytes:
    """The first four bytes of a call: ``setContenthash(bytes32,bytes)``."""
    return keccak_256(signature.encode("ascii"))[:4]


def call(signature: str, *arguments: Argument) -> bytes:
    """The call data of a function."""
    return selector(signature) + encode(*arguments)


def encode(*arguments: Argument) -> bytes:
    head, tail = b"", b""
    for argument in arguments:
        if isinstance(argument, Dynamic):
            head += _number(len(arguments) * WORD + len(tail))
            tail += _number(len(argument)) + argument + bytes(-len(argument) % WORD)
        elif isinstance(argument, int):
            head += _number(argument)
        else:
            assert len(argument) in (20, WORD), "an address or a word; byte strings are Dynamic"
            head += argument.rjust(WORD, b"\0")
    return head + tail


# --- answers --------------------------------------------------------------------------------------------------------


def read_number(answer: bytes, index: int = 0) -> int:
    """The word at ``index`` as a number. :raises InvalidAnswer: too short."""
    word = answer[index * WORD : (index + 1) * WORD]
    if len(word) != WORD:
        raise InvalidAnswer(f"the answer has {len(answer)} bytes, no word {index}")
    return int.from_bytes(word, "big")


def read_address(answer: bytes, index: int = 0) -> Address:
    """:raises InvalidAnswer: too short, or more than 20 bytes of it are used."""
    number = read_number(answer, index)
    if number >> 160:
        raise InvalidAnswer(f"word {index} is not an address")
    return Address(number.to_bytes(20, "big"))


def read_bytes(answer: bytes, index: int = 0) -> bytes:
    """A ``bytes`` or ``string``. :raises InvalidAnswer: it lies outside of the answer."""
    start = read_number(answer, index)
    if start > len(answer) - WORD:
        raise InvalidAnswer(f"part {index} begins outside of the answer")
    size = int.from_bytes(answer[start : start + WORD], "big")
    end = start + WORD + size
    if end > len(answer):
        raise InvalidAnswer(f"part {index} ends outside of the answer")
    return answer[start + WORD : end]


def refusal(data: bytes, known: tuple[str, ...] = ()) -> str:
    """What a contract said when it refused, for people; "" when it said nothing. ``known``: signatures of errors that
    the contract may have declared, such as ``Unauthorised(bytes32,address)``."""
    head, body = data[:4], data[4:]
    try:
        if head == _ERROR:
            text = read_bytes(body).decode("utf-8", "replace")
            return "".join(c if c.isprintable() else "?" for c in text[:_REASON_MAX])
        if head == _PANIC:
            return f"panic 0x{read_number(body):02x}"
    except InvalidAnswer:
        return "an error that cannot be read"
    for signature in known:
        if head == selector(signature):
            return signature
    return f"error 0x{head.hex()}" if head else ""


def _number(value: int) -> bytes:
    return value.to_bytes(WORD, "big")
