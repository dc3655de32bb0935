"""Sign-In with Solana: the message, and keys and signatures against RFC 8032."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from af.protocols import base58, siws
from af.protocols.siwx import InvalidMessage, Message

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
ADDRESS = base58.encode(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
FULL = Message(
    domain="localhost:3000",
    address=ADDRESS,
    statement="Sign in, please.",
    uri="http://localhost:3000",
    version="1",
    chain_id="mainnet",
    nonce="oBbLoEldZs",
    issued_at="2023-01-01T00:00:00.000Z",
    expiration_time="2023-01-01T00:15:00.000Z",
    not_before="2023-01-01T00:00:00.000Z",
    request_id="id",
    resources=("https://example.com", "https://phantom.app/"),
)
TEXT = f"""localhost:3000 wants you to sign in with your Solana account:
{ADDRESS}

Sign in, please.

URI: http://localhost:3000
Version: 1
Chain ID: mainnet
Nonce: oBbLoEldZs
Issued At: 2023-01-01T00:00:00.000Z
Expiration Time: 2023-01-01T00:15:00.000Z
Not Before: 2023-01-01T00:00:00.000Z
Request ID: id
Resources:
- https://example.com
- https://phantom.app/"""


def test_the_largest_and_the_smallest_message() -> None:
    assert siws.parse(TEXT) == FULL
    assert siws.write(FULL) == TEXT
    smallest = Message(domain="a.example", address=ADDRESS)
    assert siws.write(smallest) == f"a.example wants you to sign in with your Solana account:\n{ADDRESS}"


_FIELD = {
    "statement": st.text("abc .,:", min_size=1).filter(lambda text: not text.startswith("URI: ")),
    "uri": st.just("https://a.example/x"),
    "version": st.just("1"),
    "chain_id": st.sampled_from(sorted(siws.CHAINS)),
    "nonce": st.text("ab01", min_size=8, max_size=20),
    "issued_at": st.just("2023-01-01T00:00:00Z"),
    "not_before": st.just("2023-01-01T00:00:00+01:00"),
    "request_id": st.text("ab-", max_size=5),
    "resources": st.lists(st.just("ipfs://x"), max_size=2).map(tuple),
}


@given(st.fixed_dictionaries({}, optional=_FIELD))
def test_reading_what_was_written_gives_it_back(fields: dict[str, object]) -> None:
    message = Message(domain="a.example", address=ADDRESS, **fields)  # type: ignore[arg-type]
    assert siws.parse(siws.write(message)) == message


@pytest.mark.parametrize(
    "text",
    ["", TEXT.replace("Solana", "Ethereum"), "https://" + TEXT, TEXT.replace("mainnet", "1"),
     TEXT.replace("\n", "\r\n"), TEXT + "\n", TEXT.replace("\n\nURI", "\nURI"), TEXT.replace(ADDRESS, ADDRESS[:-1]),
     TEXT.split("\n")[0], TEXT.replace("localhost", "lоcalhost"), TEXT.replace("Version: 1\n", "Version: 1\n" * 2)],
    ids=["empty", "Ethereum's", "scheme", "chain 1", "CRLF", "line after", "no empty line", "short address",
         "no address", "look-alike domain", "version twice"],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        siws.parse(text)


def test_a_statement_that_would_be_read_as_a_field_is_not_written() -> None:
    with pytest.raises(InvalidMessage):
        siws.write(replace(FULL, statement="Nonce: 12341234"))


# --- keys and signatures --------------------------------------------------------------------------------------------

VECTORS = [  # RFC 8032, section 7.1: TEST 1 and TEST 2 (those whose message is text)
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "r",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
]


@pytest.mark.parametrize("key,text,signature", VECTORS)
def test_published_signatures_hold_for_their_text_only(key: str, text: str, signature: str) -> None:
    public, proof = siws.parse_address(base58.encode(bytes.fromhex(key))), bytes.fromhex(signature)
    assert siws.is_signature(public, text, proof)
    assert not siws.is_signature(public, text + " ", proof)
    assert not siws.is_signature(public, text, proof[:-1])
    s = int.from_bytes(proof[32:], "little") + ORDER
    assert not siws.is_signature(public, text, proof[:32] + s.to_bytes(32, "little")), "s above the order is malleable"


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Points of edwards25519 (RFC 8032, section 5.1.4), slowly."""
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    (x1, y1), (x2, y2) = one, other
    product = d * x1 * x2 * y1 * y2 % PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME) % PRIME
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME) % PRIME
    return x, y


def _small_order_points() -> set[tuple[int, int]]:
    """All eight: the multiples of one of order 8, found as order * (any point that is not of the main subgroup)."""
    d, root = -121665 * pow(121666, -1, PRIME) % PRIME, pow(2, (PRIME - 1) // 4, PRIME)
    for y in range(3, 100):
        square = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
        x = pow(square, (PRIME + 3) // 8, PRIME)
        if x * x % PRIME != square:
            x = x * root % PRIME
        if x * x % PRIME != square:
            continue
        point, factor, sum_ = (x, y), ORDER, (0, 1)
        while factor:
            sum_ = _add(sum_, point) if factor & 1 else sum_
            point, factor = _add(point, point), factor >> 1
        multiples, current = set(), (0, 1)
        for _ in range(8):
            current = _add(current, sum_)
            multiples.add(current)
        if len(multiples) == 8:
            return multiples
    raise AssertionError("no point of order 8 found")


def test_keys_that_anybody_can_sign_for_are_no_addresses() -> None:
    ys = {y for _, y in _small_order_points()}
    assert len(ys) == 5
    encodings = {y + sign for y in (*ys, *(y + PRIME for y in ys if y + PRIME < 2**255)) for sign in (0, 2**255)}
    for encoding in encodings:
        with pytest.raises(ValueError, match=r"anybody|program"):
            siws.parse_address(base58.encode(encoding.to_bytes(32, "little")))


def test_a_small_order_key_would_have_let_anybody_in() -> None:
    """Why they are refused: the library itself takes one signature of the key 1 for every text."""
    identity = (1).to_bytes(32, "little")
    assert siws.is_signature(identity, "anything", identity + bytes(32))


def test_an_address_of_a_program_is_refused() -> None:
    with pytest.raises(ValueError, match="program"):
        siws.parse_address(base58.encode((2).to_bytes(32, "little")))  # y = 2 is on no point


def test_every_key_is_an_address() -> None:
    for _ in range(50):
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        assert siws.parse_address(base58.encode(key)) == key


@given(st.binary(max_size=64))
def test_base58_gives_back_what_it_was_given(data: bytes) -> None:
    assert base58.decode(base58.encode(data)) == data


def test_base58_refuses_other_letters_and_long_texts() -> None:
    assert base58.encode(b"\0\0hello") == "11Cn8eVZg"
    for text in ("0", "O", "I", "l", "a b", "é", "1" * 257):
        with pytest.raises(ValueError):
            base58.decode(text)
