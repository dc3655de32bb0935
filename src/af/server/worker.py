"""The worker part: the workflow engine with every domain's jobs. Alone (`af serve worker`) it answers probes, too."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path

import structlog

from af import auth, projects
from af.auth import jobs as auth_jobs
from af.core import events, limits
from af.core.context import Platform
from af.core.messages import jobs as messages_jobs
from af.core.settings import Settings
from af.core.workflows import Runtime, Schedule
from af.domains import jobs as domains_jobs
from af.names import jobs as names_jobs
from af.replication import jobs as replication_jobs
from af.server import wiring
from af.server.parts import PartSpec
from af.sites import jobs as sites_jobs
from af.storage import jobs as storage_jobs

_DOMAINS = (auth_jobs, domains_jobs, storage_jobs, names_jobs, replication_jobs, sites_jobs, messages_jobs)
_UPKEEP = (
    Schedule("auth.prune", 6 * 3600.0, auth.prune),
    Schedule("limits.prune", 3600.0, limits.prune),
    Schedule("projects.expire_invitations", 3600.0, projects.expire_invitations),
    Schedule("auth.keys", 3600.0, auth.rotate_due_keys),
    Schedule("events.prune", 3600.0, events.prune),
)


async def run(spec: PartSpec, settings: Settings, *, ready: Callable[[], None], stopping: asyncio.Event) -> None:
    """Run durable work until ``stopping``; what is under way then gets ``drain_seconds``, and goes on after a restart.

    :raises af.core.leases.WorkerExists: SQLite, and another worker is alive.
    """
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(wiring.open_platform(settings, port=spec.port))
        runtime = Runtime(
            platform,
            workflows=list(chain.from_iterable(domain.WORKFLOWS for domain in _DOMAINS)),
            reconcilers=list(chain.from_iterable(domain.RECONCILERS for domain in _DOMAINS)),
            schedules=[*_UPKEEP, *chain.from_iterable(domain.SCHEDULES for domain in _DOMAINS)],
            holder=holder(settings),
            lost=_lost,
        )
        await runtime.start()
        if spec.listens:
            await _answer_probes(platform, spec, settings, ready=ready, stopping=stopping)
        else:
            ready()
            await stopping.wait()
        await runtime.stop(settings.drain_seconds)


def holder(settings: Settings) -> str:
    """Who this worker is for `af.core.leases`: the same after a restart on the same folder, so that a killed worker's
    successor need not wait for the lease to run out. The folder's lock sees to it that there is only one. The host's
    name tells a copied folder from its original."""
    file = settings.data / "worker-id"
    try:
        name = file.read_text("ascii").strip()
    except FileNotFoundError:
        name = _write_new(file)
    return f"{name}@{socket.gethostname()}"


def _write_new(file: Path) -> str:
    name = secrets.token_hex(8)
    temporary = file.with_suffix(".new")
    temporary.write_text(name)
    temporary.replace(file)
    return name


def _lost() -> None:
    """Another worker acts in our name: not one more write. The keeper starts us anew."""
    structlog.get_logger().error("the worker's lease was lost")
    os.killpg(os.getpgrp(), signal.SIGKILL)


async def _answer_probes(
    platform: Platform, spec: PartSpec, settings: Settings, *, ready: Callable[[], None], stopping: asyncio.Event
) -> None:
    from af.gateway.protocol import HotProtocol
    from af.server import edge, health
    from af.server.streams import Streams

    await edge.serve(
        Streams(health.application(platform, set(spec.targets))),
        socket.socket(fileno=spec.listen_descriptor),
        protocol=HotProtocol,
        drain_seconds=settings.drain_seconds,
        ready=ready,
        stopping=stopping,
    )
