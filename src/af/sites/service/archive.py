"""Deployments from a tar or zip: the upload becomes a file and a row at once, the worker does the rest.

``data/uploads/<deployment id>`` is complete and durable before the row exists, so a row always has its file until the
worker is done with it. Every step may run twice. `unfinished_deployments` is what the worker's reconciler asks, so each
row ends in a final state, whenever and wherever a process dies; the file goes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from af import projects, storage
from af.core.context import Context, only_the_platform
from af.core.errors import Error
from af.core.ids import DeploymentId
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.sites import rules, store
from af.sites.errors import ArchiveTooLarge, DiskFull, InvalidUpload, SiteBusy, SiteNotFound, UploadLost
from af.sites.models import Deployment, DeploymentSource, DeploymentStatus
from af.sites.service import content
from af.sites.service.access import WRITE, deployment_for, site_for
from af.sites.service.deploy import go_live, new_deployment
from af.sites.service.notices import announce, log

UNFINISHED_PER_SITE_MAX = 20
RECONCILE_MAX = 1_000
ABANDONED_AFTER = timedelta(hours=1)
"""An upload whose file has not grown for this long, and that no unfinished deployment needs, is removed."""
_FREE_SPACE_STEP_BYTES = 16 << 20
_PART = ".part"


class Upload:
    """The file that an upload is written to; bounded. Positions are bytes from its start."""

    def __init__(self, file: BinaryIO, folder: Path, settings: Settings) -> None:
        self._file = file
        self._folder = folder
        self._limit_bytes = settings.archive_bytes_max
        self._free_bytes_min = settings.disk_free_bytes_min
        self._checked_bytes = -_FREE_SPACE_STEP_BYTES
        self.size_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. :raises ArchiveTooLarge: over AF_ARCHIVE_BYTES_MAX. :raises DiskFull: too little is free."""
        if self.size_bytes + len(data) > self._limit_bytes:
            raise ArchiveTooLarge(f"The upload is larger than {self._limit_bytes:,} bytes.")
        if self.size_bytes - self._checked_bytes >= _FREE_SPACE_STEP_BYTES:
            self._checked_bytes = self.size_bytes
            if shutil.disk_usage(self._folder).free < self._free_bytes_min:
                raise DiskFull("There is too little free disk space for uploads.")
        self._file.write(data)
        self.size_bytes += len(data)

    def patch(self, position: int, data: bytes) -> None:
        """Overwrite bytes that were written before."""
        assert 0 <= position <= self.size_bytes - len(data)
        self._file.seek(position)
        self._file.write(data)
        self._file.seek(0, os.SEEK_END)


Fill = Callable[[Upload], Awaitable[None]]


async def submit_archive(
    ctx: Context, site: str, fill: Fill, *, production: bool = True, message: str = ""
) -> Deployment:
    """Accept a tar, tar.gz or zip as the next version of a site. Returns with status PENDING once the file and the row
    are durable; the worker takes it from there.

    ``fill`` writes the archive.
    :raises ArchiveTooLarge: over AF_ARCHIVE_BYTES_MAX. :raises InvalidUpload: nothing was written.
    :raises SiteBusy: too many of the site's archives are waiting.
    """
    found = await site_for(ctx, WRITE, site)
    async with ctx.reading() as connection:
        _check_not_busy(await store.count_unfinished(connection, found.id))
    deployment = new_deployment(ctx, found, DeploymentSource.ARCHIVE, production=production, message=message)
    path = upload_path(ctx.settings, deployment.id)
    size_bytes = await _receive(ctx.settings, path, fill)
    try:
        async with ctx.transaction() as tx:
            if await store.locked_site(tx, found.id) is None:
                raise SiteNotFound("The site was deleted meanwhile.")
            _check_not_busy(await store.count_unfinished(tx, found.id))
            await store.insert_deployment(tx, deployment, rules.NO_ROUTES)
            await announce(ctx, deployment)
            await log(ctx, deployment, f"Received {size_bytes:,} bytes; waiting for the worker.")
            target = {"siteId": found.id, "bytes": size_bytes}
            await projects.audit(ctx, "deployment.archive", found.project_id, deployment.id, None, target)
            ctx.ring("work")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return deployment


async def import_archive(ctx: Context, deployment_id: DeploymentId) -> None:
    """The worker's part: unpack, check, go live, or fail with the reason. Ends in a final state unless the database is
    away (then it raises, and the reconciler comes back). Harmless when repeated, at whatever point the last run died.
    """
    only_the_platform(ctx)
    path = upload_path(ctx.settings, deployment_id)
    deployment = await _begin(ctx, deployment_id)
    if deployment is not None:
        try:
            await _import(ctx, deployment, path)
        except Error as error:
            await fail(ctx, deployment_id, error)
    path.unlink(missing_ok=True)


async def fail(ctx: Context, deployment_id: DeploymentId, error: Error) -> None:
    """Mark a deployment as failed for a reason, unless it has ended already."""
    only_the_platform(ctx)
    async with ctx.transaction() as tx:
        deployment = await store.locked_deployment(tx, deployment_id)
        if deployment is None or not rules.may_become(deployment.status, DeploymentStatus.FAILED):
            return
        message = error.message + (f" {error.hint}" if error.hint else "")
        failed = replace(
            deployment,
            status=DeploymentStatus.FAILED,
            error_code=error.code,
            error_message=message,
            updated_at=ctx.now,
        )
        await store.update_deployment(tx, failed)
        await log(ctx, failed, message, level="error")
        await announce(ctx, failed)
    upload_path(ctx.settings, deployment_id).unlink(missing_ok=True)


async def cancel(ctx: Context, deployment_id: str) -> Deployment:
    """End a deployment that has not ended; it never goes live, whatever the worker is doing with it.

    :raises NotDeployable: it has ended already.
    """
    found = await deployment_for(ctx, WRITE, deployment_id)
    async with ctx.transaction() as tx:
        deployment = await store.locked_deployment(tx, found.id)
        if deployment is None:
            raise SiteNotFound("The site was deleted meanwhile.")
        rules.check_can_cancel(deployment)
        canceled = replace(deployment, status=DeploymentStatus.CANCELED, updated_at=ctx.now)
        await store.update_deployment(tx, canceled)
        await log(ctx, canceled, "Canceled.", level="warn")
        await announce(ctx, canceled)
        before = {"status": deployment.status.value}
        await projects.audit(ctx, "deployment.cancel", canceled.project_id, canceled.id, before, None)
    upload_path(ctx.settings, found.id).unlink(missing_ok=True)
    return canceled


async def unfinished_deployments(ctx: Context) -> list[DeploymentId]:
    """Deployments that need the worker, oldest first."""
    only_the_platform(ctx)
    async with ctx.reading() as connection:
        return await store.unfinished(connection, RECONCILE_MAX)


async def clean_uploads(ctx: Context) -> int:
    """Remove files that no unfinished deployment needs any more; returns how many."""
    only_the_platform(ctx)
    folder = _uploads(ctx.settings)
    needed = set(await unfinished_deployments(ctx))
    removed = 0
    for entry in list(os.scandir(folder)) if folder.is_dir() else ():
        age = ctx.now - datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
        if age > ABANDONED_AFTER and entry.name not in needed and not entry.is_dir(follow_symlinks=False):
            Path(entry.path).unlink(missing_ok=True)
            removed += 1
    return removed


def upload_path(settings: Settings, deployment_id: str) -> Path:
    """Where the archive of a deployment lies until it is done."""
    return _uploads(settings) / deployment_id


# --- steps ---------------------------------------------------------------------------------------------------------


async def _begin(ctx: Context, deployment_id: DeploymentId) -> Deployment | None:
    """The deployment, now UPLOADING; `None` when there is nothing to do for it."""
    async with ctx.transaction() as tx:
        deployment = await store.locked_deployment(tx, deployment_id)
        if deployment is None or not rules.may_become(deployment.status, DeploymentStatus.UPLOADING):
            return None
        again = deployment.status is DeploymentStatus.UPLOADING
        started = replace(deployment, status=DeploymentStatus.UPLOADING, updated_at=ctx.now)
        await store.update_deployment(tx, started)
        await log(ctx, started, "Starting again after an interruption." if again else "Unpacking.")
        if not again:
            await announce(ctx, started)
    return started


async def _import(ctx: Context, deployment: Deployment, path: Path) -> None:
    if not path.is_file():
        raise UploadLost("The uploaded archive is gone from this machine.", hint="Upload it again.")
    summary = await storage.import_archive(ctx, deployment.project_id, path)
    if not summary.files:  # surely a mistake, and it would take the site away
        raise InvalidUpload("There are no files in the archive.")
    routes = rules.read_rule_files(await content.rule_files(ctx, deployment.project_id, summary.root))
    unpacked = replace(deployment, cid=cids.to_text(summary.root), files=summary.files, bytes=summary.bytes)
    async with ctx.transaction():
        await log(ctx, unpacked, f"Unpacked {summary.files:,} files, {summary.bytes:,} bytes: {unpacked.cid}.")
        for rule in routes.rejected[:20]:
            await log(ctx, unpacked, f"{rule.file} line {rule.line} has no effect: {rule.reason}", level="warn")
    outcome = await go_live(ctx, unpacked, routes, stored=True)
    if outcome.is_new:
        ctx.log.info("archive deployed", deployment_id=deployment.id, files=summary.files, bytes=summary.bytes)


async def _receive(settings: Settings, path: Path, fill: Fill) -> int:
    """Write the upload under a temporary name, make it durable, give it its name; returns its size."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + _PART)
    with _disk_errors():
        try:
            with part.open("xb") as file:
                upload = Upload(file, path.parent, settings)
                await fill(upload)
                if not upload.size_bytes:
                    raise InvalidUpload("The upload is empty.")
                await asyncio.to_thread(_settle, file, part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return upload.size_bytes


def _settle(file: BinaryIO, part: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full.", detail=str(error)) from error
        raise


def _uploads(settings: Settings) -> Path:
    return settings.data / "uploads"


def _check_not_busy(unfinished: int) -> None:
    if unfinished >= UNFINISHED_PER_SITE_MAX:
        raise SiteBusy(f"{unfinished} archives of this site are waiting already.")
