"""Work of names that goes on by itself: records are signed anew in time, or when their site changes; ENS
transactions are looked after until they are mined; names of deleted projects go."""

from __future__ import annotations

from af.core.context import Context
from af.core.ids import EnsRecordId, IpnsRecordId
from af.core.workflows import Reconciler, Schedule, Workflow
from af.names import service

_RENEW = "names.renew"
_ANNOUNCE = "names.announce"
_FORGET = "names.forget_project"
_LOOK_AFTER = "names.look_after_ens"


async def _renew(ctx: Context, record_id: str) -> None:
    await service.renew(ctx, IpnsRecordId(record_id))


async def _not_renewed(ctx: Context, _: Exception, record_id: str) -> None:
    await service.postpone(ctx, IpnsRecordId(record_id))


async def _find_due(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (f"{_RENEW}:{record_id}:{since.timestamp():.6f}", (record_id,)) for record_id, since in await service.due(ctx)
    ]


async def _announce(ctx: Context, record_id: str) -> None:
    await service.announce(ctx, IpnsRecordId(record_id))


async def _find_unannounced(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    waiting = await service.to_announce(ctx)
    return [(f"{_ANNOUNCE}:{record_id}:{since.timestamp():.6f}", (record_id,)) for record_id, since in waiting]


async def _forget(ctx: Context, project_id: str) -> None:
    await service.forget_project(ctx, project_id)


async def _find_deleted(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{_FORGET}:{project_id}", (project_id,)) for project_id in await service.projects_to_forget(ctx)]


async def _look_after(ctx: Context, record_id: str) -> None:
    await service.look_after_ens(ctx, EnsRecordId(record_id))


async def _find_waiting(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    due = await service.ens_due(ctx)
    return [(f"{_LOOK_AFTER}:{record_id}:{since.timestamp():.6f}", (record_id,)) for record_id, since in due]


WORKFLOWS = (
    Workflow(_RENEW, _renew, _not_renewed, lane="names"),
    Workflow(_ANNOUNCE, _announce, lane="announcements"),
    Workflow(_FORGET, _forget),
    Workflow(_LOOK_AFTER, _look_after, lane="ens"),
)
RECONCILERS = (
    Reconciler("names.due", _RENEW, _find_due),
    Reconciler("names.unannounced", _ANNOUNCE, _find_unannounced, every_seconds=15.0),
    Reconciler("names.deleted_projects", _FORGET, _find_deleted, every_seconds=60.0),
    Reconciler("names.ens", _LOOK_AFTER, _find_waiting),
)
SCHEDULES: tuple[Schedule, ...] = ()
