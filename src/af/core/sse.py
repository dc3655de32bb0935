"""Events as ``text/event-stream`` (HTML Living Standard, "Server-sent events"): resumable, with heartbeats.

Nothing is queued: the next event is read from the database when the connection has taken the one before, so a slow or
stopped reader holds one batch of rows and no more. A stream ends when its client goes away, and at a graceful stop
(`af.server.streams` cancels it); the client comes back with ``Last-Event-ID`` and has missed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from af.core.context import Context
from af.core.errors import Error, InvalidInput, RateLimited
from af.core.events import Event, EventsGone

HEARTBEAT_SECONDS = 15.0
STREAMS_PER_CALLER_MAX = 20
STREAMS_MAX = 1_000
_RETRY_MILLISECONDS = 1000


class TooManyStreams(RateLimited):
    code = "too_many_streams"
    number = 6011
    explain = "Too many event streams are open at once for this caller. Close some."


_open: Counter[str] = Counter()  # the streams of this process, by caller


def counted(ctx: Context, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """``lines`` as one of the caller's streams, for as long as it is read.

    :raises TooManyStreams: the caller, or everybody together, has too many open in this process.
    """
    caller = ctx.actor.user_id or ctx.actor.network
    if _open[caller] >= STREAMS_PER_CALLER_MAX or _open.total() >= STREAMS_MAX:
        raise TooManyStreams("Too many event streams are open.", retry_after_seconds=5)
    return _while_read(caller, lines)


async def _while_read(caller: str, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    _open[caller] += 1
    try:
        async with contextlib.aclosing(lines):
            async for line in lines:
                yield line
    finally:
        _open[caller] -= 1
        if not _open[caller]:
            del _open[caller]


def resume_after(request: Request) -> int | None:
    """The id to resume after: ``Last-Event-ID`` (sent by a reconnecting browser), else ``?after=``; `None`: now.

    :raises InvalidInput: not a number.
    """
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise InvalidInput("The event id to resume from must be a number.", field="after")
    return int(text)


def sse_response(
    ctx: Context, stream: AsyncGenerator[Event, None], *, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> StreamingResponse:
    """A response that sends ``stream`` until the client goes away or the stream ends.

    A reader that was away for too long gets an event ``reset``: it must read the state anew. That event carries the
    id to resume after, and ends the response. Any other failure is an event ``error`` with ``code`` and ``message``.

    :raises TooManyStreams: the caller has too many open.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx must not collect them
    return StreamingResponse(
        counted(ctx, _lines(stream, heartbeat_seconds)), headers=headers, media_type="text/event-stream"
    )


async def _lines(stream: AsyncGenerator[Event, None], heartbeat_seconds: float) -> AsyncGenerator[bytes, None]:
    yield b"retry: %d\n\n" % _RETRY_MILLISECONDS
    pending: asyncio.Task[Event] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.create_task(_next(stream))
            done, _ = await asyncio.wait([pending], timeout=heartbeat_seconds)
            if not done:
                yield b": still here\n\n"
                continue
            event = pending.result()
            pending = None
            yield _message(event.id, event.kind, event.data)
    except StopAsyncIteration:
        return
    except EventsGone as error:
        yield _message(error.latest, "reset", {"code": error.code, "message": error.message})
    except Error as error:
        yield _message(None, "error", {"code": error.code, "message": error.message})
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, Error):
                await pending
        await stream.aclose()


async def _next(stream: AsyncGenerator[Event, None]) -> Event:
    return await anext(stream)


def _message(identifier: int | None, kind: str, data: object) -> bytes:
    """JSON has no line breaks outside strings and escapes those inside, so one ``data:`` line is enough."""
    start = b"" if identifier is None else b"id: %d\n" % identifier
    return start + b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(data))
