"""Server-sent events over a real server and real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.core import events
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import ProjectId
from af.core.sse import resume_after, sse_response
from af.server.streams import Streams

PROJECT = ProjectId("prj_a")


@asynccontextmanager
async def serving(ctx: Context, *, heartbeat_seconds: float = 15.0) -> AsyncIterator[tuple[int, Streams]]:
    async def endpoint(request: Request) -> Response:
        stream = events.stream(ctx, project_id=PROJECT, after=resume_after(request))
        return sse_response(ctx, stream, heartbeat_seconds=heartbeat_seconds)

    streams = Streams(Starlette(routes=[Route("/", endpoint)]))
    config = uvicorn.Config(streams, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1], streams
    finally:
        streams.end_all()
        server.should_exit = True
        await asyncio.wait_for(running, 20)


class Reader:
    """One connection that asks for the stream and reads message by message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def message(self) -> dict[str, str]:
        """The next message: its fields; a comment has the field ``""``; none at the end of the response."""
        async with asyncio.timeout(20):
            chunk = int(await self.reader.readline(), 16)
            body = (await self.reader.readexactly(chunk + 2))[:-2]
        lines = body.decode().rstrip("\n").split("\n") if chunk else []
        return dict(line.split(": ", 1) for line in lines)


@asynccontextmanager
async def connected(port: int, *headers: str, path: str = "/") -> AsyncIterator[Reader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert b"text/event-stream" in head
        assert b"no-store" in head
        found = Reader(reader, writer)
        assert await found.message() == {"retry": "1000"}
        yield found
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def publish(ctx: Context, number: int, text: str = "") -> None:
    await events.publish(ctx, project_id=PROJECT, topic="t", kind="changed", data={"number": number, "text": text})


async def test_messages_carry_id_kind_and_one_line_of_json(ctx: Context) -> None:
    await publish(ctx, 1, "a\nb\u2028c")
    async with serving(ctx) as (port, _), connected(port, path="/?after=0") as reader:
        message = await reader.message()
    assert message["event"] == "changed"
    assert message["id"].isdigit()
    assert message["data"].startswith('{"number":1,"text":"a\\nb')


async def test_a_reconnecting_browser_misses_nothing(ctx: Context) -> None:
    for number in range(3):
        await publish(ctx, number)
    async with serving(ctx) as (port, _):
        async with connected(port, path="/?after=0") as reader:
            first = await reader.message()
        async with connected(port, f"Last-Event-ID: {first['id']}", path="/?after=0") as reader:
            assert '"number":1' in (await reader.message())["data"]
            assert '"number":2' in (await reader.message())["data"]
            await publish(ctx, 3)
            assert '"number":3' in (await reader.message())["data"]


async def test_a_silent_stream_sends_heartbeats_and_then_the_event(ctx: Context) -> None:
    async with serving(ctx, heartbeat_seconds=0.05) as (port, _), connected(port) as reader:
        assert await reader.message() == {"": "still here"}
        await publish(ctx, 1)
        while "data" not in (message := await reader.message()):
            assert message == {"": "still here"}
        assert '"number":1' in message["data"]


async def test_a_reader_that_was_away_too_long_is_told_to_start_anew(ctx: Context, clock: FixedClock) -> None:
    for number in range(5):
        await publish(ctx, number)
    clock.advance(timedelta(seconds=ctx.settings.events_keep_seconds + 1))
    await publish(ctx, 5)
    await events.prune(ctx)
    async with serving(ctx) as (port, _):
        async with connected(port, "Last-Event-ID: 1") as reader:
            reset = await reader.message()
            assert reset["event"] == "reset"
            assert await reader.message() == {}, "the response ends"
        async with connected(port, f"Last-Event-ID: {reset['id']}") as reader:
            await publish(ctx, 6)
            assert '"number":6' in (await reader.message())["data"]


async def test_a_client_that_goes_away_leaves_nothing_behind(ctx: Context) -> None:
    async with serving(ctx) as (port, _):
        async with connected(port):
            async with asyncio.timeout(20):
                while not ctx.platform.bell.waiting:
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            while ctx.platform.bell.waiting:
                await asyncio.sleep(0.01)


async def test_a_stopping_server_ends_open_streams_cleanly(ctx: Context) -> None:
    async with serving(ctx) as (port, streams), connected(port) as reader:
        streams.end_all()
        assert await reader.message() == {}, "the last chunk: the client knows that the answer is whole"


async def test_a_reader_that_does_not_read_holds_one_batch_only(ctx: Context) -> None:
    for _ in range(20):
        async with ctx.transaction():
            for number in range(50):
                await publish(ctx, number, "x" * 30_000)
    pulled = 0

    async def counting() -> AsyncIterator[events.Event]:
        nonlocal pulled
        async for event in events.stream(ctx, project_id=PROJECT, after=0):
            pulled += 1
            yield event

    async def app(scope: object, receive: object, send: object) -> None:
        await sse_response(ctx, counting())(scope, receive, send)  # type: ignore[arg-type]

    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve([listening]))
    async with connected(listening.getsockname()[1]):
        steady = -1  # the server must come to rest
        async with asyncio.timeout(20):
            while steady != pulled or pulled == 0:
                steady = pulled
                await asyncio.sleep(0.3)
        assert pulled < 400, "of 1000 events of 30 KB: what the sockets hold"
    server.should_exit = True
    await asyncio.wait_for(running, 20)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "1" * 19, "\u0661"])
def test_an_id_that_is_no_number_is_refused(text: str) -> None:
    request = Request({"type": "http", "headers": [(b"last-event-id", text.encode())], "query_string": b""})
    with pytest.raises(InvalidInput):
        resume_after(request)
