"""Transactions equal to those of eth-account, an independent signer."""

from __future__ import annotations

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols import ethereum, ethereum_transactions
from af.protocols.ethereum import Address
from af.protocols.ethereum_transactions import InvalidKey, Transaction

KEY = bytes.fromhex("11" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@settings(max_examples=40)
@given(
    key=st.integers(1, ORDER - 1),
    chain_id=st.integers(1, 2**32),
    nonce=st.integers(0, 2**20),
    fee=st.integers(0, 10**13),
    to=st.binary(min_size=20, max_size=20),
    value=st.integers(0, 10**24),
    data=st.binary(max_size=300),
)
def test_signed_bytes_and_hash_equal_those_of_eth_account(
    key: int, chain_id: int, nonce: int, fee: int, to: bytes, value: int, data: bytes
) -> None:
    secret = key.to_bytes(32, "big")
    ours = Transaction(
        chain_id=chain_id, nonce=nonce, max_priority_fee=fee // 2, max_fee=fee, gas=100_000, to=Address(to),
        value=value, data=data,
    ).signed(secret)  # fmt: skip
    theirs = Account.sign_transaction(
        {
            "type": 2, "chainId": chain_id, "nonce": nonce, "maxPriorityFeePerGas": fee // 2, "maxFeePerGas": fee,
            "gas": 100_000, "to": ethereum.to_text(to), "value": value, "data": data,
        },
        secret,
    )  # fmt: skip
    assert ours == bytes(theirs.raw_transaction)
    assert ethereum_transactions.hash_of(ours) == bytes(theirs.hash)
    assert ethereum.to_text(ethereum_transactions.address_of(secret)) == Account.from_key(secret).address


@pytest.mark.parametrize(
    "text",
    ["", "0x", "11" * 31, "11" * 33, "0" * 64, "f" * 64, "g" * 64, " " + "1" * 63, "0x0x" + "11" * 30, "１" * 64],
)
def test_what_is_no_private_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidKey) as refused:
        ethereum_transactions.parse_key(text)
    assert not text.strip("0x ") or text not in str(refused.value)


def test_a_private_key_is_read_with_and_without_its_prefix() -> None:
    assert ethereum_transactions.parse_key(KEY.hex()) == ethereum_transactions.parse_key("0x" + KEY.hex()) == KEY


def test_lists_and_texts_are_written_as_the_yellow_paper_says() -> None:
    rlp = ethereum_transactions.rlp
    assert rlp(b"dog") == b"\x83dog"
    assert rlp([b"cat", b"dog"]) == b"\xc8\x83cat\x83dog"
    assert rlp(b"") == rlp(0) == b"\x80"
    assert rlp([]) == b"\xc0"
    assert rlp(b"\x0f") == rlp(15) == b"\x0f"
    assert rlp(1024) == b"\x82\x04\x00"
    assert rlp([[], [[]], [[], [[]]]]) == bytes.fromhex("c7c0c1c0c3c0c1c0")
    assert rlp(b"x" * 56) == b"\xb8\x38" + b"x" * 56
