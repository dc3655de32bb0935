"""The worker's part in messages: what the outbox holds is delivered, tried again, or given up.

At least once: a worker that is killed between the mail server's "taken" and the commit of that fact sends the message
again when it is back. A row that says ``sent`` is never sent again. Each attempt is a workflow of its own: a message
that waits for its next attempt takes no place, and one that ends workers is given up after some of them
(`RunInterrupted`). E-mail and SMS have places of their own: a mail server that hangs holds up neither SMS nor
deployments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from af.core import metrics
from af.core.context import Context
from af.core.errors import Error, InvalidInput
from af.core.messages import Channel, outbox, rows, texts
from af.core.messages.errors import DeliveryDelayed, DeliveryRefused
from af.core.messages.rows import State, outbox_messages
from af.core.messages.transports import Transports
from af.core.seal import Sealer
from af.core.workflows import FOUND_MAX, Reconciler, Schedule, Workflow

RETRY_SECONDS = (2.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Pauses after attempts that failed for now; the last one repeats until the message's time is over."""
ATTEMPTS_MAX = 100


async def deliver(ctx: Context, message_id: str, attempt: str) -> None:
    """One attempt, the ``attempt``-th from 0. Harmless when it was made already."""
    query = sa.select(outbox_messages).where(outbox_messages.c.id == message_id)
    async with ctx.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None or row.state != State.QUEUED.value or str(row.attempts) != attempt:
        return
    if row.expires_at <= ctx.now:
        await _end(ctx, row, State.EXPIRED, row.last_error or "its time was over before it could be sent")
        return
    try:
        state = await _hand_over(ctx, row)
    except DeliveryDelayed as error:
        await _later(ctx, row, error)
    except (DeliveryRefused, InvalidInput) as error:
        await _end(ctx, row, State.FAILED, error.detail or error.message)
    else:
        await _end(ctx, row, state, "")


async def failed(ctx: Context, error: Exception, message_id: str, attempt: str) -> None:
    """An attempt ended in a way that nobody foresaw: no further one, lest it happens for ever."""
    query = sa.select(outbox_messages).where(outbox_messages.c.id == message_id)
    async with ctx.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is not None and str(row.attempts) == attempt:
        reason = (
            error.message if isinstance(error, Error) else "something went wrong on our side; the log has the cause"
        )
        await _end(ctx, row, State.FAILED, reason)


async def find(channel: Channel, ctx: Context) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Attempts that are due, those waiting longest first."""
    table = outbox_messages.c
    query = (
        sa.select(table.id, table.attempts)
        .where(table.state == State.QUEUED.value, table.channel == channel.value, table.next_attempt_at <= ctx.now)
        .order_by(table.next_attempt_at, table.id)
        .limit(FOUND_MAX)
    )
    async with ctx.reading() as connection:
        found = (await connection.execute(query)).all()
    return [(f"messages.{channel.value}:{row.id}:{row.attempts}", (row.id, str(row.attempts))) for row in found]


async def _hand_over(ctx: Context, row: Any) -> State:
    """Give the message to whoever takes it away; where nobody does, the outbox and the log show it.

    :raises DeliveryRefused, DeliveryDelayed: see `transports`. :raises MessagesNotConfigured: no longer configured.
    """
    sealer, transports = ctx.get(Sealer), ctx.get(Transports)
    channel = Channel(row.channel)
    transports.require(channel)
    to = rows.open_text(sealer, row.recipient, row.id)
    content = texts.render(row.template, rows.open_values(sealer, row), locale=row.locale, host=ctx.settings.domain)
    if channel is Channel.EMAIL and transports.mailer is not None:
        await transports.mailer.send(to, content, message_id=row.id)
        return State.SENT
    if channel is Channel.SMS and transports.texter is not None:
        await transports.texter.send(to, content.text)
        return State.SENT
    service = "SMTP" if channel is Channel.EMAIL else "SMS service"
    ctx.log.info(f"no {service} is configured: the message is in the outbox", id=row.id, to=to, text=content.text)
    return State.SHOWN


async def _later(ctx: Context, row: Any, error: DeliveryDelayed) -> None:
    made = row.attempts + 1
    pause = max(error.retry_after_seconds or 0.0, RETRY_SECONDS[min(row.attempts, len(RETRY_SECONDS) - 1)])
    again = ctx.now + timedelta(seconds=pause)
    reason = error.detail or error.message
    if again >= row.expires_at:
        await _end(ctx, row, State.EXPIRED, reason)
    elif made >= ATTEMPTS_MAX:
        await _end(ctx, row, State.FAILED, reason)
    else:
        ctx.log.warning("a message will be tried again", id=row.id, channel=row.channel, attempts=made, why=reason)
        if await _change(ctx, row, state=State.QUEUED.value, next_attempt_at=again, last_error=reason):
            _count(row, "delayed")


async def _end(ctx: Context, row: Any, state: State, reason: str) -> None:
    """The message's last state. Only the outbox page still needs the content of one that is shown."""
    taken: datetime | None = ctx.now if state in (State.SENT, State.SHOWN) else None
    content = row.content if state is State.SHOWN else None
    if await _change(ctx, row, state=state.value, last_error=reason, sent_at=taken, content=content):
        _count(row, state.value)
        if state in (State.FAILED, State.EXPIRED):
            ctx.log.error("a message was not delivered", id=row.id, channel=row.channel, state=state.value, why=reason)


async def _change(ctx: Context, row: Any, **values: Any) -> bool:
    """Count the attempt and set ``values``, unless another run was faster."""
    table = outbox_messages.c
    same = (table.id == row.id, table.state == State.QUEUED.value, table.attempts == row.attempts)
    async with ctx.transaction() as tx:
        done = await tx.execute(sa.update(outbox_messages).where(*same).values(attempts=row.attempts + 1, **values))
    return done.rowcount == 1


def _count(row: Any, outcome: str) -> None:
    metrics.counter("af_messages_total").labels(row.channel, outcome).inc()


WORKFLOWS = tuple(Workflow(f"messages.{channel.value}", deliver, failed, lane=channel.value) for channel in Channel)
RECONCILERS = tuple(
    Reconciler(f"messages.{channel.value}", f"messages.{channel.value}", partial(find, channel), every_seconds=2.0)
    for channel in Channel
)
SCHEDULES = (Schedule("messages.prune", 300.0, outbox.prune),)
