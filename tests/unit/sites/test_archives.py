"""Archive deployments: accepted at once, finished by the worker, never left in between."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from dataclasses import replace
from datetime import timedelta

import pytest

from af import domains, sites
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from af.core.errors import Error, Forbidden, Unavailable
from af.sites import jobs, service
from af.sites.models import DeploymentStatus
from af.sites.service import Upload
from tests.unit.sites.conftest import Upload as Put


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


SITE_TAR = tar_of({"index.html": b"from a tar", "_redirects": b"/a /b\n/c /d 999\n"})


def fill_with(data: bytes) -> service.Fill:
    async def fill(upload: Upload) -> None:
        upload.write(data)

    return fill


async def work(system: Context) -> None:
    """What the worker does: each unfinished deployment, as its reconciler finds them."""
    for _, arguments in await jobs.RECONCILERS[0].find(system):
        await jobs.WORKFLOWS[0].run(system, *arguments)


def uploads(platform: Platform) -> list[str]:
    folder = platform.settings.data / "uploads"
    return sorted(os.listdir(folder)) if folder.exists() else []


async def test_an_archive_is_pending_at_once_and_live_after_the_worker(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    rung = platform.bell.read("work")
    pending = await sites.submit_archive(owner, site.slug, fill_with(SITE_TAR), message="tar")
    assert pending.status is DeploymentStatus.PENDING
    assert platform.bell.read("work") != rung
    assert uploads(platform) == [pending.id]
    assert await domains.lookup(owner, "site", "blog") is None

    await work(system)
    ready = await sites.get_deployment(owner, pending.id)
    assert (ready.status, ready.files, ready.message) == (DeploymentStatus.SUCCESS, 2, "tar")
    host = await domains.lookup(owner, "site", "blog")
    assert host is not None
    assert (host.root, host.deployment_id) == (ready.cid, ready.id)
    assert (await sites.get(owner, site.id)).current_deployment_id == ready.id
    assert uploads(platform) == []
    assert await service.unfinished_deployments(system) == []
    rules = (await service.routes_by_deployment(owner, [ready.id]))[ready.id]
    assert [rule.line for rule in rules.rejected] == [2]


async def test_an_archive_gives_the_root_that_an_upload_gives(
    owner: Context, system: Context, site: sites.Site, upload: Put
) -> None:
    root = await upload({"index.html": b"from a tar", "_redirects": b"/a /b\n/c /d 999\n"})
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR), production=False)
    await work(system)
    assert (await sites.get_deployment(owner, pending.id)).cid == root


async def test_what_is_no_archive_fails_with_the_reason(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(b"not an archive " * 1000))
    await work(system)
    failed = await sites.get_deployment(owner, pending.id)
    assert failed.status is DeploymentStatus.FAILED
    assert failed.error_code
    assert failed.error_message
    assert uploads(platform) == []
    assert await domains.lookup(owner, "site", "blog") is None


async def test_a_lost_upload_fails_with_the_reason(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    (platform.settings.data / "uploads" / pending.id).unlink()
    await work(system)
    failed = await sites.get_deployment(owner, pending.id)
    assert (failed.status, failed.error_code) == (DeploymentStatus.FAILED, "upload_lost")


async def test_the_worker_may_run_twice(owner: Context, system: Context, site: sites.Site) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    run = jobs.WORKFLOWS[0].run
    await run(system, pending.id)
    before = await domains.latest_change(owner)
    await run(system, pending.id)
    assert await domains.latest_change(owner) == before
    assert (await sites.get_deployment(owner, pending.id)).status is DeploymentStatus.SUCCESS
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    await asyncio.gather(run(system, pending.id), run(system, pending.id))
    assert (await sites.get_deployment(owner, pending.id)).status is DeploymentStatus.SUCCESS


async def test_a_canceled_deployment_never_goes_live(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    canceled = await sites.cancel(owner, pending.id)
    assert canceled.status is DeploymentStatus.CANCELED
    assert uploads(platform) == []
    await jobs.WORKFLOWS[0].run(system, pending.id)
    assert (await sites.get_deployment(owner, pending.id)).status is DeploymentStatus.CANCELED
    assert await domains.lookup(owner, "site", "blog") is None
    with pytest.raises(sites.NotDeployable):
        await sites.cancel(owner, pending.id)
    with pytest.raises(sites.NotDeployable):
        await sites.promote(owner, pending.id)


async def test_a_run_that_broke_ends_as_failed(owner: Context, system: Context, site: sites.Site) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    failed = jobs.WORKFLOWS[0].failed
    assert failed is not None
    await failed(system, RuntimeError("a secret"), pending.id)
    row = await sites.get_deployment(owner, pending.id)
    assert (row.status, row.error_code) == (DeploymentStatus.FAILED, "internal")
    assert "secret" not in row.error_message


async def test_a_site_deleted_under_the_worker_leaves_nothing(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    await sites.delete(owner, site.id)
    await jobs.WORKFLOWS[0].run(system, pending.id)
    assert uploads(platform) == []
    assert await service.unfinished_deployments(system) == []


async def test_too_large_empty_and_broken_uploads_leave_no_file_and_no_row(
    owner: Context, platform: Platform, site: sites.Site
) -> None:
    async def breaks(upload: Upload) -> None:
        upload.write(b"begun")
        raise ConnectionError

    with pytest.raises(sites.ArchiveTooLarge):
        await sites.submit_archive(owner, site.id, fill_with(bytes((1 << 20) + 1)))
    with pytest.raises(sites.InvalidUpload):
        await sites.submit_archive(owner, site.id, fill_with(b""))
    with pytest.raises(ConnectionError):
        await sites.submit_archive(owner, site.id, breaks)
    with pytest.raises(sites.SiteNotFound):
        await sites.submit_archive(owner, "nothing", fill_with(SITE_TAR))
    assert uploads(platform) == []
    assert await sites.list_deployments(owner, site.id) == []


async def test_a_site_has_a_bounded_number_of_waiting_archives(owner: Context, site: sites.Site) -> None:
    for _ in range(service.UNFINISHED_PER_SITE_MAX):
        await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    with pytest.raises(Error, match="waiting already"):
        await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))


async def test_abandoned_files_are_removed_and_needed_ones_stay(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    folder = platform.settings.data / "uploads"
    now = system.now.timestamp()
    for name, age in ((pending.id, 7200), ("dep_old", 7200), ("dep_old.part", 7200), ("dep_new.part", 60)):
        path = folder / name
        path.touch()
        os.utime(path, (now - age, now - age))
    assert await service.clean_uploads(system) == 2
    assert uploads(platform) == sorted([pending.id, "dep_new.part"])


async def test_only_the_platform_does_the_workers_part(owner: Context, site: sites.Site) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    with pytest.raises(Forbidden):
        await service.import_archive(owner, pending.id)
    with pytest.raises(Forbidden):
        await service.unfinished_deployments(owner)
    with pytest.raises(Forbidden):
        await service.clean_uploads(owner)


async def test_a_watcher_sees_every_state_and_line_from_before_and_after_it_came(
    owner: Context, system: Context, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))

    async def states() -> list[DeploymentStatus]:
        return [update.status async for update in service.watch_status(owner, pending.id)]

    async def lines() -> list[str]:
        return [line.message async for line in service.watch_logs(owner, pending.id)]

    watching = asyncio.gather(states(), lines())
    await asyncio.sleep(0)
    await work(system)
    async with asyncio.timeout(10):
        seen, log = await watching
    assert seen == [DeploymentStatus.PENDING, DeploymentStatus.UPLOADING, DeploymentStatus.SUCCESS]
    assert log[0].startswith("Received")
    assert any("_redirects line 2 has no effect" in line for line in log)
    ready = await sites.get_deployment(owner, pending.id)
    assert [line.message for line in await service.read_logs(owner, ready)] == log
    assert await lines() == log


async def test_the_log_of_a_deployment_from_long_ago_ends_at_once(
    owner: Context, system: Context, platform: Platform, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    await work(system)
    clock = platform.clock
    assert isinstance(clock, FixedClock)
    clock.advance(timedelta(days=30))
    async with asyncio.timeout(5):
        assert [line async for line in service.watch_logs(owner, pending.id)] == []


async def test_a_nearly_full_disk_refuses_uploads_with_the_reason(
    owner: Context, platform: Platform, site: sites.Site
) -> None:
    full = replace(platform, settings=replace(platform.settings, disk_free_bytes_min=1 << 60))
    with pytest.raises(Unavailable, match="free disk space") as refused:
        await sites.submit_archive(replace(owner, platform=full), site.id, fill_with(SITE_TAR))
    assert refused.value.code == "disk_full"
    assert uploads(platform) == []
    assert await sites.list_deployments(owner, site.id) == []
