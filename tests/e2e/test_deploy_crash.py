"""kill -9 at any step of an archive deployment: nothing acknowledged is lost, nothing stays in between."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from af import domains, projects, sites, storage
from af.core.context import SYSTEM, Actor, ActorKind
from af.core.settings import load
from af.protocols.ipfs import cid as cids
from af.server.wiring import open_platform
from af.sites import jobs, rules, service
from af.sites.models import DeploymentStatus
from tests.e2e.crashing_worker import archive
from tests.e2e.platform import Running, running
from tests.support.processes import wait_until

ROUNDS = 25
SITE = 'mutation { createSite(data: { name: "crash" }) { id } }'
STATUS = "query ($id: ID!) { deployment(where: { id: $id }) { status cid current error { code } logs { message } } }"
FINAL_WITHIN_SECONDS = 30.0


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


def submit(platform: Running, number: int) -> str:
    """An archive of 2,000 files, which takes the worker a while; returns the acknowledged deployment."""
    headers = {"Authorization": f"Bearer {platform.profile()['token']}", "Content-Type": "application/x-tar"}
    body = archive(number, files=2_000)
    reply = platform.request("/v1/sites/crash/archive", method="POST", body=body, headers=headers)
    assert reply.status == 202, reply.body
    return str(reply.json()["deployment"]["id"])


def ended(platform: Running, deployment_id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        found: dict[str, Any] = platform.graphql(STATUS, id=deployment_id)["deployment"]
        return found if found["status"] in ("SUCCESS", "FAILED", "CANCELED") else None

    return wait_until(final, seconds=FINAL_WITHIN_SECONDS, what=f"the end of {deployment_id}")


def unpacking(platform: Running, deployment_id: str) -> bool:
    return bool(platform.graphql(STATUS, id=deployment_id)["deployment"]["status"] != "PENDING")


def pid_of(platform: Running, part: str) -> int:
    """The part's present process, from the supervisor's log."""
    started = re.findall(rf'"part started".*"name": "{part}", "pid": (\d+)', platform.process.output())
    return int(started[-1])


def test_a_killed_worker_or_platform_finishes_its_archives_after_the_restart(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        platform.graphql(SITE)
        killed = submit(platform, 1)
        wait_until(lambda: unpacking(platform, killed), seconds=FINAL_WITHIN_SECONDS, what="the worker at work")
        os.kill(pid_of(platform, "worker"), signal.SIGKILL)
        state = ended(platform, killed)
        assert (state["status"], state["current"]) == ("SUCCESS", True), state

        last = submit(platform, 2)
        platform.process.kill()  # all of it, as when the machine stops

    with running(tmp_path, log="again.log") as platform:
        state = ended(platform, last)
        assert (state["status"], state["current"]) == ("SUCCESS", True), state
        served = platform.request("/index.html", host="crash.localhost")
        assert served.status == 200
        assert b"index.html 2" in served.body
