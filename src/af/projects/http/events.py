"""The REST edge of projects: their events as they happen."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.core import events
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.events import Event
from af.core.ids import ProjectId
from af.core.sse import resume_after, sse_response
from af.core.web import context
from af.projects import service as projects

_TOPIC = re.compile(r"(site|deployment|project):[a-z0-9_]{1,64}")


async def follow_events(request: Request) -> Response:
    """``GET /v1/projects/{project}/events?topic=deployment:<id>&after=<id>``: ``text/event-stream``.

    Without ``topic`` all of the project's events. Resume with ``Last-Event-ID``; ``after=0`` replays what is kept.
    """
    ctx = context(request)
    project = await projects.authorize(ctx, "projects:read", project_id=request.path_params["project"])
    topic = request.query_params.get("topic")
    if topic is not None and _TOPIC.fullmatch(topic) is None:
        raise InvalidInput("A topic is site:<id>, deployment:<id> or project:<id>.", field="topic")
    return sse_response(ctx, _while_allowed(ctx, project.id, topic, resume_after(request)))


async def _while_allowed(
    ctx: Context, project_id: ProjectId, topic: str | None, after: int | None
) -> AsyncGenerator[Event, None]:
    """Each event is preceded by the question whether the caller is still a member: a stream can live for hours."""
    async for event in events.stream(ctx, project_id=project_id, topic=topic, after=after):
        await projects.authorize(ctx, "projects:read", project_id=project_id)
        yield event


routes = [Route("/v1/projects/{project}/events", follow_events, methods=["GET"])]
