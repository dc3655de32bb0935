"""Names as other contracts than the public resolver keep them: wrapped, answered from above, answered off the chain."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from af import names
from af.core.context import Context
from af.names import EnsStatus
from af.protocols import ens as protocol
from tests.support import ens
from tests.support.ens import Contracts
from tests.support.evm import Answer, contract
from tests.unit.names.ens.conftest import CONTENT

pytestmark = pytest.mark.npm

YES = (1).to_bytes(32, "big")
ENCODED = protocol.encode_contenthash(protocol.parse_content(CONTENT))
PLAIN = Answer(encode(["bytes"], [ENCODED]))


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def set_resolver(contracts: Contracts, name: str, answers: dict[str, Answer]) -> None:
    """A resolver of this kind for ``name``, which is registered."""
    code = contract({selector(signature): answer for signature, answer in answers.items()})
    contracts.act("setResolver", ("bytes32", "address"), (ens.node_of(name), contracts.chain.deploy(code)))


async def test_a_name_below_one_with_a_wildcard_is_answered_from_there(
    ctx: Context, contracts: Contracts, name: str
) -> None:
    """ENSIP-10: not registered itself; the resolver above wraps the answer once more."""
    contracts.register(name, resolver=False)
    wrapped = Answer(encode(["bytes"], [PLAIN.data]))
    set_resolver(contracts, name, {"supportsInterface(bytes4)": Answer(YES), "resolve(bytes,bytes)": wrapped})
    found = await names.resolve_ens(ctx, f"deep.below.{name}")
    assert (found.content, found.owner) == (CONTENT, "")
    record = await names.create_ens(ctx, f"deep.{name}", content=CONTENT)
    assert (await names.verify_ens(ctx, record.id)).status is EnsStatus.ACTIVE
    with pytest.raises(names.EnsNameAbsent):
        await names.prepare_ens(ctx, record.id)


async def test_a_resolver_above_without_wildcards_does_not_count(ctx: Context, contracts: Contracts, name: str) -> None:
    contracts.register(name, resolver=False)
    set_resolver(contracts, name, {"supportsInterface(bytes4)": Answer(bytes(32)), "contenthash(bytes32)": PLAIN})
    assert (await names.resolve_ens(ctx, name)).content == CONTENT
    with pytest.raises(names.EnsNameAbsent):
        await names.resolve_ens(ctx, f"below.{name}")


async def test_a_wrapped_name_shows_its_real_owner(ctx: Context, contracts: Contracts, name: str) -> None:
    owner = ens.wallet(contracts.chain)
    wrapper = contracts.chain.deploy(
        contract({selector("ownerOf(uint256)"): Answer(encode(["address"], [owner.address]))})
    )
    contracts.register(name, wrapper)
    assert (await names.resolve_ens(ctx, name)).owner == owner.address


async def test_records_that_are_not_on_the_chain_are_not_claimed(ctx: Context, contracts: Contracts, name: str) -> None:
    contracts.register(name, resolver=False)
    lookup = Answer(selector("OffchainLookup(address,string[],bytes,bytes4,bytes)") + bytes(160), refuses=True)
    set_resolver(contracts, name, {"supportsInterface(bytes4)": Answer(YES), "resolve(bytes,bytes)": lookup})
    record = await names.create_ens(ctx, name, content=CONTENT)
    for use in (names.verify_ens, names.prepare_ens):
        with pytest.raises(names.EnsOffchain):
            await use(ctx, record.id)
    assert (await names.find_ens(ctx, record.id)).status is EnsStatus.CREATED


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff" * 64, encode(["bytes"], [b"\x01\x02\x03"]), encode(["bytes"], [b"\xe3\x01" * 40])],
    ids=["nothing", "far outside", "no namespace", "no CID"],
)
async def test_what_a_resolver_answers_need_not_make_sense(
    ctx: Context, contracts: Contracts, name: str, answer: bytes
) -> None:
    contracts.register(name, resolver=False)
    set_resolver(contracts, name, {"contenthash(bytes32)": Answer(answer)})
    record = await names.create_ens(ctx, name, content=CONTENT)
    seen = await names.verify_ens(ctx, record.id)
    assert (seen.status, seen.seen) == (EnsStatus.CREATED, "")
    assert "read" in seen.reason or "answer" in seen.reason
    with pytest.raises(names.EnsNameAbsent):
        await names.resolve_ens(ctx, name)
