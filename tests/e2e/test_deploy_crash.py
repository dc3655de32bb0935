"""kill -9 at any step of an archive deployment: nothing acknowledged is lost, nothing stays in between."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from af import domains, projects, sites, storage
from af.core.context import SYSTEM, Actor, ActorKind
from af.core.settings import load
from af.protocols.ipfs import cid as cids
from af.server.wiring import open_platform
from af.sites import jobs, rules, service
from af.sites.models import DeploymentStatus

ROUNDS = 25


@pytest.mark.parametrize("seed", [1])
async def test_killed_at_random_moments_every_deployment_ends_and_none_is_lost(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    settings = load({}, data=data, database_url=database_url)
    async with open_platform(settings, port=0) as platform:
        made = await projects.bootstrap(platform.context(SYSTEM))
        owner = platform.context(Actor(ActorKind.USER, user_id=made.user.id))
        await sites.create(owner, "Crash", project_id=made.project.id)

    command = [sys.executable, "-m", "tests.e2e.crashing_worker", database_url, str(data), str(ROUNDS), str(seed)]
    root = Path(__file__).parents[2]
    done = await asyncio.to_thread(subprocess.run, command, timeout=100, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr[-4000:]
    acknowledged = (data / "acknowledged").read_text().split()
    assert len(acknowledged) > ROUNDS // 2, "the rounds were too short to test anything"

    async with open_platform(settings, port=0) as platform:
        system = platform.context(SYSTEM)
        owner = platform.context(Actor(ActorKind.USER, user_id=made.user.id))
        for _, arguments in await jobs.RECONCILERS[0].find(system):
            await jobs.WORKFLOWS[0].run(system, *arguments)
        assert await service.unfinished_deployments(system) == []

        rows = {row.id: row for row in [await sites.get_deployment(owner, name) for name in acknowledged]}
        assert {row.status for row in rows.values()} == {DeploymentStatus.SUCCESS}
        for row in list(rows.values())[-5:]:
            assert (await storage.verify_dag(owner, row.project_id, cids.parse(row.cid))).files == 41
        site = await sites.get(owner, "crash")
        host = await domains.lookup(owner, domains.SITE_ZONE, "crash")
        assert host is not None
        assert host.deployment_id == site.current_deployment_id
        for row in rows.values():
            preview = await domains.lookup(owner, domains.SITE_ZONE, rules.preview_host(row.id, "crash"))
            assert preview is not None
            assert preview.root == row.cid

        for name in os.listdir(
            data / "uploads"
        ):  # what was cut before it was acknowledged; an hour later it is abandoned
            os.utime(data / "uploads" / name, (0, 0))
        await service.clean_uploads(system)
        assert os.listdir(data / "uploads") == []
