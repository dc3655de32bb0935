"""The worker's part in sites: archives become deployments, and abandoned uploads go."""

from __future__ import annotations

from af.core.context import Context
from af.core.errors import Error, Internal
from af.core.ids import DeploymentId
from af.core.workflows import Reconciler, Schedule, Workflow
from af.sites import service

_IMPORT_ARCHIVE = "sites.import_archive"


async def _run(ctx: Context, deployment_id: str) -> None:
    await service.import_archive(ctx, DeploymentId(deployment_id))


async def _failed(ctx: Context, error: Exception, deployment_id: str) -> None:
    """A run ended without bringing its row to an end: a bug, or the database went away."""
    if not isinstance(error, Error):
        error = Internal("Something went wrong on our side.", hint="Try again; the log has the cause.")
    await service.fail(ctx, DeploymentId(deployment_id), error)


async def _find(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (f"{_IMPORT_ARCHIVE}:{deployment_id}", (deployment_id,))
        for deployment_id in await service.unfinished_deployments(ctx)
    ]


WORKFLOWS = (Workflow(_IMPORT_ARCHIVE, _run, _failed),)
RECONCILERS = (Reconciler("sites.unfinished", _IMPORT_ARCHIVE, _find),)
SCHEDULES = (Schedule("sites.clean_uploads", 3600.0, service.clean_uploads),)
