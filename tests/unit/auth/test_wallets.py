"""Wallets with real keys: another implementation's Ethereum signer, ed25519, and contract wallets on a real node."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from af.auth.backends import Asked, Backend, Identity, Opening, Proof
from af.auth.backends.ethereum import Ethereum
from af.auth.backends.solana import Solana
from af.auth.errors import InvalidClaim, WrongProof
from af.auth.models import LoginMethod, Purpose
from af.core import settings
from af.core.errors import Upstream
from af.core.http import Client
from af.protocols import base58, ethereum, siwe
from tests.support import answering, anvil
from tests.support.ports import free_port

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORIGIN = "https://app.example.org:8443"
KEY: LocalAccount = Account.from_key("0x" + "11" * 32)
OTHER: LocalAccount = Account.from_key("0x" + "22" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def method(**rpc_urls: str) -> Ethereum:
    return Ethereum(Client(), {name.removeprefix("chain"): url for name, url in rpc_urls.items()})


async def begin(backend: Backend, **claim: str) -> Opening:
    return await backend.begin(Asked(claim, Purpose.SIGN_IN, NOW, ORIGIN))


async def finish(
    backend: Backend, opening: Opening, *, now: datetime = NOW, origin: str = ORIGIN, **values: Any
) -> Identity:
    async def known(_: str) -> LoginMethod | None:
        return None

    return await backend.finish(opening.secret, Proof(values, now, origin, known))


def sign(text: str, key: LocalAccount = KEY) -> str:
    return "0x" + bytes(key.sign_message(encode_defunct(text=text)).signature).hex()


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


# --- contract wallets -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[anvil.Chain]:
    with anvil.running(tmp_path_factory.mktemp("anvil")) as running:
        yield running


def owned_by(owner: LocalAccount) -> bytes:
    """The code of the smallest EIP-1271 wallet: it answers with the magic value when ``ecrecover`` of the hash and the
    signature gives its owner, which is written into the code, and with zeros otherwise."""
    return bytes.fromhex(
        "600435" "600052"  # memory[0] = hash (calldata: selector 4, hash 32, offset 32, length 32, r 32, s 32, v 1)
        "60a435" "60f8" "1c" "602052"  # memory[32] = v: the first byte of that word, shifted right by 248 bits
        "606435" "604052" "608435" "606052"  # memory[64] = r, memory[96] = s
        "6020" "6080" "6080" "6000" "6001" "5a" "fa" "50"  # STATICCALL of ecrecover (1): its address to memory[128]
        "608051" "73" + owner.address[2:] + "14"  # is it the owner's?
        "631626ba7e" "60e0" "1b" "02"  # times the magic value in the upper 4 bytes
        "600052" "6020" "6000" "f3"  # return the word
    )  # fmt: skip


HUGE = bytes.fromhex("620100006000f3")  # PUSH3 65536 PUSH1 0 RETURN: more zeros than an answer may have
ECHO = bytes.fromhex("366000600037366000f3")  # CALLDATACOPY all, return it: begins with the selector, no wallet
REVERT = bytes.fromhex("60006000fd")
DEPLOYER = "0x4e59b44847b379578588920ca78fbf26c0b4956c"  # CREATE2 for anybody (salt || code); on anvil from the start


@dataclass(frozen=True, slots=True)
class Wallet:
    """A contract wallet and the method of a platform that has a node of its chain."""

    backend: Ethereum
    address: str
    chain_id: str

    async def answer(self, sign_text: Any) -> Identity:
        opening = await begin(self.backend, address=self.address, chainId=self.chain_id)
        return await finish(self.backend, opening, signature=sign_text(opening.shown["message"]))


@pytest.fixture
def wallet(chain: anvil.Chain) -> Wallet:
    backend = Ethereum(Client(), {chain.chain_id: chain.url})
    return Wallet(backend, chain.deploy(owned_by(KEY)), chain.chain_id)


@pytest.mark.npm
async def test_a_contract_wallet_signs_in_by_its_owner_and_nobody_else(wallet: Wallet) -> None:
    identity = await wallet.answer(sign)
    assert identity.subject == f"eip155:{wallet.chain_id}:{wallet.address.lower()}"
    assert identity.label.lower() == f"{wallet.address.lower()} (chain {wallet.chain_id})"
    with pytest.raises(WrongProof, match="no contract on chain"):
        await wallet.answer(lambda text: sign(text, OTHER))
    with pytest.raises(WrongProof, match="no contract on chain"):
        await wallet.answer(lambda text: sign(text + "."))


@pytest.mark.npm
@pytest.mark.parametrize("code", [ECHO, HUGE, REVERT, b"\0"], ids=["echo", "huge", "revert", "stop"])
async def test_a_contract_that_is_no_wallet_lets_nobody_in(chain: anvil.Chain, wallet: Wallet, code: bytes) -> None:
    other = Wallet(wallet.backend, chain.deploy(code), chain.chain_id)
    with pytest.raises(WrongProof, match="no contract on chain"):
        await other.answer(sign)


@pytest.mark.npm
@pytest.mark.parametrize("number", range(1, 11))
async def test_the_contracts_that_every_chain_has_let_nobody_in(wallet: Wallet, number: int) -> None:
    """4 is the identity contract: it gives back what it is given. Most of the others fail, each node in its words."""
    built_in = Wallet(wallet.backend, f"0x{number:040x}", wallet.chain_id)
    with pytest.raises((WrongProof, Upstream)):
        await built_in.answer(sign)


@pytest.mark.npm
async def test_an_address_without_a_contract_lets_only_its_key_in(wallet: Wallet) -> None:
    person = Wallet(wallet.backend, KEY.address, wallet.chain_id)
    assert (await person.answer(sign)).subject == KEY.address.lower()
    with pytest.raises(WrongProof):
        await person.answer(lambda text: sign(text, OTHER))


@pytest.mark.npm
async def test_a_contract_wallet_of_a_chain_without_a_node_gets_the_hint(wallet: Wallet) -> None:
    elsewhere = Wallet(wallet.backend, wallet.address, "10")
    with pytest.raises(WrongProof) as refused:
        await elsewhere.answer(sign)
    assert "AF_ETHEREUM_RPC_URLS" in refused.value.hint


def _deployless(preparation: bytes, inner: str, factory: str = DEPLOYER) -> str:
    """``abi.encode(factory, preparation, signature)`` and the mark of ERC-6492."""

    def part(data: bytes) -> bytes:
        return len(data).to_bytes(32, "big") + data + bytes(-len(data) % 32)

    first, second = part(preparation), part(bytes.fromhex(inner[2:]))
    head = (
        bytes.fromhex(factory[2:]).rjust(32, b"\0") + (96).to_bytes(32, "big") + (96 + len(first)).to_bytes(32, "big")
    )
    return "0x" + (head + first + second).hex() + "6492" * 16


def _future(code: bytes, salt: bytes) -> tuple[str, bytes]:
    """(address, call data) of a contract that `DEPLOYER` has yet to make (EIP-1014)."""
    made = anvil.creation_code(code)
    seed = b"\xff" + bytes.fromhex(DEPLOYER[2:]) + salt + ethereum.keccak_256(made)
    return ethereum.to_text(ethereum.keccak_256(seed)[12:]), salt + made


@pytest.mark.npm
async def test_a_wallet_that_is_not_on_the_chain_yet_signs_in_by_its_owner(chain: anvil.Chain, wallet: Wallet) -> None:
    address, preparation = _future(owned_by(KEY), b"\1" * 32)
    future = Wallet(wallet.backend, address, chain.chain_id)
    identity = await future.answer(lambda text: _deployless(preparation, sign(text)))
    assert identity.subject == f"eip155:{chain.chain_id}:{address.lower()}"
    assert chain.call("eth_getCode", address, "latest") == "0x", "asking changes nothing on the chain"
    with pytest.raises(WrongProof):
        await future.answer(lambda text: _deployless(preparation, sign(text, OTHER)))
    with pytest.raises(WrongProof):  # not on the chain, and not said how it gets there
        await future.answer(sign)


@pytest.mark.npm
async def test_a_factory_gives_nobody_anothers_address(chain: anvil.Chain, wallet: Wallet) -> None:
    _, theirs = _future(owned_by(OTHER), b"\2" * 32)
    for address in (KEY.address, wallet.address):
        victim = Wallet(wallet.backend, address, chain.chain_id)
        with pytest.raises(WrongProof):
            await victim.answer(lambda text: _deployless(theirs, sign(text, OTHER)))
    with pytest.raises(WrongProof):
        await wallet.answer(lambda text: "0x" + "ff" * 40 + "6492" * 16)
    own = await wallet.answer(lambda text: _deployless(b"", sign(text)))  # there already: the factory is not called
    assert own.subject.endswith(wallet.address.lower())


@pytest.mark.parametrize(
    "status,body",
    [(200, b"not json"), (200, b"[]"), (200, b'{"result": 7}'), (200, b'{"result": "0xzz"}'), (500, b""),
     (429, b'{"error": {"code": -32005, "message": "limit exceeded"}}'), (200, b'{"error": "no"}'),
     (200, b"[" * 50_000)],
)  # fmt: skip
async def test_a_node_that_fails_is_said_to_fail(status: int, body: bytes) -> None:
    with answering.running() as server:
        server.answers = [answering.reply(status, body)]
        backend = method(chain1=server.url)
        opening = await begin(backend, address=KEY.address)
        with pytest.raises(Upstream, match="chain 1"):
            await finish(backend, opening, signature=sign(opening.shown["message"], OTHER))


async def test_a_node_that_is_gone_is_said_to_be_gone() -> None:
    backend = method(chain1=f"http://127.0.0.1:{free_port()}/secret-key")
    opening = await begin(backend, address=KEY.address)
    with pytest.raises(Upstream) as failed:
        await finish(backend, opening, signature=sign(opening.shown["message"], OTHER))
    assert "secret-key" not in failed.value.message + failed.value.detail


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


# --- settings -------------------------------------------------------------------------------------------------------


def test_nodes_are_named_by_chain() -> None:
    named = settings.load({"AF_ETHEREUM_RPC_URLS": "1=https://a.example/key=x, 8453=http://127.0.0.1:8545"})
    assert settings.chain_addresses(named.ethereum_rpc_urls) == {
        "1": "https://a.example/key=x",
        "8453": "http://127.0.0.1:8545",
    }
    for wrong in ("https://a.example", "x=https://a.example", "01=https://a.example", "1=ftp://a", "1=", "1=https://"):
        with pytest.raises(settings.InvalidSetting) as refused:
            settings.load({"AF_ETHEREUM_RPC_URLS": wrong})
        assert "a.example" not in refused.value.message


def test_a_process_in_which_nobody_signs_in_loads_no_curves() -> None:
    code = (
        "import sys, af.auth.backends.configured as c; print([m for m in ('coincurve', 'Crypto') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
