"""Tiny contracts for a local chain, assembled here: each answers by the function that is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function returns, or with ``refuses`` says in refusing."""

    data: bytes
    refuses: bool = False


def contract(answers: Mapping[bytes, Answer]) -> bytes:
    """Runtime code: selector -> answer; to every other call the answer is empty."""
    #        PUSH1 0  CALLDATALOAD  PUSH1 224  SHR     (the selector)
    head = bytes.fromhex("60003560e01c")
    branch, entry = 11, 16  # bytes of a comparison, and of what an answer runs
    start = len(head) + branch * len(answers) + 1
    blobs = start + entry * len(answers)
    comparisons, entries, data = b"", b"", b""
    for number, (selector, answer) in enumerate(answers.items()):
        target = start + number * entry
        #               DUP1    PUSH4               EQ      PUSH2                         JUMPI
        comparisons += b"\x80\x63" + selector + b"\x14\x61" + target.to_bytes(2, "big") + b"\x57"
        size, offset = len(answer.data).to_bytes(2, "big"), (blobs + len(data)).to_bytes(2, "big")
        #           JUMPDEST  PUSH2 size     PUSH2 offset       PUSH1 0  CODECOPY  PUSH2 size  PUSH1 0
        entries += b"\x5b\x61" + size + b"\x61" + offset + b"\x60\x00\x39\x61" + size + b"\x60\x00"
        entries += b"\xfd" if answer.refuses else b"\xf3"
        data += answer.data
    assert len(comparisons) == branch * len(answers)
    assert len(entries) == entry * len(answers)
    return head + comparisons + b"\x00" + entries + data
