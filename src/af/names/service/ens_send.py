"""Transactions of ENS that the platform sends itself, with the operator's key; and looking after them until mined.

The signed bytes are written down before they are sent, with a number that no other transaction of ours has: whatever
crashes afterwards, the same bytes are sent again, and the chain takes them once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from af import projects
from af.core import ids
from af.core.context import SYSTEM, Context, only_the_platform
from af.core.errors import Error
from af.core.ids import EnsRecordId
from af.names import rules_ens as rules
from af.names import store
from af.names.backends.chain import SendRefused
from af.names.errors_ens import EnsKeyMissing, EnsRecordNotFound, EnsRefused
from af.names.models_ens import EnsRecord, EnsStatus
from af.names.service.access import WRITE
from af.names.service.ens import check_ens, is_configured, opened, record_for, transaction_for
from af.protocols import ethereum, ethereum_transactions
from af.protocols.ethereum_transactions import Transaction

DUE_MAX = 100


async def send_ens(ctx: Context, named: str) -> EnsRecord:
    """Sign with ``AF_ENS_PRIVATE_KEY`` and send; once more while it waits, with a higher fee, in its place. For whoever
    runs the platform: the key is theirs. Returns the record, PENDING.

    :raises EnsKeyMissing: :raises EnsRefused: by the contract or the node. :raises EnsFeeTooHigh: :raises EnsBusy:
    """
    await projects.authorize_operator(ctx)
    by_id = ids.is_id(ids.ENS_RECORD, named)  # of any project: the operator, who pays, need not be in it
    record = await record_for(ctx.acting_as(SYSTEM) if by_id else ctx, WRITE, named)
    if not ctx.settings.ens_private_key:
        raise EnsKeyMissing(
            "The platform has no key to send transactions with.",
            hint="Sign with your wallet or multisig (`af ens tx NAME`), or the operator sets AF_ENS_PRIVATE_KEY.",
        )
    key = ethereum_transactions.parse_key(ctx.settings.ens_private_key)
    account = ethereum_transactions.address_of(key)
    prepared = await transaction_for(ctx, record, account)
    chain = (await opened(ctx)).chain
    base, suggested = await chain.fees()
    next_nonce = await chain.nonce(account)
    async with ctx.transaction() as tx:
        newest = await _locked(ctx, record.id)
        replaced = newest.offer if newest.sender == prepared.sender else None
        most, tip = rules.fees(base, suggested, replaced=replaced, limit_gwei=ctx.settings.ens_fee_gwei_max)
        if replaced is None or newest.nonce is None:
            nonce = rules.next_nonce(next_nonce, await store.ens.nonces(tx, prepared.sender))
        else:
            nonce = newest.nonce
        signed = Transaction(
            chain_id=prepared.chain_id,
            nonce=nonce,
            max_priority_fee=tip,
            max_fee=most,
            gas=int(prepared.gas * rules.GAS_SURPLUS),
            to=ethereum.parse_address(prepared.to),
            data=bytes.fromhex(prepared.data[2:]),
        ).signed(key)
        sent = replace(
            newest,
            status=EnsStatus.PENDING,
            reason="The transaction is not mined yet.",
            transaction="0x" + ethereum_transactions.hash_of(signed).hex(),
            sender=prepared.sender,
            nonce=nonce,
            max_fee=most,
            tip=tip,
            signed=signed,
            checked_at=ctx.now,
            updated_at=ctx.now,
        )
        await store.ens.update(tx, sent)
        after = {"transaction": sent.transaction, "content": sent.content}
        await projects.audit(ctx, "ens.send", sent.project_id, sent.id, None, after)
    await _hand_over(ctx, sent)
    return sent


async def _hand_over(ctx: Context, record: EnsRecord) -> None:
    """:raises EnsRefused: the node does not take it; the record says so."""
    assert record.signed is not None
    try:
        await (await opened(ctx)).chain.send(record.signed)
    except SendRefused as refused:
        why = f"The node does not take the transaction: {refused}."
        async with ctx.transaction() as tx:
            newest = await _locked(ctx, record.id)
            if newest.transaction == record.transaction:
                failed = replace(newest, status=EnsStatus.ERROR, reason=why, transaction="", updated_at=ctx.now)
                failed = replace(failed, sender=None, nonce=None, max_fee=None, tip=None, signed=None)
                await store.ens.update(tx, failed)
        raise EnsRefused(why, hint=f"The account {record.sender} needs ether for gas.") from None


async def ens_due(ctx: Context) -> list[tuple[EnsRecordId, datetime]]:
    """Records to ask the chain about (and since when): transactions that wait, and, from time to time, what was done:
    blocks are replaced, names change hands. For the worker."""
    only_the_platform(ctx)
    if not is_configured(ctx):
        return []
    async with ctx.reading() as connection:
        now, active = ctx.now, EnsStatus.ACTIVE
        due = await store.ens.to_check(connection, EnsStatus.PENDING, now - rules.CHECK_PENDING, limit=DUE_MAX)
        due += await store.ens.to_check(
            connection, active, now - rules.CHECK_FRESH, changed_after=now - rules.FRESH, limit=DUE_MAX
        )
        due += await store.ens.to_check(connection, active, now - rules.CHECK_ACTIVE, limit=DUE_MAX)
    return list(dict.fromkeys(due))


async def look_after_ens(ctx: Context, record_id: EnsRecordId) -> None:
    """Ask the chain about one record, and send its transaction again while that waits: a node may have forgotten it, or
    never had it. A node that fails is asked again at the next turn. For the worker."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        record = await store.ens.by_id(connection, record_id)
    if record is None:
        return
    try:
        checked = await check_ens(ctx, record)
        if checked.status is EnsStatus.PENDING and checked.signed is not None:
            await (await opened(ctx)).chain.send(checked.signed)
    except SendRefused as refused:  # mined meanwhile, or another took its number: the next look tells
        ctx.log.info("ens.not_resent", record=record_id, detail=str(refused))
    except EnsRecordNotFound:
        return
    except Error as error:
        ctx.log.warning("ens.not_checked", record=record_id, error=error.code, detail=error.detail)
        async with ctx.transaction() as tx:
            await store.ens.touch(tx, record_id, ctx.now)


async def _locked(ctx: Context, record_id: EnsRecordId) -> EnsRecord:
    async with ctx.reading() as connection:  # inside of a transaction it is that transaction's
        found = await store.ens.by_id(connection, record_id, locked=True)
    if found is None:
        raise EnsRecordNotFound("The ENS record was deleted meanwhile.")
    return found
