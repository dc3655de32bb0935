"""Contract wallets (EIP-1271, ERC-6492) on a real node, and nodes that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from af.auth.backends import Identity
from af.auth.backends.ethereum import Ethereum
from af.auth.errors import WrongProof
from af.core import setting_kinds, settings
from af.core.errors import Upstream
from af.core.http import Client
from af.protocols import ethereum
from tests.support import answering, anvil
from tests.support.ports import free_port
from tests.support.wallets import KEY, OTHER, begin, finish, sign


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


@pytest.mark.npm
async def test_an_answer_that_was_never_given_is_not_read_from_what_the_factory_was_sent(wallet: Wallet) -> None:
    """Memory still holds the factory's call data where the wallet's answer would be; no contract there, no answer."""
    nobody = Wallet(wallet.backend, OTHER.address, wallet.chain_id)
    check_bytes = len(ethereum.validity_call(bytes(32), bytes(65)))
    forged = bytes(check_bytes) + ethereum.MAGIC + bytes(28)
    with pytest.raises(WrongProof):
        await nobody.answer(lambda text: _deployless(forged, sign(text)))


@pytest.mark.parametrize(
    "status,body",
    [(200, b"not json"), (200, b"[]"), (200, b'{"result": 7}'), (200, b'{"result": "0xzz"}'), (500, b""),
     (429, b'{"error": {"code": -32005, "message": "limit exceeded"}}'), (200, b'{"error": "no"}'),
     (200, b"[" * 50_000)],
)  # fmt: skip
async def test_a_node_that_fails_is_said_to_fail(status: int, body: bytes) -> None:
    with answering.running() as server:
        server.answers = [answering.reply(status, body)]
        backend = Ethereum(Client(), {"1": server.url})
        opening = await begin(backend, address=KEY.address)
        with pytest.raises(Upstream, match="chain 1"):
            await finish(backend, opening, signature=sign(opening.shown["message"], OTHER))


async def test_a_node_that_is_gone_is_said_to_be_gone() -> None:
    backend = Ethereum(Client(), {"1": f"http://127.0.0.1:{free_port()}/secret-key"})
    opening = await begin(backend, address=KEY.address)
    with pytest.raises(Upstream) as failed:
        await finish(backend, opening, signature=sign(opening.shown["message"], OTHER))
    assert "secret-key" not in failed.value.message + failed.value.detail


def test_nodes_are_named_by_chain() -> None:
    named = settings.load({"AF_ETHEREUM_RPC_URLS": "1=https://a.example/key=x, 8453=http://127.0.0.1:8545"})
    assert setting_kinds.chain_addresses(named.ethereum_rpc_urls) == {
        "1": "https://a.example/key=x",
        "8453": "http://127.0.0.1:8545",
    }
    for wrong in ("https://a.example", "x=https://a.example", "01=https://a.example", "1=ftp://a", "1=", "1=https://"):
        with pytest.raises(settings.InvalidSetting) as refused:
            settings.load({"AF_ETHEREUM_RPC_URLS": wrong})
        assert "a.example" not in refused.value.message
