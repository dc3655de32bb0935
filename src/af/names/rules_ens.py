"""What the chain's answers mean for an ENS record, and what a transaction may cost; plain functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from af.core.errors import InvalidInput
from af.names.errors_ens import EnsContentInvalid, EnsFeeTooHigh, EnsNameInvalid
from af.names.models_ens import EnsStatus
from af.protocols import ens, ethereum
from af.protocols.ens import Content, InvalidContenthash, InvalidEnsName
from af.protocols.ethereum import Address, InvalidAddress

RECORDS_PER_PROJECT_MAX = 500
CHECK_PENDING = timedelta(seconds=12)
"""A block's time."""
CHECK_ACTIVE = timedelta(hours=6)
CHECK_FRESH, FRESH = timedelta(minutes=2), timedelta(minutes=20)
"""What has just become active is looked at more often until its block is final (13 minutes): it may be replaced."""
GAS_SURPLUS = 1.25
"""Of the node's estimate: what it does not use is not paid."""
TIP_WEI_MAX = 5 * 10**9
_GWEI = 10**9
_BUMP = 1.13
"""Nodes take another transaction of the same number only for a tenth more."""


class Mined(Enum):
    """How far the transaction of a record is."""

    NONE = "none"
    """No transaction is known."""
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the chain says about a record's name and its transaction. ``failure``: why the latter failed."""

    owner: Address | None
    resolver: Address | None
    is_inherited: bool
    content: Content | None
    problem: str
    mined: Mined
    failure: str = ""


def judge(wanted: str, seen: Seen, *, was_active: bool) -> tuple[EnsStatus, str]:
    """The status that follows, and the reason when it is not ACTIVE. Only what the chain points at makes it ACTIVE."""
    at = seen.content.uri if seen.content else ""
    if at == wanted:
        return EnsStatus.ACTIVE, ""
    now = f"the name points at {at}" if at else f"the name points at nothing{f': {seen.problem}' * bool(seen.problem)}"
    owner = ethereum.to_text(seen.owner) if seen.owner else "nobody"
    if seen.mined is Mined.FAILED:
        why = seen.failure or f"the contract gave no reason; the name's owner is {owner}"
        return EnsStatus.ERROR, f"The transaction was mined and refused: {why}."
    if seen.mined is Mined.WAITING:
        return EnsStatus.PENDING, f"The transaction is not mined yet; {now}."
    if seen.mined is Mined.DONE:
        return EnsStatus.ERROR, f"The transaction is mined, but {now}."
    if seen.owner is None and not seen.is_inherited:
        return EnsStatus.ERROR, "The name is not registered."
    if seen.resolver is None:
        return EnsStatus.ERROR, f"The name has no resolver; its owner {owner} sets one in the ENS app first."
    if was_active:
        return EnsStatus.ERROR, f"It was as wanted once, but now {now}."
    return EnsStatus.CREATED, f"No transaction is known, and {now}."


def read_name(text: str) -> str:
    """The normalised name. :raises EnsNameInvalid:"""
    try:
        normal = ens.normalize(text)
    except InvalidEnsName as error:
        raise EnsNameInvalid(f"{text[:80]!r} is not an ENS name: {error}.", field="name") from None
    if "." not in normal:
        raise EnsNameInvalid(f"{text[:80]!r} is not an ENS name: it has no dot (example.eth).", field="name")
    return normal


def read_content(text: str) -> Content:
    """:raises EnsContentInvalid:"""
    try:
        return ens.parse_content(text)
    except InvalidContenthash as error:
        raise EnsContentInvalid(f"{text[:80]!r} is nothing that an ENS name can point at.", hint=f"{error}.") from None


def read_address(text: str) -> Address:
    try:
        return ethereum.parse_address(text)
    except InvalidAddress as error:
        raise InvalidInput(str(error), field="from") from None


def next_nonce(pending: int, ours: Collection[int]) -> int:
    """The first number that is free: ``pending`` is what the node says, ``ours`` are those it may not know yet."""
    return next(number for number in range(pending, pending + len(ours) + 1) if number not in ours)


def fees(base: int, tip: int, *, replaced: tuple[int, int] | None, limit_gwei: int) -> tuple[int, int]:
    """(most, tip) for a unit of gas in wei: mined also when the base fee doubles. With ``replaced``, the same of a
    transaction whose place it takes, which costs a tenth more.

    :raises EnsFeeTooHigh: more than the operator allows.
    """
    limit = limit_gwei * _GWEI
    tip = min(tip, TIP_WEI_MAX)
    most = min(2 * base + tip, limit)
    if replaced is not None:
        most, tip = max(most, int(replaced[0] * _BUMP) + 1), max(tip, int(replaced[1] * _BUMP) + 1)
    if max(base + tip, most) > limit:
        raise EnsFeeTooHigh(
            f"Gas costs {max(base + tip, most) / _GWEI:.2f} gwei now, more than the {limit_gwei} of "
            "AF_ENS_FEE_GWEI_MAX.",
            retry_after_seconds=60,
        )
    return most, tip
