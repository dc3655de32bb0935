"""Work of storage that goes on by itself: garbage collection, pins of deleted projects, and rights after an index was
made anew."""

from __future__ import annotations

from af.core.context import Context
from af.core.workflows import Reconciler, Schedule, Workflow
from af.storage import service
from af.storage.errors import StoreBusy

_RESTORE = "storage.restore_visibility"
_FORGET = "storage.forget_project"
_DAY_SECONDS = 86_400.0


async def _collect(ctx: Context) -> None:
    """The daily collection. One that somebody has started by hand meanwhile will do."""
    try:
        await service.collect(ctx)
    except StoreBusy:
        ctx.log.info("garbage collection is running already")


async def _restore(ctx: Context, _rebuilding: str) -> None:
    await service.restore_visibility(ctx)


async def _find_rebuilt(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    rebuilding = await service.rights_to_restore(ctx)
    return [(f"{_RESTORE}:{rebuilding}", (rebuilding,))] if rebuilding else []


async def _forget(ctx: Context, project_id: str) -> None:
    await service.forget_project(ctx, project_id)


async def _find_deleted(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{_FORGET}:{project_id}", (project_id,)) for project_id in await service.projects_to_forget(ctx)]


WORKFLOWS = (Workflow(_RESTORE, _restore), Workflow(_FORGET, _forget))
RECONCILERS = (
    Reconciler("storage.rebuilt", _RESTORE, _find_rebuilt, every_seconds=60.0),
    Reconciler("storage.deleted_projects", _FORGET, _find_deleted, every_seconds=60.0),
)
SCHEDULES = (Schedule("storage.collect", _DAY_SECONDS, _collect),)
