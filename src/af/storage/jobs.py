"""Work of storage that goes on by itself: garbage collection, and rights after an index was made anew."""

from __future__ import annotations

from af.core.context import Context
from af.core.workflows import Reconciler, Schedule, Workflow
from af.storage import service
from af.storage.errors import StoreBusy

_RESTORE = "storage.restore_visibility"
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
    rebuilding = service.rights_to_restore(ctx)
    return [(f"{_RESTORE}:{rebuilding}", (rebuilding,))] if rebuilding else []


WORKFLOWS = (Workflow(_RESTORE, _restore),)
RECONCILERS = (Reconciler("storage.rebuilt", _RESTORE, _find_rebuilt, every_seconds=60.0),)
SCHEDULES = (Schedule("storage.collect", _DAY_SECONDS, _collect),)
