"""ENS records: wanted, checked against the chain, and what to sign for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from af import projects
from af.core import ids
from af.core.context import Context
from af.core.errors import InvalidInput, NotFound
from af.core.http import Client
from af.core.ids import EnsRecordId, ProjectId
from af.core.setting_kinds import chain_addresses
from af.names import rules_ens as rules
from af.names import store
from af.names.backends.chain import Chain, Refused, is_transaction_hash
from af.names.backends.ens import Ens, NameState
from af.names.errors_ens import (
    EnsNameAbsent,
    EnsNotConfigured,
    EnsRecordNotFound,
    EnsRefused,
    TooManyEnsRecords,
)
from af.names.models import IpnsName
from af.names.models_ens import EnsRecord, EnsResolution, EnsStatus, UnsignedTransaction
from af.names.rules_ens import Mined, Seen
from af.names.service.access import READ, WRITE, name_for
from af.protocols import ens, ethereum
from af.protocols import ethereum_abi as abi
from af.protocols.ethereum import Address

PAGE_MAX = 100


# --- the wish ---------------------------------------------------------------------------------------------------------


async def create_ens(
    ctx: Context, name: str, *, ipns: str | None = None, site_id: str | None = None, content: str | None = None
) -> EnsRecord:
    """A record that ``name`` should point at the IPNS name ``ipns`` (its id or label), at the one that follows
    ``site_id``, or at ``content`` (``ipfs://…``). Nothing is asked of the chain yet.

    :raises EnsNameInvalid, EnsContentInvalid, EnsRecordTaken, TooManyEnsRecords, IpnsRecordNotFound:
    """
    normal = rules.read_name(name)
    target = None if content else await _ipns_target(ctx, ipns, site_id)
    if target is None and (content is None or ipns or site_id):
        raise InvalidInput("Name either content or an IPNS name, not both.", field="content")
    project_id = (await projects.selected(ctx)).id if target is None else target.project_id
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    record = EnsRecord(
        id=EnsRecordId(ids.new(ids.ENS_RECORD, ctx.now)),
        project_id=project.id,
        name=normal,
        site_id=target.site_id if target else None,
        ipns_record_id=target.id if target else None,
        content=rules.read_content(content or f"ipns://{target.name if target else ''}").uri,
        status=EnsStatus.CREATED,
        reason="The chain has not been asked yet.",
        seen="",
        owner="",
        verified_at=None,
        checked_at=None,
        transaction="",
        sender=None,
        nonce=None,
        max_fee=None,
        tip=None,
        signed=None,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        if await store.ens.count(tx, project.id) >= rules.RECORDS_PER_PROJECT_MAX:
            raise TooManyEnsRecords(f"A project has at most {rules.RECORDS_PER_PROJECT_MAX} ENS records.")
        await store.ens.insert(tx, record)
        after = {"name": normal, "content": record.content}
        await projects.audit(ctx, "ens.create", project.id, record.id, None, after)
    return record


async def _ipns_target(ctx: Context, ipns: str | None, site_id: str | None) -> IpnsName:
    if ipns is None:
        if site_id is None:
            raise InvalidInput("Name a site, an IPNS name, or content.", field="siteId")
        async with ctx.reading() as connection:
            following = [name for name in await store.ipns.of_sites(connection, [site_id]) if not name.replaced_by]
        if not following:
            await projects.require_signed_in(ctx)
            raise InvalidInput(
                "No IPNS name follows this site, so its ENS name would have to change with every deployment.",
                hint="`af ipns create --site SITE` makes one; or point at content with --content ipfs://CID.",
                field="siteId",
            )
        ipns = following[0].id
    by_id = ids.is_id(ids.IPNS_RECORD, ipns)
    found = await name_for(ctx, WRITE, None if by_id else (await projects.selected(ctx)).id, ipns)
    if site_id is not None and found.site_id != site_id:
        raise InvalidInput("That IPNS name does not follow that site.", field="ipnsRecordId")
    return found


async def delete_ens(ctx: Context, named: str) -> EnsRecord:
    """Forget the record. The chain stays as it is: only the name's owner can change it."""
    record = await record_for(ctx, WRITE, named)
    async with ctx.transaction() as tx:
        await store.ens.delete(tx, record.id)
        before = {"name": record.name, "content": record.content}
        await projects.audit(ctx, "ens.delete", record.project_id, record.id, before, None)
    return record


# --- reading ----------------------------------------------------------------------------------------------------------


async def find_ens(ctx: Context, named: str) -> EnsRecord:
    """A record by id or, in the selected project, by name. :raises EnsRecordNotFound:"""
    return await record_for(ctx, READ, named)


async def list_ens(
    ctx: Context, project_id: str, *, ipns_record_id: str | None = None, first: int = PAGE_MAX, after: str | None = None
) -> list[EnsRecord]:
    """A project's records, oldest first. ``after`` is the last id of the page before; ``first`` ≤ 101."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    limit = max(1, min(first, PAGE_MAX + 1))
    async with ctx.reading() as connection:
        return await store.ens.of_project(
            connection, project.id, ipns_record_id=ipns_record_id, after=after, limit=limit
        )


async def ens_of_ipns(ctx: Context, names: Sequence[str]) -> dict[str, list[EnsRecord]]:
    """The records that point at each of these names (ids), which the caller has been shown."""
    found: dict[str, list[EnsRecord]] = {name: [] for name in names}
    async with ctx.reading() as connection:
        for record in await store.ens.of_ipns(connection, names):
            found[record.ipns_record_id or ""].append(record)
    return found


async def ipns_of_ens(ctx: Context, record_ids: Sequence[str]) -> dict[str, IpnsName]:
    """The IPNS names with these ids, which records point at that the caller has been shown."""
    async with ctx.reading() as connection:
        return {name.id: name for name in await store.ipns.by_ids(connection, record_ids)}


async def resolve_ens(ctx: Context, name: str) -> EnsResolution:
    """Any name as the chain has it now. :raises EnsNameAbsent, EnsOffchain, EnsNotConfigured, ChainFailed:"""
    await projects.require_signed_in(ctx)  # each question costs the operator calls of a node
    normal = rules.read_name(name)
    chain = await opened(ctx)
    state = await chain.look(normal)
    if state.owner is None and state.resolver is None:
        raise EnsNameAbsent(f"{normal} is not registered on chain {chain.chain.chain_id}.")
    if state.problem:
        raise EnsNameAbsent(f"{normal} points at nothing that can be shown: {state.problem}.")
    return EnsResolution(
        name=normal,
        chain_id=chain.chain.chain_id,
        owner=_text(state.owner),
        resolver=_text(state.resolver),
        content=state.content.uri if state.content else "",
    )


async def record_for(ctx: Context, action: str, named: str) -> EnsRecord:
    """:raises EnsRecordNotFound: absent or hidden. :raises Forbidden: visible, but not for this action."""
    by_id = ids.is_id(ids.ENS_RECORD, named)
    project: ProjectId | None = None if by_id else (await projects.selected(ctx)).id
    async with ctx.reading() as connection:
        if project is None:
            found = await store.ens.by_id(connection, named)
        else:
            found = await store.ens.by_name(connection, project, rules.read_name(named))
    missing = EnsRecordNotFound(f"There is no ENS record {named[:80]!r}.", hint="`af ens list` shows your records.")
    if found is None:
        await projects.require_signed_in(ctx)
        raise missing
    try:
        await projects.authorize(ctx, action, project_id=found.project_id)
    except NotFound:
        raise missing from None
    return found


# --- the chain --------------------------------------------------------------------------------------------------------


async def verify_ens(ctx: Context, named: str, *, transaction: str | None = None) -> EnsRecord:
    """Ask the chain and write down what it says. ``transaction``: the hash of the one that the owner's wallet sent.

    :raises EnsNotConfigured, ChainFailed, EnsOffchain: it cannot be asked; the record stays as it is.
    """
    record = await record_for(ctx, WRITE, named)
    if transaction is not None:
        if not is_transaction_hash(transaction.lower()):
            raise InvalidInput("A transaction's hash is 0x and 64 hexadecimal digits.", field="transaction")
        if record.signed is None:
            record = replace(record, transaction=transaction.lower())
    return await check_ens(ctx, record)


async def check_ens(ctx: Context, record: EnsRecord) -> EnsRecord:
    """As `verify_ens`, for a record that the caller may change."""
    chain = await opened(ctx)
    mined, failure = await _how_far(chain.chain, record.transaction)
    state = await chain.look(record.name)  # after the transaction, so that what that did is seen
    seen = Seen(
        owner=state.owner,
        resolver=state.resolver,
        is_inherited=state.is_inherited,
        content=state.content,
        problem=state.problem,
        mined=mined,
        failure=failure,
    )
    status, reason = rules.judge(record.content, seen, was_active=record.verified_at is not None)
    async with ctx.transaction() as tx:
        newest = await store.ens.by_id(tx, record.id, locked=True)
        if newest is None:
            raise EnsRecordNotFound("The ENS record was deleted meanwhile.")
        if newest.signed is not None and newest.transaction != record.transaction:
            return newest  # another transaction was sent meanwhile: what was judged is of yesterday
        checked = replace(
            newest,
            transaction=record.transaction,
            status=status,
            reason=reason,
            seen=state.content.uri if state.content else "",
            owner=_text(state.owner),
            checked_at=ctx.now,
            verified_at=ctx.now if status is EnsStatus.ACTIVE else newest.verified_at,
            updated_at=ctx.now if status is not newest.status else newest.updated_at,
        )
        if mined in (Mined.DONE, Mined.FAILED):
            checked = replace(checked, sender=None, nonce=None, max_fee=None, tip=None, signed=None)
        await store.ens.update(tx, checked)
        if status is not newest.status:
            before, after = {"status": newest.status}, {"status": status, "seen": checked.seen}
            await projects.audit(ctx, "ens.verify", record.project_id, record.id, before, after)
    return checked


async def prepare_ens(ctx: Context, named: str, *, sender: str | None = None) -> UnsignedTransaction:
    """What the name's owner has to sign; ``sender`` is another account that may (a multisig, an approved operator).

    :raises EnsNameAbsent: not registered. :raises EnsRefused: no resolver, or it would refuse this sender.
    """
    record = await record_for(ctx, READ, named)
    return await transaction_for(ctx, record, rules.read_address(sender) if sender else None)


async def transaction_for(ctx: Context, record: EnsRecord, sender: Address | None) -> UnsignedTransaction:
    chain = await opened(ctx)
    state = await chain.look(record.name)
    to, sender = _parties(record, state, sender)
    data = ens.set_contenthash(ens.namehash(record.name), rules.read_content(record.content))
    try:
        gas = await chain.chain.estimate_gas(sender, to, data)
    except Refused as refused:
        why = abi.refusal(refused.data, ens.REFUSALS) or "it gives no reason"
        raise EnsRefused(
            f"The resolver {_text(to)} refuses a change of {record.name} by {_text(sender)}: {why}.",
            hint=f"The name's owner is {_text(state.owner)}: send from there (--from), or have it approve the sender.",
        ) from None
    return UnsignedTransaction(
        chain_id=chain.chain.chain_id,
        sender=_text(sender),
        to=_text(to),
        data="0x" + data.hex(),
        value=0,
        gas=gas,
        content=record.content,
    )


def _parties(record: EnsRecord, state: NameState, sender: Address | None) -> tuple[Address, Address]:
    """(resolver, sender) of a change."""
    if state.owner is None:
        raise EnsNameAbsent(f"{record.name} is not registered, or not its owner's on this chain.")
    if state.resolver is None or state.is_inherited:
        raise EnsRefused(
            f"{record.name} has no resolver of its own, so nothing can be written to it.",
            hint=f"Its owner {_text(state.owner)} sets the public resolver first, for example in the ENS app.",
        )
    return state.resolver, sender or state.owner


async def _how_far(chain: Chain, transaction: str) -> tuple[Mined, str]:
    if not transaction:
        return Mined.NONE, ""
    receipt = await chain.receipt(transaction)
    if receipt is None:
        return Mined.WAITING, ""
    if receipt.succeeded:
        return Mined.DONE, ""
    return Mined.FAILED, abi.refusal(await chain.why_failed(transaction, receipt.block), ens.REFUSALS)


def is_configured(ctx: Context) -> bool:
    return _node_url(ctx) is not None


def _node_url(ctx: Context) -> str | None:
    return chain_addresses(ctx.settings.ethereum_rpc_urls).get(str(ctx.settings.ens_chain_id))


async def opened(ctx: Context) -> Ens:
    """:raises EnsNotConfigured: no node. :raises ChainFailed: it is of another chain."""
    settings, url = ctx.settings, _node_url(ctx)
    if url is None:
        raise EnsNotConfigured(
            f"No node of chain {settings.ens_chain_id} is configured, so ENS cannot be read.",
            hint=f"The operator sets AF_ETHEREUM_RPC_URLS, for example {settings.ens_chain_id}=https://eth.example.org.",
        )
    chain = Chain(ctx.get(Client), url, settings.ens_chain_id)
    await chain.check()
    return Ens(chain, ethereum.parse_address(settings.ens_registry))


def _text(address: Address | None) -> str:
    return ethereum.to_text(address) if address else ""
