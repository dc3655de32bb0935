"""Transactions that the platform sends with the operator's key, on a local chain that mines when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from af import names
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.errors import Conflict
from af.names import EnsStatus
from tests.support import ens
from tests.support.ens import Contracts
from tests.unit.names.ens.conftest import CONTENT, OTHER, look_after, opened

pytestmark = pytest.mark.npm


@pytest.fixture
def key(contracts: Contracts) -> LocalAccount:
    """The operator's account."""
    return ens.wallet(contracts.chain)


@pytest.fixture
async def ctx(
    database_url: str, tmp_path: Path, clock: FixedClock, contracts: Contracts, key: LocalAccount
) -> AsyncIterator[Context]:
    async with opened(database_url, tmp_path, clock, contracts, ens_private_key=key.key.hex()) as made:
        yield made


@pytest.fixture
def by_hand(contracts: Contracts) -> Iterator[None]:
    """The chain mines when told to (`evm_mine`)."""
    contracts.chain.call("evm_setAutomine", False)
    yield
    contracts.chain.call("evm_setAutomine", True)
    contracts.chain.call("anvil_dropAllTransactions")


@pytest.fixture
def mine_name(contracts: Contracts, name: str, key: LocalAccount) -> str:
    """A name that the operator's account owns."""
    contracts.register(name, key.address)
    return name


async def test_what_is_sent_is_pending_until_it_is_mined(
    ctx: Context, contracts: Contracts, clock: FixedClock, mine_name: str, by_hand: None
) -> None:
    record = await names.create_ens(ctx, mine_name, content=CONTENT)
    sent = await names.send_ens(ctx, record.id)
    assert (sent.status, sent.transaction[:2]) == (EnsStatus.PENDING, "0x")
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.PENDING
    clock.advance(timedelta(minutes=1))
    assert await look_after(ctx) == 1
    assert (await names.find_ens(ctx, record.id)).status is EnsStatus.PENDING
    contracts.chain.call("evm_mine")
    clock.advance(timedelta(minutes=1))
    assert await look_after(ctx) == 1
    done = await names.find_ens(ctx, record.id)
    assert (done.status, done.seen, done.transaction) == (EnsStatus.ACTIVE, CONTENT, sent.transaction)
    assert (done.signed, done.nonce, done.sender) == (None, None, None)
    assert contracts.chain.call("eth_getTransactionReceipt", sent.transaction)["status"] == "0x1"


async def test_a_transaction_that_the_node_lost_is_sent_again(
    ctx: Context, contracts: Contracts, clock: FixedClock, mine_name: str, by_hand: None
) -> None:
    """So is one that never reached it: the process died behind the commit."""
    record = await names.create_ens(ctx, mine_name, content=CONTENT)
    sent = await names.send_ens(ctx, record.id)
    contracts.chain.call("anvil_dropTransaction", sent.transaction)
    contracts.chain.call("evm_mine")
    clock.advance(timedelta(minutes=1))
    await look_after(ctx)
    contracts.chain.call("evm_mine")
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE


async def test_sending_again_replaces_what_waits_with_a_higher_fee(
    ctx: Context, contracts: Contracts, mine_name: str, by_hand: None
) -> None:
    record = await names.create_ens(ctx, mine_name, content=CONTENT)
    first = await names.send_ens(ctx, record.id)
    second = await names.send_ens(ctx, record.id)
    assert second.nonce == first.nonce
    assert second.transaction != first.transaction
    assert (second.max_fee or 0) > (first.max_fee or 0)
    contracts.chain.call("evm_mine")
    assert contracts.chain.call("eth_getTransactionReceipt", first.transaction) is None
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE


async def test_several_names_at_once_get_numbers_of_their_own(
    ctx: Context, contracts: Contracts, name: str, key: LocalAccount, by_hand: None
) -> None:
    contracts.chain.call("evm_setAutomine", True)
    made = []
    for number in range(4):
        contracts.register(f"n{number}.{name}", key.address)
        made.append(await names.create_ens(ctx, f"n{number}.{name}", content=CONTENT))
    contracts.chain.call("evm_setAutomine", False)

    async def send(record: str) -> names.EnsRecord:
        for _ in range(10):
            try:
                return await names.send_ens(ctx, record)
            except Conflict:  # the same number at the same moment: nothing was sent
                continue
        raise AssertionError("never sent")

    sent = await asyncio.gather(*(send(record.id) for record in made))
    assert len({record.nonce for record in sent}) == 4
    contracts.chain.call("evm_mine")
    for record in made:
        assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE


async def test_a_name_of_somebody_else_is_refused_before_anything_is_paid(
    ctx: Context, contracts: Contracts, name: str, key: LocalAccount
) -> None:
    owner = ens.wallet(contracts.chain)
    contracts.register(name, owner.address)
    record = await names.create_ens(ctx, name, content=CONTENT)
    with pytest.raises(names.EnsRefused) as refused:
        await names.send_ens(ctx, record.id)
    assert owner.address in refused.value.hint
    assert contracts.chain.call("eth_getTransactionCount", key.address, "pending") == "0x0"


async def test_a_name_that_is_given_away_while_the_transaction_waits_ends_in_error(
    ctx: Context, contracts: Contracts, mine_name: str, key: LocalAccount, by_hand: None
) -> None:
    """Mined before ours with a higher fee: the contract refuses ours, and the reason says so."""
    record = await names.create_ens(ctx, mine_name, content=CONTENT)
    await names.send_ens(ctx, record.id)
    parent = mine_name.partition(".")[2]
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    label, other = keccak(text=mine_name.partition(".")[0]), ens.wallet(contracts.chain)
    data = keccak(text="setSubnodeOwner(bytes32,bytes32,address)")[:4] + encode(
        ["bytes32", "bytes32", "address"], [ens.node_of(parent), label, other.address]
    )
    contracts.chain.call(
        "eth_sendTransaction",
        {
            "from": contracts.root, "to": contracts.registry, "data": "0x" + data.hex(), "gas": hex(200_000),
            "maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(10**11),
        },
    )  # fmt: skip
    contracts.chain.call("evm_mine")
    seen = await names.verify_ens(ctx, record.id)
    assert seen.status is EnsStatus.ERROR
    assert "mined and refused" in seen.reason
    assert other.address in seen.reason
    assert seen.signed is None


async def test_without_ether_the_node_says_so_and_nothing_waits(
    ctx: Context, contracts: Contracts, mine_name: str, key: LocalAccount
) -> None:
    contracts.chain.call("anvil_setBalance", key.address, "0x0")
    record = await names.create_ens(ctx, mine_name, content=CONTENT)
    with pytest.raises(names.EnsRefused, match=r"(?i)insufficient funds") as refused:
        await names.send_ens(ctx, record.id)
    assert "ether" in refused.value.hint
    seen = await names.find_ens(ctx, record.id)
    assert (seen.status, seen.signed, seen.nonce) == (EnsStatus.ERROR, None, None)


async def test_gas_above_the_operators_limit_is_not_paid(
    database_url: str, tmp_path: Path, clock: FixedClock, contracts: Contracts, mine_name: str, key: LocalAccount
) -> None:
    limits: dict[str, Any] = {"ens_private_key": key.key.hex(), "ens_fee_gwei_max": 1}
    async with opened(database_url, tmp_path, clock, contracts, **limits) as ctx:
        contracts.chain.call("anvil_setNextBlockBaseFeePerGas", hex(5 * 10**9))
        contracts.chain.call("evm_mine")
        record = await names.create_ens(ctx, mine_name, content=OTHER)
        with pytest.raises(names.EnsFeeTooHigh, match="AF_ENS_FEE_GWEI_MAX"):
            await names.send_ens(ctx, record.id)
        assert (await names.find_ens(ctx, record.id)).status is EnsStatus.CREATED
        assert contracts.chain.call("eth_getTransactionCount", key.address, "pending") == "0x0"
