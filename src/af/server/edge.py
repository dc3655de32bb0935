"""The edge part: uvicorn on the inherited socket, with our protocol, our limits and our idea of stopping."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from af import gateway
from af.core.settings import Settings
from af.gateway.protocol import HotProtocol, bound
from af.server import listen, targets, wiring
from af.server.parts import PartSpec
from af.server.streams import Streams

KEEP_ALIVE_SECONDS = 75
_TICK_SECONDS = 1.0


async def run(spec: PartSpec, settings: Settings, *, ready: Callable[[], None], stopping: asyncio.Event) -> None:
    """Serve HTTP until ``stopping``; then finish what is in flight, for ``drain_seconds`` at most."""
    listener = socket.socket(fileno=spec.listen_descriptor)
    async with wiring.open_platform(settings, port=spec.port, read_only="api" not in spec.targets) as platform:
        with contextlib.ExitStack() as stack:
            served: gateway.Gateway | None = None
            if "gateway" in spec.targets:
                served = stack.enter_context(contextlib.closing(gateway.application(platform)))
            application = targets.edge_application(platform, set(spec.targets), served=served)
            await serve(
                Streams(application),
                listener,
                protocol=bound(served) if served is not None else HotProtocol,
                drain_seconds=settings.drain_seconds,
                ready=ready,
                stopping=stopping,
            )


async def serve(
    streams: Streams,
    listener: socket.socket,
    *,
    protocol: type[HotProtocol],
    drain_seconds: float,
    ready: Callable[[], None],
    stopping: asyncio.Event,
) -> None:
    """Run uvicorn for one application on one listening socket."""
    config = uvicorn.Config(
        streams,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the client's address is the connection's; what a header claims can be forged
        server_header=False,
        backlog=listen.BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
    )
    await _Server(config, streams, ready, stopping).serve([listener])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and its ten wake-ups a second."""

    def __init__(
        self, config: uvicorn.Config, streams: Streams, ready: Callable[[], None], stopping: asyncio.Event
    ) -> None:
        super().__init__(config)
        self._streams = streams
        self._ready = ready
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._ready()
        while not self._stopping.is_set():
            await self.on_tick(0)  # the Date header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.end_all()
        await super().shutdown(sockets)
