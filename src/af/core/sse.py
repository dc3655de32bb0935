"""Events as ``text/event-stream``: ids for resuming, comments as heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from af.core.errors import Error, InvalidInput
from af.core.events import Event

HEARTBEAT_SECONDS = 15.0


def resume_after(request: Request) -> int | None:
    """The id to resume after: ``Last-Event-ID`` (sent by a reconnecting browser), else ``?after=``; `None`: now."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise InvalidInput("The event id to resume from must be a number.", field="after")
    return int(text)


def sse_response(stream: AsyncIterator[Event]) -> StreamingResponse:
    """A response that sends ``stream`` until the client goes away or the stream ends."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(stream), headers=headers, media_type="text/event-stream")


async def _lines(stream: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    pending: asyncio.Task[Event] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(stream))
            done, _ = await asyncio.wait([pending], timeout=HEARTBEAT_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            except Error as error:
                yield (
                    b"event: error\ndata: "
                    + msgspec.json.encode({"code": error.code, "message": error.message})
                    + b"\n\n"
                )
                return
            pending = None
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.encode(), msgspec.json.encode(event.data))
    finally:
        if pending is not None:
            pending.cancel()
