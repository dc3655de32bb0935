"""ENS records against the real contracts of ENS on a local chain: nothing is done before the chain says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from af import names, projects
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Context
from af.core.errors import Forbidden, InvalidInput
from af.names import EnsStatus, jobs
from tests.support import ens, platforms
from tests.support.ens import Contracts
from tests.unit.names.ens.conftest import CID, CONTENT, OTHER, PREFIX, look_after, opened

pytestmark = pytest.mark.npm


# --- a wallet signs ---------------------------------------------------------------------------------------------------


async def test_a_name_is_active_only_when_the_chain_says_so(ctx: Context, contracts: Contracts, name: str) -> None:
    chain, owner = contracts.chain, ens.wallet(contracts.chain)
    contracts.register(name, owner.address)
    record = await names.create_ens(ctx, name.upper(), content=CONTENT)
    assert (record.name, record.status, record.content) == (name, EnsStatus.CREATED, CONTENT)
    unsigned = await names.prepare_ens(ctx, record.id)
    assert (unsigned.sender, unsigned.to, unsigned.value, unsigned.chain_id) == (
        owner.address, contracts.resolver, 0, 1,
    )  # fmt: skip
    seen = await names.verify_ens(ctx, record.id)
    assert (seen.status, seen.seen, seen.owner) == (EnsStatus.CREATED, "", owner.address)

    chain.call("evm_setAutomine", False)
    try:
        sent = ens.sign_and_send(chain, owner, unsigned.to, unsigned.data, unsigned.gas)
        seen = await names.verify_ens(ctx, record.id, transaction=sent)
        assert seen.status is EnsStatus.PENDING
        assert contracts.contenthash(name) == b""
    finally:
        chain.call("evm_setAutomine", True)
    chain.call("evm_mine")

    assert ens.mined(chain, sent)["status"] == "0x1"
    seen = await names.verify_ens(ctx, name)
    assert (seen.status, seen.reason, seen.seen, seen.verified_at) == (EnsStatus.ACTIVE, "", CONTENT, ctx.now)
    assert contracts.contenthash(name).startswith(PREFIX)
    resolution = await names.resolve_ens(ctx, name)
    assert (resolution.content, resolution.owner) == (CONTENT, owner.address)


async def test_another_wallets_transaction_is_refused_and_the_reason_is_kept(
    ctx: Context, contracts: Contracts, name: str
) -> None:
    owner, thief = ens.wallet(contracts.chain), ens.wallet(contracts.chain)
    contracts.register(name, owner.address)
    record = await names.create_ens(ctx, name, content=CONTENT)
    with pytest.raises(names.EnsRefused) as refused:
        await names.prepare_ens(ctx, record.id, sender=thief.address)
    assert owner.address in refused.value.hint
    unsigned = await names.prepare_ens(ctx, record.id)
    sent = ens.sign_and_send(contracts.chain, thief, unsigned.to, unsigned.data, 200_000)
    assert ens.mined(contracts.chain, sent)["status"] == "0x0"
    seen = await names.verify_ens(ctx, record.id, transaction=sent)
    assert seen.status is EnsStatus.ERROR
    assert "refused" in seen.reason
    assert owner.address in seen.reason
    assert contracts.contenthash(name) == b""


async def test_an_approved_sender_may_change_the_name_in_the_owners_place(
    ctx: Context, contracts: Contracts, name: str
) -> None:
    """As a multisig does that the owner has approved at the registry."""
    delegate = ens.wallet(contracts.chain)
    contracts.register(name)
    contracts.act("setApprovalForAll", ("address", "bool"), (delegate.address, True))
    contracts.act(
        "setAuthorisation", ("bytes32", "address", "bool"), (ens.node_of(name), delegate.address, True),
        to=contracts.resolver,
    )  # fmt: skip
    record = await names.create_ens(ctx, name, content=CONTENT)
    unsigned = await names.prepare_ens(ctx, record.id, sender=delegate.address)
    ens.mined(contracts.chain, ens.sign_and_send(contracts.chain, delegate, unsigned.to, unsigned.data, unsigned.gas))
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE


async def test_a_name_follows_its_ipns_name(ctx: Context, contracts: Contracts, name: str) -> None:
    project = (await projects.selected(ctx)).id
    key = await names.create(ctx, project, label="blog")
    record = await names.create_ens(ctx, name, ipns=key.id)
    assert (record.content, record.ipns_record_id) == (f"ipns://{key.name}", key.id)
    contracts.register(name, (owner := ens.wallet(contracts.chain)).address)
    unsigned = await names.prepare_ens(ctx, record.id)
    ens.mined(contracts.chain, ens.sign_and_send(contracts.chain, owner, unsigned.to, unsigned.data, unsigned.gas))
    assert (await names.verify_ens(ctx, record.id)).seen == f"ipns://{key.name}"
    assert await names.ens_of_ipns(ctx, [key.id]) == {key.id: [await names.find_ens(ctx, record.id)]}


# --- names that are not right -----------------------------------------------------------------------------------------


async def test_names_that_do_not_exist_or_have_no_resolver_say_so(
    ctx: Context, contracts: Contracts, name: str
) -> None:
    record = await names.create_ens(ctx, name, content=CONTENT)
    seen = await names.verify_ens(ctx, record.id)
    assert (seen.status, seen.reason) == (EnsStatus.ERROR, "The name is not registered.")
    with pytest.raises(names.EnsNameAbsent):
        await names.prepare_ens(ctx, record.id)
    with pytest.raises(names.EnsNameAbsent):
        await names.resolve_ens(ctx, name)
    contracts.register(name, resolver=False)
    seen = await names.verify_ens(ctx, record.id)
    assert seen.status is EnsStatus.ERROR
    assert "no resolver" in seen.reason
    with pytest.raises(names.EnsRefused, match="no resolver"):
        await names.prepare_ens(ctx, record.id)
    contracts.act("setResolver", ("bytes32", "address"), (ens.node_of(name), contracts.root))  # no contract
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.CREATED
    with pytest.raises(names.EnsNameAbsent, match="does not answer"):
        await names.resolve_ens(ctx, name)


async def test_a_block_that_the_chain_takes_back_is_noticed_within_minutes(
    ctx: Context, contracts: Contracts, clock: FixedClock, name: str
) -> None:
    contracts.register(name)
    record = await names.create_ens(ctx, name, content=CONTENT)
    data = (await names.prepare_ens(ctx, record.id)).data
    before = contracts.chain.call("evm_snapshot")
    _set(contracts, name, data)
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE
    assert contracts.chain.call("evm_revert", before) is True
    assert await look_after(ctx) == 0
    clock.advance(timedelta(minutes=3))
    assert await look_after(ctx) == 1
    assert (await names.find_ens(ctx, record.id)).status is EnsStatus.ERROR
    _set(contracts, name, data)
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE


async def test_a_name_that_changes_later_is_noticed_by_the_worker(
    ctx: Context, contracts: Contracts, clock: FixedClock, name: str
) -> None:
    contracts.register(name)
    record = await names.create_ens(ctx, name, content=CONTENT)
    _set(contracts, name, (await names.prepare_ens(ctx, record.id)).data)
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE
    other = await names.create_ens(ctx, "other" + name, content=OTHER)
    contracts.register("other" + name)
    data = (await names.prepare_ens(ctx, other.id)).data
    _set(contracts, name, data.replace(ens.node_of("other" + name).hex(), ens.node_of(name).hex()))
    assert await look_after(ctx) == 0
    clock.advance(timedelta(hours=7))
    assert await look_after(ctx) == 1
    seen = await names.find_ens(ctx, record.id)
    assert (seen.status, seen.seen) == (EnsStatus.ERROR, OTHER)
    assert OTHER in seen.reason


def _set(contracts: Contracts, name: str, data: str) -> None:
    """Send prepared data as the root account, who owns the name."""
    transaction = {"from": contracts.root, "to": contracts.resolver, "data": data, "gas": hex(300_000)}
    sent = contracts.chain.call("eth_sendTransaction", transaction)
    assert ens.mined(contracts.chain, sent)["status"] == "0x1", name


# --- who may, and what is missing -------------------------------------------------------------------------------------


async def test_records_belong_to_their_project(ctx: Context, name: str) -> None:
    record = await names.create_ens(ctx, name, content=CONTENT)
    with pytest.raises(names.EnsRecordTaken):
        await names.create_ens(ctx, name, content=OTHER)
    stranger = await platforms.user(ctx.platform, "eve")
    await projects.create_project(stranger, "theirs")
    for use in (names.find_ens, names.verify_ens, names.prepare_ens, names.delete_ens):
        with pytest.raises(names.EnsRecordNotFound):
            await use(stranger, record.id)
    with pytest.raises(names.EnsRecordNotFound):
        await names.find_ens(stranger, name)
    assert (await names.create_ens(stranger, name, content=CONTENT)).id != record.id
    project = (await projects.selected(ctx)).id
    assert await names.list_ens(ctx, project) == [record]
    await names.delete_ens(ctx, name)
    assert await names.list_ens(ctx, project) == []


async def test_a_deleted_projects_records_go(ctx: Context, name: str) -> None:
    mine = await projects.create_project(ctx, "second")
    record = await names.create_ens(ctx.acting_as(ctx.actor), name, ipns=(await names.create(ctx, mine.id)).id)
    await projects.delete_project(ctx, mine.id)
    system = ctx.acting_as(SYSTEM)
    forget = next(each for each in jobs.RECONCILERS if each.name == "names.deleted_projects")
    workflow = next(each for each in jobs.WORKFLOWS if each.name == forget.workflow)
    for _, arguments in await forget.find(system):
        await workflow.run(system, *arguments)
    with pytest.raises(names.EnsRecordNotFound):
        await names.find_ens(ctx, record.id)


async def test_wishes_that_make_no_sense_are_refused(ctx: Context, name: str) -> None:
    project = (await projects.selected(ctx)).id
    key = await names.create(ctx, project)
    for wrong in ("", "eth", "a b.eth", "xn--a.eth", "\u0441oinbase.eth"):
        with pytest.raises(names.EnsNameInvalid):
            await names.create_ens(ctx, wrong, content=CONTENT)
    for wrong in ("nothing", CID, f"ipns://{CID}", f"{CONTENT}/index.html", "https://example.org"):
        with pytest.raises(names.EnsContentInvalid):
            await names.create_ens(ctx, name, content=wrong)
    for both in ({}, {"content": CONTENT, "ipns": key.id}, {"site_id": "sit_x"}, {"ipns": key.id, "site_id": "sit_x"}):
        with pytest.raises(InvalidInput):
            await names.create_ens(ctx, name, **both)
    record = await names.create_ens(ctx, name, content=CONTENT)
    for wrong in ("", "0x", "0x" + "g" * 64, "ab" * 32):
        with pytest.raises(InvalidInput):
            await names.verify_ens(ctx, record.id, transaction=wrong)
    with pytest.raises(InvalidInput):
        await names.prepare_ens(ctx, record.id, sender="0x12")


async def test_without_a_node_nothing_is_claimed(
    database_url: str, tmp_path: Path, clock: FixedClock, contracts: Contracts, name: str
) -> None:
    async with opened(database_url, tmp_path, clock, contracts, ethereum_rpc_urls="") as ctx:
        record = await names.create_ens(ctx, name, content=CONTENT)
        for use in (names.verify_ens, names.prepare_ens):
            with pytest.raises(names.EnsNotConfigured, match="chain 1") as missing:
                await use(ctx, record.id)
            assert "AF_ETHEREUM_RPC_URLS" in missing.value.hint
        assert (await names.find_ens(ctx, record.id)).status is EnsStatus.CREATED
        assert await look_after(ctx) == 0


@pytest.mark.parametrize("settings", [{"ens_chain_id": 5}, {"ens_registry": "0x" + "12" * 20}, {"dead": True}])
async def test_a_node_of_another_chain_or_without_ens_or_that_is_gone_is_no_answer(
    database_url: str, tmp_path: Path, clock: FixedClock, contracts: Contracts, name: str, settings: dict[str, Any]
) -> None:
    if settings.pop("dead", False):
        settings["ethereum_rpc_urls"] = "1=http://127.0.0.1:1"
    elif "ens_chain_id" in settings:
        settings["ethereum_rpc_urls"] = f"5={contracts.chain.url}"
    async with opened(database_url, tmp_path, clock, contracts, **settings) as ctx:
        record = await names.create_ens(ctx, name, content=CONTENT)
        with pytest.raises(names.ChainFailed):
            await names.verify_ens(ctx, record.id)
        assert (await names.find_ens(ctx, record.id)).status is EnsStatus.CREATED


async def test_only_the_platforms_operator_spends_its_ether(ctx: Context, name: str) -> None:
    other = await platforms.user(ctx.platform, "bob")
    await projects.create_project(other, "theirs")
    record = await names.create_ens(other, name, content=CONTENT)
    with pytest.raises(Forbidden):
        await names.send_ens(other, record.id)
    mine = await names.create_ens(ctx, name, content=CONTENT)
    with pytest.raises(names.EnsKeyMissing):
        await names.send_ens(ctx, mine.id)
