"""The outbox: what waits, who may read it, and when it is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from af.core.clock import FixedClock
from af.core.context import Context
from af.core.messages import Channel, Message, jobs, outbox
from af.core.messages.errors import (
    DeliveryDelayed,
    DeliveryRefused,
    InvalidAddress,
    MessageNotFound,
    MessagesNotConfigured,
)
from af.core.messages.rows import State, outbox_messages
from af.core.messages.texts import Content
from af.core.messages.transports import Transports

from .conftest import Opened

LINK = "https://app.example.org/s?x=1"
MAIL = Message(
    Channel.EMAIL,
    "ada@example.org",
    "sign_in",
    {"code": "482913", "minutes": "10", "place": "Firefox, 203.0.113.7", "link": LINK},
    life=timedelta(minutes=10),
)
TEXT = Message(
    Channel.SMS, "+49 151 12345678", "sms_code", {"code": "482913", "minutes": "10"}, life=timedelta(minutes=5)
)


class Post:
    """A mailer and texter that answers as told; a stand-in for what `test_smtp` and `test_sms` test for real."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.taken: list[tuple[str, str]] = []

    async def send(self, to: str, content: Content | str, *, message_id: str = "") -> None:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.taken.append((to, content if isinstance(content, str) else content.text))


async def work(ctx: Context) -> int:
    """One look of both reconcilers, and all the attempts that they find; returns how many those were."""
    found = [args for channel in Channel for _, args in await jobs.find(channel, ctx)]
    for message_id, attempt in found:
        await jobs.deliver(ctx, message_id, attempt)
    return len(found)


async def state(ctx: Context, message_id: str) -> State:
    return (await outbox.read_message(ctx, message_id)).entry.state


async def test_a_message_joins_the_transaction_and_rings_for_the_worker(opened: Opened) -> None:
    ctx = opened(Transports(shows=True))
    rung = ctx.platform.bell.read("work")
    with pytest.raises(RuntimeError):
        async with ctx.transaction():
            await outbox.enqueue(ctx, MAIL)
            raise RuntimeError
    assert await outbox.list_messages(ctx) == []
    assert ctx.platform.bell.read("work") == rung
    await outbox.enqueue(ctx, MAIL)
    assert ctx.platform.bell.read("work") != rung


async def test_nothing_of_a_message_is_in_the_clear_in_the_database(opened: Opened) -> None:
    ctx = opened(Transports(shows=True))
    await outbox.enqueue(ctx, MAIL)
    await outbox.enqueue(ctx, TEXT)
    async with ctx.reading() as connection:
        stored = repr((await connection.execute(sa.select(outbox_messages))).all())
    for secret in ("ada@example", "example.org", "482913", "203.0.113", "15112345678"):
        assert secret not in stored


async def test_a_message_is_sent_once_and_what_it_said_is_erased(opened: Opened, clock: FixedClock) -> None:
    post = Post()
    ctx = opened(Transports(mailer=post, texter=post))
    mail, text = await outbox.enqueue(ctx, MAIL), await outbox.enqueue(ctx, TEXT)
    assert await work(ctx) == 2
    assert [to for to, _ in post.taken] == ["ada@example.org", "+4915112345678"]
    assert all("482913" in said for _, said in post.taken)
    assert await work(ctx) == 0
    for message_id in (mail, text):
        await jobs.deliver(ctx, message_id, "0")  # a run that is begun again after the commit
        await jobs.deliver(ctx, message_id, "1")
        found = await outbox.read_message(ctx, message_id)
        assert (found.entry.state, found.entry.sent_at, found.content) == (State.SENT, clock.now(), None)
    assert len(post.taken) == 2
    async with ctx.reading() as connection:
        assert set((await connection.execute(sa.select(outbox_messages.c.content))).scalars()) == {None}


async def test_where_messages_are_sent_the_operator_does_not_read_codes(opened: Opened) -> None:
    ctx = opened(Transports(mailer=Post(), shows=True))
    message_id = await outbox.enqueue(ctx, MAIL)
    found = await outbox.read_message(ctx, message_id)
    assert found.entry.state is State.QUEUED
    assert found.content is None


@pytest.mark.parametrize(("message", "service"), [(MAIL, "SMTP"), (TEXT, "SMS service")])
async def test_without_settings_a_local_platform_shows_messages_and_says_so(
    opened: Opened, message: Message, service: str
) -> None:
    ctx = opened(domain="localhost")
    message_id = await outbox.enqueue(ctx, message)
    with capture_logs() as logs:
        await work(ctx)
        await work(ctx)
    [line] = logs
    assert line["event"] == f"no {service} is configured: the message is in the outbox"
    assert line["log_level"] == "info"
    assert "482913" in line["text"]
    found = await outbox.read_message(ctx, message_id)
    assert found.entry.state is State.SHOWN
    assert found.content is not None
    assert "482913" in found.content.text


async def test_elsewhere_a_message_without_settings_is_refused_at_once(opened: Opened) -> None:
    ctx = opened(domain="example.org")
    for message, setting in ((MAIL, "AF_SMTP_URL"), (TEXT, "AF_TWILIO_ACCOUNT_SID")):
        with pytest.raises(MessagesNotConfigured) as refused:
            outbox.require_channel(ctx, message.channel)
        assert setting in refused.value.hint
        with pytest.raises(MessagesNotConfigured):
            await outbox.enqueue(ctx, message)
    half = opened(domain="example.org", twilio_account_sid="AC1", twilio_from="+15005550006")
    with pytest.raises(MessagesNotConfigured, match="cannot send SMS") as refused:
        outbox.require_channel(half, Channel.SMS)
    assert refused.value.hint == "Its operator must set AF_TWILIO_AUTH_TOKEN."
    outbox.require_channel(opened(domain="example.org", outbox=True), Channel.SMS)
    outbox.require_channel(opened(domain="example.org", sms_gateway_url="http://127.0.0.1:1/"), Channel.SMS)


async def test_a_wrong_address_is_refused_before_anything_is_kept(opened: Opened) -> None:
    ctx = opened(Transports(shows=True))
    with pytest.raises(InvalidAddress):
        await outbox.enqueue(ctx, Message(Channel.EMAIL, "a@b.org\r\nBcc: c@d.org", "sign_in", MAIL.values))
    assert await outbox.list_messages(ctx) == []


async def test_a_failure_for_now_is_tried_again_with_growing_pauses(opened: Opened, clock: FixedClock) -> None:
    post = Post(*[DeliveryDelayed("x", detail="451 later")] * 3)
    ctx = opened(Transports(mailer=post))
    message_id = await outbox.enqueue(ctx, MAIL)
    for attempts, pause in enumerate(jobs.RETRY_SECONDS[:3], 1):
        assert await work(ctx) == 1
        assert await work(ctx) == 0
        entry = (await outbox.read_message(ctx, message_id)).entry
        assert (entry.state, entry.attempts, entry.last_error) == (State.QUEUED, attempts, "451 later")
        assert entry.next_attempt_at == clock.now() + timedelta(seconds=pause)
        clock.advance(timedelta(seconds=pause))
    await work(ctx)
    assert await state(ctx, message_id) is State.SENT
    assert len(post.taken) == 1


async def test_a_service_that_says_when_is_not_asked_before(opened: Opened, clock: FixedClock) -> None:
    ctx = opened(Transports(mailer=Post(DeliveryDelayed("x", retry_after_seconds=77.0))))
    message_id = await outbox.enqueue(ctx, MAIL)
    await work(ctx)
    entry = (await outbox.read_message(ctx, message_id)).entry
    assert entry.next_attempt_at == clock.now() + timedelta(seconds=77)


async def test_a_refusal_is_final_and_the_reason_stays(opened: Opened) -> None:
    post = Post(DeliveryRefused("x", detail="550 no such user"))
    ctx = opened(Transports(mailer=post))
    message_id = await outbox.enqueue(ctx, MAIL)
    await work(ctx)
    found = await outbox.read_message(ctx, message_id)
    assert (found.entry.state, found.entry.last_error) == (State.FAILED, "550 no such user")
    assert await work(ctx) == 0
    assert post.taken == []


async def test_nothing_is_sent_after_its_life(opened: Opened, clock: FixedClock) -> None:
    post = Post()
    ctx = opened(Transports(mailer=post))
    message_id = await outbox.enqueue(ctx, MAIL)
    clock.advance(MAIL.life)
    await work(ctx)
    assert await state(ctx, message_id) is State.EXPIRED
    assert post.taken == []


async def test_a_message_is_given_up_when_its_next_attempt_would_come_too_late(opened: Opened) -> None:
    ctx = opened(Transports(mailer=Post(DeliveryDelayed("x", detail="451", retry_after_seconds=3600.0))))
    message_id = await outbox.enqueue(ctx, MAIL)
    await work(ctx)
    entry = (await outbox.read_message(ctx, message_id)).entry
    assert (entry.state, entry.last_error) == (State.EXPIRED, "451")


async def test_one_broken_message_does_not_stall_the_others(opened: Opened) -> None:
    post = Post()
    ctx = opened(Transports(mailer=post))
    broken, good = await outbox.enqueue(ctx, MAIL), await outbox.enqueue(ctx, MAIL)
    async with ctx.transaction() as tx:
        await tx.execute(sa.update(outbox_messages).where(outbox_messages.c.id == broken).values(content=b"broken"))
    for message_id, attempt in [args for _, args in await jobs.find(Channel.EMAIL, ctx)]:
        try:
            await jobs.deliver(ctx, message_id, attempt)
        except Exception as error:
            await jobs.failed(ctx, error, message_id, attempt)  # as the runtime does
    assert await state(ctx, good) is State.SENT
    entry = (await outbox.read_message(ctx, broken)).entry
    assert (entry.state, entry.last_error) == (State.FAILED, "A stored secret is damaged.")


async def test_what_is_over_is_erased_and_then_removed(opened: Opened, clock: FixedClock) -> None:
    ctx = opened(Transports(shows=True))
    old = await outbox.enqueue(ctx, MAIL)
    await work(ctx)
    assert await outbox.prune(ctx) == 0
    clock.advance(MAIL.life)
    queued = await outbox.enqueue(ctx, MAIL)
    assert await outbox.prune(ctx) == 1
    found = await outbox.read_message(ctx, old)
    assert (found.entry.to, found.content, found.entry.state) == (None, None, State.SHOWN)
    assert (await outbox.read_message(ctx, queued)).entry.to == "ada@example.org"
    clock.advance(outbox.KEEP)
    assert await outbox.prune(ctx) == 1
    with pytest.raises(MessageNotFound):
        await outbox.read_message(ctx, old)
    assert await state(ctx, queued) is State.QUEUED, "the worker ends it"


async def test_lists_come_newest_first_in_pages(opened: Opened, clock: FixedClock) -> None:
    ctx = opened(Transports(shows=True))
    made = []
    for _ in range(5):
        made.append(await outbox.enqueue(ctx, MAIL))
        clock.advance(timedelta(milliseconds=1))
    first = await outbox.list_messages(ctx, first=3)
    rest = await outbox.list_messages(ctx, first=3, after=first[-1].id)
    assert [entry.id for entry in first + rest] == made[::-1]
    for unknown in ("", "msg_x", "'; drop table", "msg_" + "0" * 26):
        with pytest.raises(MessageNotFound):
            await outbox.read_message(ctx, unknown)
