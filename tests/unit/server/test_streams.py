from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from af.server.streams import Streams


def _app(content_type: bytes) -> tuple[Streams, asyncio.Event]:
    """An application that answers with endless parts of this type; the event says that the answer has begun."""
    begun = asyncio.Event()

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        begun.set()
        await asyncio.Event().wait()

    return Streams(endless), begun


async def _receive() -> Message:
    return {"type": "http.request"}


async def test_an_event_stream_is_ended_cleanly() -> None:
    app, begun = _app(b"text/event-stream; charset=utf-8")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    task = asyncio.create_task(app({"type": "http"}, _receive, send))
    await begun.wait()
    app.end_all()
    await asyncio.wait_for(task, 5)
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_other_answers_are_left_alone() -> None:
    app, begun = _app(b"text/html")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    task = asyncio.create_task(app({"type": "http"}, _receive, send))
    await begun.wait()
    app.end_all()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(sent) == 2


async def test_a_stream_that_begins_during_the_stop_is_ended_too() -> None:
    app, _ = _app(b"text/event-stream")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    app.end_all()
    await asyncio.wait_for(app({"type": "http"}, _receive, send), 5)
    assert sent[-1]["more_body"] is False
