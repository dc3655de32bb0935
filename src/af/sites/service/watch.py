"""Following a deployment: its states and its log, from the beginning, until it has ended.

Both are read from stored events, so a watcher that comes late or comes back has missed nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta

from af.core import events
from af.core.context import Context
from af.core.ids import DeploymentId
from af.sites import rules
from af.sites.models import Deployment, DeploymentStatus
from af.sites.service import notices
from af.sites.service.access import READ, deployment_for

LOG_LINES_MAX = 1_000
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    deployment_id: DeploymentId
    status: DeploymentStatus
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """``id`` rises with time; ``level`` is ``info``, ``warn`` or ``error``."""

    id: int
    deployment_id: DeploymentId
    timestamp: datetime
    message: str
    level: str


async def watch_status(ctx: Context, deployment_id: str) -> AsyncGenerator[StatusUpdate, None]:
    """The states of a deployment, past ones first; ends with the final one. One that has ended gives that alone.

    :raises DeploymentNotFound: absent or hidden.
    """
    deployment = await deployment_for(ctx, READ, deployment_id)
    if deployment.status in rules.FINAL:
        yield StatusUpdate(deployment.id, deployment.status, deployment.updated_at)
        return
    async for event in _events(ctx, deployment):
        if event.kind == notices.STATUS:
            status = DeploymentStatus(event.data["status"])
            yield StatusUpdate(deployment.id, status, event.created_at)


async def watch_logs(ctx: Context, deployment_id: str) -> AsyncGenerator[LogLine, None]:
    """The log of a deployment from its beginning; ends when the deployment has ended. Events are kept for a while
    (AF_EVENTS_KEEP_SECONDS): a deployment that ended before that has an empty log.

    :raises DeploymentNotFound: absent or hidden.
    """
    deployment = await deployment_for(ctx, READ, deployment_id)
    if _is_forgotten(ctx, deployment):
        return
    async for event in _events(ctx, deployment):
        if event.kind == notices.LOG:
            yield _line(deployment, event)


async def read_logs(ctx: Context, deployment: Deployment) -> list[LogLine]:
    """The log so far, at most `LOG_LINES_MAX` lines."""
    await deployment_for(ctx, READ, deployment.id)
    past = await events.recorded(
        ctx, project_id=deployment.project_id, topic=notices.topic(deployment.id), after=0, limit=LOG_LINES_MAX
    )
    return [_line(deployment, event) for event in past if event.kind == notices.LOG]


async def _events(ctx: Context, deployment: Deployment) -> AsyncGenerator[events.Event, None]:
    """The deployment's events from the first one to the one that ends it."""
    topic = notices.topic(deployment.id)
    async for event in events.stream(ctx, project_id=deployment.project_id, topic=topic, after=0):
        yield event
        if event.kind == notices.STATUS and DeploymentStatus(event.data["status"]) in rules.FINAL:
            return


def _is_forgotten(ctx: Context, deployment: Deployment) -> bool:
    """Whether the events of a deployment that has ended may be gone, its last one included."""
    kept = timedelta(seconds=ctx.settings.events_keep_seconds) - _MARGIN
    return deployment.status in rules.FINAL and ctx.now - deployment.updated_at > kept


def _line(deployment: Deployment, event: events.Event) -> LogLine:
    return LogLine(event.id, deployment.id, event.created_at, event.data["message"], event.data["level"])
