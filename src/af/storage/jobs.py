"""Work of storage that goes on by itself: pin requests, garbage collection, pins of deleted projects, rights after an
index was made anew, copies in the Kubo node."""

from __future__ import annotations

from af.core.context import Context
from af.core.errors import Error, Internal
from af.core.ids import PinRequestId
from af.core.workflows import Reconciler, Schedule, Workflow
from af.protocols.ipfs import cid as cids
from af.storage import service
from af.storage.errors import StoreBusy

_RESTORE = "storage.restore_visibility"
_FORGET = "storage.forget_project"
_PIN = "storage.pin"
_KUBO_COPY = "storage.kubo_copy"
_DAY_SECONDS = 86_400.0
COMPARISONS_MAX = 1_000
"""Each is of some hundred roots."""


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


async def _pin(ctx: Context, request_id: str) -> None:
    await service.fulfil_pin_request(ctx, PinRequestId(request_id))


async def _pin_failed(ctx: Context, error: Exception, request_id: str) -> None:
    if not isinstance(error, Error):
        error = Internal("Something went wrong on our side.", hint="Try again; the log has the cause.")
    await service.fail_pin_request(ctx, PinRequestId(request_id), error)


async def _find_requests(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{_PIN}:{request_id}", (request_id,)) for request_id in await service.unfinished_pin_requests(ctx)]


async def _tend_copy(ctx: Context, root: str) -> None:
    await service.tend_copy(ctx, cids.parse(root))


async def _copy_failed(ctx: Context, error: Exception, root: str) -> None:
    await service.copy_failed(ctx, cids.parse(root), error)


async def _compare_copies(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    """Makes rows for `_find_copies`, until there is nothing to make."""
    for _ in range(COMPARISONS_MAX):
        if not await service.compare_copies(ctx):
            break
    return []


async def _find_copies(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    """Each change of a row has a run of its own; the time tells a row from an earlier one of the same root."""
    return [
        (f"{_KUBO_COPY}:{root}:{copy.created_at.timestamp():.3f}:{copy.turn}", (root,))
        for copy in await service.copies_due(ctx)
        if (root := cids.to_text(copy.root))
    ]


WORKFLOWS = (
    Workflow(_RESTORE, _restore),
    Workflow(_FORGET, _forget),
    Workflow(_PIN, _pin, _pin_failed, lane="pins"),
    Workflow(_KUBO_COPY, _tend_copy, _copy_failed, lane="kubo"),
)
RECONCILERS = (
    Reconciler("storage.pin_requests", _PIN, _find_requests),
    Reconciler("storage.rebuilt", _RESTORE, _find_rebuilt, every_seconds=60.0),
    Reconciler("storage.deleted_projects", _FORGET, _find_deleted, every_seconds=60.0),
    Reconciler("storage.kubo_roots", _KUBO_COPY, _compare_copies, every_seconds=300.0, topic="names"),
    Reconciler("storage.kubo_copies", _KUBO_COPY, _find_copies, topic="hosts"),
)
SCHEDULES = (
    Schedule("storage.collect", _DAY_SECONDS, _collect),
    Schedule("storage.tend_kubo", 900.0, service.tend_kubo),
)
