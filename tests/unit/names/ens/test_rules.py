"""What the chain's answers mean, and what is paid: plain decisions."""

from __future__ import annotations

from typing import Any

import pytest

from af.names import EnsFeeTooHigh, EnsStatus
from af.names import rules_ens as rules
from af.names.rules_ens import Mined, Seen
from af.protocols import ens
from af.protocols.ethereum import Address

WANTED = "ipfs://bafybeihr4z7hvi5i2uzsvyfzubdlupi76vfvig2bn5gp3rssgbbmmeq4nm"
OTHER = "ipfs://bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
OWNER, RESOLVER = Address(b"\1" * 20), Address(b"\2" * 20)
GWEI = 10**9


def seen(at: str = "", **more: Any) -> Seen:
    values: dict[str, Any] = {
        "owner": OWNER, "resolver": RESOLVER, "is_inherited": False, "problem": "", "mined": Mined.NONE,
        "content": ens.parse_content(at) if at else None,
    }  # fmt: skip
    return Seen(**{**values, **more})


@pytest.mark.parametrize("mined", list(Mined))
@pytest.mark.parametrize("was_active", [True, False])
def test_only_what_the_chain_points_at_makes_it_active(mined: Mined, was_active: bool) -> None:
    assert rules.judge(WANTED, seen(WANTED, mined=mined), was_active=was_active) == (EnsStatus.ACTIVE, "")
    for at in ("", OTHER):
        status, reason = rules.judge(WANTED, seen(at, mined=mined), was_active=was_active)
        assert status is not EnsStatus.ACTIVE
        assert reason


@pytest.mark.parametrize(
    ("state", "was_active", "status", "word"),
    [
        (seen(), False, EnsStatus.CREATED, "nothing"),
        (seen(OTHER), False, EnsStatus.CREATED, OTHER),
        (seen(problem="it cannot be read"), False, EnsStatus.CREATED, "cannot be read"),
        (seen(mined=Mined.WAITING), False, EnsStatus.PENDING, "not mined"),
        (seen(mined=Mined.WAITING, resolver=None), False, EnsStatus.PENDING, "not mined"),
        (seen(OTHER, mined=Mined.DONE), False, EnsStatus.ERROR, OTHER),
        (seen(mined=Mined.FAILED, failure="not yours"), False, EnsStatus.ERROR, "not yours"),
        (seen(mined=Mined.FAILED), False, EnsStatus.ERROR, "0x0101"),
        (seen(owner=None, resolver=None), False, EnsStatus.ERROR, "not registered"),
        (seen(owner=None, is_inherited=True), False, EnsStatus.CREATED, "nothing"),
        (seen(resolver=None), False, EnsStatus.ERROR, "no resolver"),
        (seen(OTHER), True, EnsStatus.ERROR, OTHER),
        (seen(), True, EnsStatus.ERROR, "nothing"),
    ],
)
def test_every_other_answer_has_its_status_and_reason(
    state: Seen, was_active: bool, status: EnsStatus, word: str
) -> None:
    found, reason = rules.judge(WANTED, state, was_active=was_active)
    assert (found, word in reason) == (status, True), reason


def test_a_transaction_is_mined_also_when_the_base_fee_doubles() -> None:
    assert rules.fees(10 * GWEI, GWEI, replaced=None, limit_gwei=100) == (21 * GWEI, GWEI)
    assert rules.fees(60 * GWEI, GWEI, replaced=None, limit_gwei=100) == (100 * GWEI, GWEI)


def test_a_replacement_offers_a_tenth_more_of_both() -> None:
    most, tip = rules.fees(10 * GWEI, GWEI, replaced=(21 * GWEI, GWEI), limit_gwei=100)
    assert most >= 21 * GWEI * 1.1
    assert tip >= GWEI * 1.1
    assert rules.fees(50 * GWEI, GWEI, replaced=(21 * GWEI, GWEI), limit_gwei=200)[0] == 101 * GWEI


def test_more_than_the_limit_is_not_paid() -> None:
    with pytest.raises(EnsFeeTooHigh):
        rules.fees(100 * GWEI, GWEI, replaced=None, limit_gwei=100)
    with pytest.raises(EnsFeeTooHigh):
        rules.fees(GWEI, GWEI, replaced=(95 * GWEI, GWEI), limit_gwei=100)
    assert rules.fees(GWEI, 1000 * GWEI, replaced=None, limit_gwei=100)[1] == rules.TIP_WEI_MAX


def test_the_next_number_is_the_first_that_is_free() -> None:
    assert rules.next_nonce(7, set()) == 7
    assert rules.next_nonce(7, {7, 8, 10}) == 9
    assert rules.next_nonce(7, {3, 4}) == 7
