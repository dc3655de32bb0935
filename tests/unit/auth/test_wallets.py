"""Wallets with real keys: another implementation's Ethereum signer, and ed25519."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af.auth.backends.ethereum import Ethereum
from af.auth.backends.solana import Solana
from af.auth.errors import InvalidClaim, WrongProof
from af.core.http import Client
from af.protocols import base58, siwe
from tests.support.asgi import AsgiClient
from tests.support.wallets import KEY, NOW, ORDER, ORIGIN, OTHER, begin, finish, sign


def method() -> Ethereum:
    return Ethereum(Client(), {})


# --- Ethereum keys --------------------------------------------------------------------------------------------------


async def test_a_key_signs_in_as_its_address_on_every_chain() -> None:
    backend = method()
    subjects = set()
    for chain_id, address in (("1", KEY.address), ("8453", KEY.address.lower())):
        opening = await begin(backend, address=address, chainId=chain_id)
        text = opening.shown["message"]
        identity = await finish(backend, opening, signature=sign(text), message=text, address=address)
        assert identity.label == KEY.address
        assert identity.data == {"chainId": chain_id}
        subjects.add(identity.subject)
    assert subjects == {KEY.address.lower()}


async def test_the_message_names_us_the_question_and_its_time() -> None:
    opening = await begin(method(), address=KEY.address.lower())
    message = siwe.parse(opening.shown["message"])
    assert message.domain == "app.example.org:8443"
    assert message.uri == ORIGIN
    assert message.address == KEY.address
    assert message.statement == "Sign in to Alternate Futures with your wallet"
    assert message.nonce == opening.lookup == opening.shown["nonce"]
    assert len(opening.lookup or "") >= 16
    assert (message.issued_at, message.expiration_time) == ("2026-01-01T12:00:00.000Z", "2026-01-01T12:15:00.000Z")
    assert opening.shown["expiresIn"] == 900
    assert (await begin(method(), address=KEY.address)).lookup != opening.lookup


@pytest.mark.parametrize(
    "claim",
    [{}, {"address": ""}, {"address": KEY.address[:-1]}, {"address": KEY.address.replace("A", "a", 1)},
     {"address": "vitalik.eth"}, *({"address": KEY.address, "chainId": text} for text in
     ("", "0", "01", "-1", "1.0", "0x1", "１", str(2**63), "9" * 5000, "1\nNonce: 12345678"))],
)  # fmt: skip
async def test_claims_that_no_wallet_makes_are_refused(claim: dict[str, str]) -> None:
    with pytest.raises(InvalidClaim):
        await begin(method(), **claim)


CHANGES = [
    ("app.example.org:8443 wants", "app.example.com wants", "domain"),
    ("app.example.org:8443 wants", "app.ехample.org:8443 wants", ""),  # Cyrillic е and х
    (f"URI: {ORIGIN}", "URI: https://app.example.org", "uri"),
    ("Chain ID: 1", "Chain ID: 137", "chain id"),
    ("Nonce: ", "Nonce: 0", "nonce"),
    ("12:15:00", "23:15:00", "expiration time"),
    ("Issued At: 2026", "Issued At: 2025", "issued at"),
    (KEY.address, OTHER.address, "address"),
    ("\n", "\r\n", ""),
    ("Sign in to", "Give all to", "statement"),
    ("Version: 1", "Version: 1" * 5000, ""),
]


@pytest.mark.parametrize("old,new,names", CHANGES)
async def test_a_signature_of_another_message_is_refused_and_the_difference_named(
    old: str, new: str, names: str
) -> None:
    opening = await begin(method(), address=KEY.address)
    text = opening.shown["message"].replace(old, new)
    assert text != opening.shown["message"]
    with pytest.raises(WrongProof) as refused:
        await finish(method(), opening, message=text, signature=sign(text))
    assert names in refused.value.message
    with pytest.raises(WrongProof):  # nor when it is not sent along
        await finish(method(), opening, signature=sign(text))


async def test_a_message_is_refused_when_its_time_is_over_and_at_another_address_of_ours() -> None:
    opening = await begin(method(), address=KEY.address)
    signature = sign(opening.shown["message"])
    for changed in ({"now": NOW + timedelta(minutes=15)}, {"origin": "https://other.example.org"}):
        with pytest.raises(WrongProof, match="not for this platform, or its time"):
            await finish(method(), opening, signature=signature, **changed)
    in_time = await finish(method(), opening, signature=signature, now=NOW + timedelta(minutes=14, seconds=59))
    assert in_time.label == KEY.address


def _spoiled(signature: str) -> dict[str, Any]:
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    return {
        "nothing": None,
        "a number": 7,
        "empty": "",
        "0x": "0x",
        "no 0x": signature[2:],
        "blanks": signature[:10] + " " + signature[10:],
        "odd": signature[:-1],
        "other digits": signature[:-2] + "１b",
        "high s": f"0x{r}{ORDER - s:064x}{27 + 28 - v:02x}",
        "compact": f"0x{r}{s | (v - 27) << 255:064x}",
        "v of the other point": f"{signature[:130]}{27 + 28 - v:02x}",
        "v=2": signature[:130] + "02",
        "v=29": signature[:130] + "1d",
        "v=37": signature[:130] + "25",
        "a byte more": signature + "00",
        "r=0": "0x" + "00" * 32 + signature[66:],
        "huge": "0x" + "11" * 9000,
    }


@pytest.mark.parametrize("name", _spoiled("0x" + "11" * 65))
async def test_a_spoiled_signature_is_refused(name: str) -> None:
    opening = await begin(method(), address=KEY.address)
    with pytest.raises(WrongProof):
        await finish(method(), opening, signature=_spoiled(sign(opening.shown["message"]))[name])


async def test_a_last_byte_of_0_or_1_is_as_good_as_27_or_28() -> None:
    opening = await begin(method(), address=KEY.address)
    signature = sign(opening.shown["message"])
    old = f"{signature[:130]}{int(signature[130:], 16) - 27:02x}"
    assert (await finish(method(), opening, signature=old)).subject == KEY.address.lower()


async def test_another_persons_key_is_refused_with_a_hint_about_contract_wallets() -> None:
    opening = await begin(method(), address=KEY.address, chainId="8453")
    with pytest.raises(WrongProof) as refused:
        await finish(method(), opening, signature=sign(opening.shown["message"], OTHER))
    assert "AF_ETHEREUM_RPC_URLS" in refused.value.hint
    assert "8453" in refused.value.hint
    with pytest.raises(WrongProof):
        await finish(method(), opening, address=OTHER.address, signature=sign(opening.shown["message"]))


# --- Solana ---------------------------------------------------------------------------------------------------------

ED25519 = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
ADDRESS = base58.encode(ED25519.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "form", [base58.encode, lambda s: base64.b64encode(s).decode(), bytes.hex, lambda s: "0x" + s.hex()]
)
async def test_a_solana_account_signs_in_with_its_signature_in_any_usual_form(form: Any) -> None:
    opening = await begin(Solana(), address=ADDRESS, chainId="1")
    text = opening.shown["message"]
    assert "\nChain ID: mainnet\n" in text
    identity = await finish(
        Solana(), opening, message=text, address=ADDRESS, signature=form(ED25519.sign(text.encode()))
    )
    assert (identity.subject, identity.label) == (ADDRESS, ADDRESS)


async def test_another_account_message_time_or_form_is_refused() -> None:
    opening = await begin(Solana(), address=ADDRESS)
    text = opening.shown["message"]
    good = base58.encode(ED25519.sign(text.encode()))
    stranger = Ed25519PrivateKey.generate()
    for values in (
        {"signature": base58.encode(stranger.sign(text.encode()))},
        {"signature": base58.encode(ED25519.sign(text.encode() + b"\n"))},
        {"signature": good, "message": text + "\n"},
        {"signature": good, "message": text.replace("\n", "\r\n")},
        {"signature": good, "message": text.replace("mainnet", "devnet")},
        {"signature": good, "address": base58.encode(stranger.public_key().public_bytes_raw())},
        {"signature": good[:-1]},
        {"signature": good + "1" * 300},
        {"signature": [good]},
        {"signature": ""},
        {},
    ):
        with pytest.raises(WrongProof):
            await finish(Solana(), opening, **values)
    with pytest.raises(WrongProof, match="its time"):
        await finish(Solana(), opening, signature=good, now=NOW + timedelta(hours=1))
    assert (await finish(Solana(), opening, signature=good)).label == ADDRESS


@pytest.mark.parametrize(
    "address", ["", "1" * 32, "1" * 31, ADDRESS[:30], ADDRESS + "1", ADDRESS.lower(), KEY.address, "0" * 44]
)
async def test_texts_that_are_no_account_are_refused(address: str) -> None:
    with pytest.raises(InvalidClaim):
        await begin(Solana(), address=address)


# --- start -------------------------------------------------------------------------------------------------------


def test_a_process_in_which_nobody_signs_in_loads_no_curves() -> None:
    code = (
        "import sys, af.auth.backends.configured as c; print([m for m in ('coincurve', 'Crypto') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- the whole way ----------------------------------------------------------------------------------------------------


async def test_by_the_routes_a_wallet_is_a_new_account_once_and_the_same_one_later(client: AsgiClient) -> None:
    seen = []
    for _ in range(2):
        asked = (await client.post("/auth/wallet/challenge", {"address": KEY.address, "chainId": "1"})).json()
        answer = {"address": KEY.address, "message": asked["message"], "signature": sign(asked["message"])}
        done = await client.post("/auth/wallet/verify", answer)
        assert done.status == 200, done.text
        seen.append((done.json()["user"]["id"], done.json()["isNew"]))
        again = await client.post("/auth/wallet/verify", answer)
        assert (again.status, again.json()["code"]) == (401, "challenge_over")
    assert [new for _, new in seen] == [True, False]
    assert seen[0][0] == seen[1][0]


async def test_three_wrong_signatures_end_the_question(client: AsgiClient) -> None:
    asked = (await client.post("/auth/wallet/challenge", {"address": ADDRESS})).json()
    text = asked["message"]
    answer = {"address": ADDRESS, "message": text}
    for _ in range(3):
        wrong = await client.post("/auth/wallet/verify", answer | {"signature": base58.encode(b"\2" * 64)})
        assert (wrong.status, wrong.json()["code"]) == (401, "wrong_proof")
    right = answer | {"signature": base58.encode(ED25519.sign(text.encode()))}
    late = await client.post("/auth/wallet/verify", right)
    assert (late.status, late.json()["code"]) == (401, "challenge_over")
