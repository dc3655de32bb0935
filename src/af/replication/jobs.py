"""The worker's part in replication: each copy is brought one step on whenever it is due."""

from __future__ import annotations

from af.core.context import Context
from af.core.workflows import Reconciler, Workflow
from af.replication import service

_COPY = "replication.copy"


async def _tend(ctx: Context, copy_id: str) -> None:
    await service.tend_copy(ctx, copy_id)


async def _failed(ctx: Context, error: Exception, copy_id: str) -> None:
    await service.copy_failed(ctx, copy_id, error)


async def _align(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    """Makes rows for `_find`. A look at every project with a policy: when sites change, and not at every job's end."""
    await service.align_all(ctx)
    return []


async def _find(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    """Each turn of a row has a run of its own."""
    return [(f"{_COPY}:{copy.id}:{copy.turn}", (copy.id,)) for copy in await service.copies_due(ctx)]


WORKFLOWS = (Workflow(_COPY, _tend, _failed, lane="copies"),)
RECONCILERS = (
    Reconciler("replication.wanted", _COPY, _align, every_seconds=30.0, topic="hosts"),
    Reconciler("replication.due", _COPY, _find),
)
SCHEDULES = ()
