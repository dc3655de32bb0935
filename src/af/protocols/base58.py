"""Base58 with Bitcoin's alphabet (https://datatracker.ietf.org/doc/html/draft-msporny-base58-03): Solana's texts."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {symbol: value for value, symbol in enumerate(_ALPHABET)}
CHARACTERS_MAX = 256
"""Reading is quadratic; nothing that we read in this base is longer."""


def decode(text: str) -> bytes:
    """:raises ValueError: a character outside the alphabet, or more than `CHARACTERS_MAX`."""
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"more than {CHARACTERS_MAX} characters of base58")
    number = 0
    for symbol in text:
        if symbol not in _DIGITS:
            raise ValueError(f"{symbol!r} is not a base58 character")
        number = number * 58 + _DIGITS[symbol]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits
