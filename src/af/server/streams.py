"""Event streams never end by themselves, so a graceful stop has to end them: clients reconnect and continue where
they were (``Last-Event-ID``), at the restarted process or at another."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Streams:
    """ASGI middleware that knows the tasks which answer with ``text/event-stream``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[object]] = set()
        self._ending = False

    def end_all(self) -> None:
        """Close every open event stream, cleanly; later ones end after their first message."""
        self._ending = True
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        streaming = False

        async def send_watched(message: Message) -> None:
            nonlocal streaming
            if message["type"] == "http.response.start":
                content_type = Headers(raw=message["headers"]).get("content-type", "")
                if content_type.startswith("text/event-stream"):
                    streaming = True
                    self._tasks.add(task)
                    if self._ending:
                        task.cancel()
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except asyncio.CancelledError:
            if not (streaming and self._ending):
                raise
            task.uncancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._tasks.discard(task)
