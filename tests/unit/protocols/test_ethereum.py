"""Addresses and signatures against published values (EIP-55; https://github.com/spruceid/siwe) and another signer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from af.protocols import ethereum, siwe
from af.protocols.ethereum import InvalidAddress, InvalidSignature
from af.protocols.siwx import Message

PUBLISHED = [  # EIP-55
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
KEY = Account.from_key("0x" + "11" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_addresses_have_their_checksum(text: str) -> None:
    address = ethereum.parse_address(text)
    assert ethereum.to_text(address) == text
    assert ethereum.parse_address(text.lower()) == ethereum.parse_address("0x" + text[2:].upper()) == address
    assert ethereum.is_checksummed(text)
    assert not ethereum.is_checksummed(text.lower())


@pytest.mark.parametrize(
    "text",
    ["", "0x", PUBLISHED[0][:-1], PUBLISHED[0] + "0", "0X" + PUBLISHED[0][2:], "0x" + "g" * 40, PUBLISHED[0] + "\n",
     PUBLISHED[0].replace("A", "a", 1), "0x" + "１" * 40],
)  # fmt: skip
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(InvalidAddress):
        ethereum.parse_address(text)


def _published(address: str, nonce: str, issued_at: str, expiration_time: str | None = None) -> Message:
    return Message(
        domain="login.xyz",
        address=address,
        statement="Sign-In With Ethereum Example Statement",
        uri="https://login.xyz",
        version="1",
        chain_id="1",
        nonce=nonce,
        issued_at=issued_at,
        expiration_time=expiration_time,
    )


EXAMPLE = _published(
    "0x9D85ca56217D2bb651b00f15e694EB7E713637D4",
    "bTyXgcQxn2htgkjJn",
    "2022-01-27T17:09:38.578Z",
    "2100-01-07T14:31:43.952Z",
)
LOW_V = replace(
    _published("0xc95EB884FE852e241D409234bfC7045CB9E31BD7", "15050747", "2022-06-30T14:08:51.382Z"),
    domain="www.tally.xyz",
    uri="https://tally.xyz",
    statement="Sign in with Ethereum to Tally",
)


@pytest.mark.parametrize(
    "message,signature",
    [
        (
            EXAMPLE,
            "dc35c7f8ba2720df052e0092556456127f00f7707eaa8e3bbff7e56774e7f2e0"
            "5a093cfc9e02964c33d86e8e066e221b7d153d27e5a2e97ccd5ca7d3f2ce06cb1b",
        ),
        (  # the last byte is 1
            LOW_V,
            "8c46b6eb8505939892d8e9b075f89f8277321b17b993151f37810cdda38cce6f"
            "4a85909d2b53e6a14629c74c0ac38bf4becde78ee5b2529812bf6cceaf7b2a2501",
        ),
    ],
)
def test_published_signatures_give_their_address(message: Message, signature: str) -> None:
    text = siwe.write(message)
    recovered = ethereum.recover(ethereum.hash_of_text(text), bytes.fromhex(signature))
    assert ethereum.to_text(recovered) == message.address
    assert ethereum.recover(ethereum.hash_of_text(text + "."), bytes.fromhex(signature)) != recovered


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_another_signers_signatures_give_its_address(text: str) -> None:
    signature = bytes(KEY.sign_message(encode_defunct(text=text)).signature)
    digest = ethereum.hash_of_text(text)
    assert ethereum.to_text(ethereum.recover(digest, signature)) == KEY.address
    assert ethereum.recover(digest, signature[:64] + bytes([signature[64] - 27])) == ethereum.recover(digest, signature)


def _signed() -> bytes:
    return bytes(KEY.sign_message(encode_defunct(text="hello")).signature)


def _malleated() -> bytes:
    """The same signature with the other s: as valid to the curve, and refused by EIP-2."""
    signature = _signed()
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


def _compact() -> bytes:
    """The 64 bytes of EIP-2098."""
    signature = _signed()
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [b"", _malleated(), _compact(), _signed() + b"\0", _signed()[:64] + b"\x02", _signed()[:64] + b"\x25",
     bytes(64) + b"\x1b", _signed()[:32] + bytes(32) + b"\x1b", ORDER.to_bytes(32, "big") + _signed()[32:],
     (5).to_bytes(32, "big") + _signed()[32:]],
    ids=["empty", "high s", "compact", "66 bytes", "v=2", "v=37 (EIP-155)", "zeros", "s=0", "r=order", "r is no point"],
)  # fmt: skip
def test_other_forms_of_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(InvalidSignature):
        ethereum.recover(ethereum.hash_of_text("hello"), signature)


def test_the_malleated_signature_is_valid_to_the_curve() -> None:
    """So the test above refuses it for its s, and not by chance."""
    assert Account.recover_message(encode_defunct(text="hello"), signature=_malleated()) == KEY.address


def test_only_the_whole_word_is_a_contracts_yes() -> None:
    assert ethereum.is_valid_answer(ethereum.MAGIC + bytes(28))
    for answer in (b"", ethereum.MAGIC, bytes(32), ethereum.validity_call(b"\x11" * 32, b"x"), bytes(31) + b"\1"):
        assert not ethereum.is_valid_answer(answer)


@given(st.binary(max_size=300))
def test_damaged_deployless_signatures_are_refused_as_such(body: bytes) -> None:
    signature = body + bytes.fromhex("6492" * 16)
    assert ethereum.is_deployless(signature)
    try:
        factory, preparation, inner = ethereum.open_deployless(signature)
    except InvalidSignature:
        return
    assert len(factory) == 20
    assert len(preparation) + len(inner) <= 2 * len(body)
