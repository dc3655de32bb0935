"""The outbox: messages wait here as rows until a worker has delivered them, and are shown here where nothing sends.

`enqueue` joins the caller's transaction; ``jobs.py`` delivers. Contents are erased with the delivery (where messages
are only shown: when their time is over), addresses when the time is over, rows some days later.
"""

from __future__ import annotations

import json
from datetime import timedelta

import sqlalchemy as sa

from af.core import ids
from af.core.context import Context
from af.core.ids import MessageId
from af.core.messages import Channel, Message, addresses, rows, texts
from af.core.messages.catalogue import checked_values
from af.core.messages.errors import MessageNotFound
from af.core.messages.rows import Entry, Shown, State, outbox_messages
from af.core.messages.transports import Transports
from af.core.seal import Sealer

PAGE_MAX = 100
KEEP = timedelta(days=7)
"""How long the rows of messages whose time is over stay, without address and content."""
LIFE_MAX = timedelta(days=30)
_PRUNE_ROWS = 1000


def require_channel(ctx: Context, channel: Channel) -> None:
    """For callers that refuse early.

    :raises MessagesNotConfigured: the platform has no settings to send on that channel.
    """
    ctx.get(Transports).require(channel)


async def enqueue(ctx: Context, message: Message) -> MessageId:
    """Put a message into the outbox, in the caller's transaction if there is one; it leaves after the commit.

    The same work for every address: nothing is looked up. The caller authorises and limits.

    :raises MessagesNotConfigured: as `require_channel`.
    :raises InvalidAddress: ``message.to`` is not one e-mail address or phone number.
    """
    require_channel(ctx, message.channel)
    assert timedelta(0) < message.life <= LIFE_MAX, "a message's life is some minutes to 30 days"
    to = addresses.email(message.to) if message.channel is Channel.EMAIL else addresses.phone(message.to)
    values = checked_values(message)
    sealer = ctx.get(Sealer)
    message_id = MessageId(ids.new(ids.MESSAGE, ctx.now))
    async with ctx.transaction() as tx:
        await tx.execute(
            outbox_messages.insert().values(
                id=message_id,
                channel=message.channel.value,
                template=message.template,
                locale=texts.language(message.locale),
                recipient=rows.seal_text(sealer, to, message_id),
                content=rows.seal_text(sealer, json.dumps(values), message_id),
                state=State.QUEUED.value,
                attempts=0,
                next_attempt_at=ctx.now,
                last_error="",
                expires_at=ctx.now + message.life,
                created_at=ctx.now,
            )
        )
        ctx.ring("work")
    return message_id


async def list_messages(ctx: Context, *, first: int = PAGE_MAX, after: str | None = None) -> list[Entry]:
    """The newest messages first, at most ``first``; ``after`` is the id of the last one of the page before. The
    caller authorises: it is for the platform's operator."""
    query = sa.select(outbox_messages).order_by(outbox_messages.c.id.desc()).limit(max(1, min(first, PAGE_MAX)))
    if after is not None:
        query = query.where(outbox_messages.c.id < after)
    async with ctx.reading() as connection:
        found = (await connection.execute(query)).all()
    sealer = ctx.get(Sealer)
    return [rows.entry(sealer, row) for row in found]


async def read_message(ctx: Context, message_id: str) -> Shown:
    """One message, with its content where messages are shown instead of sent. The caller authorises: it is for the
    platform's operator. :raises MessageNotFound: there is none."""
    row = None
    if ids.is_id(ids.MESSAGE, message_id):
        async with ctx.reading() as connection:
            query = sa.select(outbox_messages).where(outbox_messages.c.id == message_id)
            row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise MessageNotFound("There is no such message.")
    sealer, transports = ctx.get(Sealer), ctx.get(Transports)
    found = rows.entry(sealer, row)
    content = None
    if row.content is not None and transports.shows and not transports.sends(found.channel):
        values = rows.open_values(sealer, row)
        content = texts.render(row.template, values, locale=row.locale, host=ctx.settings.domain)
    return Shown(found, content)


async def prune(ctx: Context) -> int:
    """Erase what messages whose time is over said and to whom, and remove rows `KEEP` later, some at a time; returns
    how many rows changed or went. Queued ones are left to the worker, which ends them."""
    table = outbox_messages.c
    over = sa.select(table.id).where(table.state != State.QUEUED.value)
    secret = sa.or_(table.recipient.is_not(None), table.content.is_not(None))
    steps = (
        (
            over.where(table.expires_at <= ctx.now, secret),
            sa.update(outbox_messages).values(recipient=None, content=None),
        ),
        (over.where(table.expires_at <= ctx.now - KEEP), sa.delete(outbox_messages)),
    )
    total = 0
    for chosen, statement in steps:
        while True:
            async with ctx.transaction() as tx:
                done = await tx.execute(statement.where(table.id.in_(chosen.limit(_PRUNE_ROWS))))
            total += done.rowcount
            if done.rowcount < _PRUNE_ROWS:
                break
    return total
