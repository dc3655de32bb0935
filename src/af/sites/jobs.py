"""The worker's part in sites: archives become deployments; abandoned uploads and sites of deleted projects go."""

from __future__ import annotations

from af.core.context import Context
from af.core.errors import Error, Internal
from af.core.ids import DeploymentId, ProjectId
from af.core.workflows import Reconciler, Schedule, Workflow
from af.sites import service

_IMPORT_ARCHIVE = "sites.import_archive"
_EMPTY_PROJECT = "sites.empty_project"


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


async def _empty(ctx: Context, project_id: str) -> None:
    await service.empty_project(ctx, ProjectId(project_id))


async def _empty_again(ctx: Context, _: Exception, project_id: str) -> None:
    await _empty(ctx, project_id)


async def _find_deleted(ctx: Context) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{_EMPTY_PROJECT}:{project_id}", (project_id,)) for project_id in await service.projects_to_empty(ctx)]


WORKFLOWS = (Workflow(_IMPORT_ARCHIVE, _run, _failed), Workflow(_EMPTY_PROJECT, _empty, _empty_again))
RECONCILERS = (
    Reconciler("sites.unfinished", _IMPORT_ARCHIVE, _find),
    Reconciler("sites.deleted_projects", _EMPTY_PROJECT, _find_deleted, every_seconds=15.0),
)
SCHEDULES = (Schedule("sites.clean_uploads", 3600.0, service.clean_uploads),)
