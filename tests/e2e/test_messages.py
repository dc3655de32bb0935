"""Messages through a real worker process: quickly, once, and whatever hangs or is killed."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from af.core.context import SYSTEM, Context
from af.core.messages import Channel, Message, outbox
from af.core.messages.rows import State
from af.core.settings import load
from af.core.workflows import RUNNING_MAX
from af.server import wiring
from tests.e2e import platform
from tests.support import answering, mail
from tests.support.processes import Process, start, wait_until

StartWorker = Callable[..., Process]
HOUR = timedelta(hours=1)


def sign_in(to: str) -> Message:
    values = {"code": "482913", "minutes": "60", "place": "a test", "link": "https://example.org/x"}
    return Message(Channel.EMAIL, to, "sign_in", values, life=HOUR)


@pytest.fixture
async def ctx(database_url: str, tmp_path: Path) -> AsyncIterator[Context]:
    """An edge's view of the platform that the worker serves."""
    settings = load({}, data=tmp_path / "data", database_url=database_url)
    settings.data.mkdir()
    async with wiring.open_platform(settings, port=0) as opened:
        yield opened.context(SYSTEM)


@pytest.fixture
def start_worker(ctx: Context, database_url: str, tmp_path: Path) -> Iterator[StartWorker]:
    with contextlib.ExitStack() as stack:

        def begin(log: str = "worker.log", **settings: str) -> Process:
            given = {"AF_DATABASE_URL": database_url, **settings}
            command = [platform.AF, "serve", "worker", "--port", "0", "--data", tmp_path / "data"]
            process = start(command, log=tmp_path / log, env={**platform.environment(tmp_path), **given})
            stack.callback(lambda: process.kill() if process.popen.poll() is None else None)
            return process

        yield begin


@contextlib.contextmanager
def silent_server() -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


async def state(ctx: Context, message_id: str) -> State:
    return (await outbox.read_message(ctx, message_id)).entry.state


async def until(ctx: Context, message_id: str, wanted: State, *, seconds: float = 20) -> float:
    """Waits for a state; returns how many seconds it took."""
    began = time.monotonic()
    while await state(ctx, message_id) is not wanted:
        assert time.monotonic() < began + seconds, f"not {wanted.value} in time"
    return time.monotonic() - began


async def test_a_message_is_delivered_as_soon_as_it_is_committed(
    ctx: Context, start_worker: StartWorker, mailbox: mail.Mailpit
) -> None:
    process = start_worker(AF_SMTP_URL=mailbox.smtp_url, AF_MAIL_FROM="Us <us@example.org>")
    await until(ctx, await outbox.enqueue(ctx, sign_in("warm@example.org")), State.SENT, seconds=60)
    taken = []
    for number in range(5):
        message_id = await outbox.enqueue(ctx, sign_in(f"ada{number}@example.org"))
        taken.append(await until(ctx, message_id, State.SENT))
        [found] = mailbox.messages(f"ada{number}@example.org")
        assert "482913" in found.text
        assert found.sender == "us@example.org"
    assert min(taken) < 0.5, taken  # about 0.05 s on a quiet machine; a look without the bell comes after 2 s
    output = process.output()
    assert "482913" not in output
    assert "ada0" not in output


async def test_a_hanging_mail_server_does_not_hold_up_sms(ctx: Context, start_worker: StartWorker) -> None:
    with silent_server() as silent, answering.running() as gateway:
        gateway.answers = [answering.json_reply({})]
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        start_worker(AF_SMTP_URL=url, AF_SMS_GATEWAY_URL=gateway.url)
        for number in range(RUNNING_MAX + 2):
            await outbox.enqueue(ctx, sign_in(f"ada{number}@example.org"))
        text = Message(Channel.SMS, "+4915112345678", "sms_code", {"code": "1", "minutes": "5"}, life=HOUR)
        with silent.accept()[0]:
            await until(ctx, await outbox.enqueue(ctx, text), State.SENT, seconds=8)  # before the mail's time is out


async def test_what_a_killed_worker_was_sending_is_sent_by_the_next(
    ctx: Context, start_worker: StartWorker, mailbox: mail.Mailpit
) -> None:
    with silent_server() as silent:
        process = start_worker(AF_SMTP_URL=f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        message_id = await outbox.enqueue(ctx, sign_in("ada@example.org"))
        with silent.accept()[0]:
            process.kill()
    start_worker("next.log", AF_SMTP_URL=mailbox.smtp_url)
    await until(ctx, message_id, State.SENT, seconds=60)
    assert len(mailbox.messages("ada@example.org")) == 1


async def test_a_local_platform_without_settings_says_where_the_message_is(
    ctx: Context, start_worker: StartWorker
) -> None:
    process = start_worker()
    message_id = await outbox.enqueue(ctx, sign_in("ada@example.org"))
    await until(ctx, message_id, State.SHOWN, seconds=60)
    wait_until(lambda: "no SMTP is configured" in process.output(), seconds=5, what="the log says so")
    assert process.output().count("482913") == 1
