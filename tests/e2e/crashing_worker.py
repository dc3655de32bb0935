"""Submits archives and imports them, again and again, in processes that are killed with SIGKILL at random moments.

``python -m tests.e2e.crashing_worker DATABASE_URL DATA_FOLDER ROUNDS SEED``: each round is a forked process, so imports
are paid once. What a round was told has been accepted, it appends to ``DATA_FOLDER/acknowledged`` before going on.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import sys
import tarfile
import time
from pathlib import Path

from af import projects, sites
from af.core.context import SYSTEM, Actor, ActorKind, Context
from af.core.settings import load
from af.server.wiring import open_platform
from af.sites import jobs
from af.sites.service import Upload

LONGEST_ROUND_SECONDS = 0.5


def archive(number: int, files: int = 40) -> bytes:
    """A tar of ``files`` assets and an index.html, all of which differ for each ``number``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name in ("index.html", *(f"assets/{n}.txt" for n in range(files))):
            content = f"{name} {number} ".encode() * 200
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def submit(ctx: Context, number: int, acknowledged: Path) -> None:
    data = archive(number)

    async def fill(upload: Upload) -> None:
        for start in range(0, len(data), 65536):
            upload.write(data[start : start + 65536])

    deployment = await sites.submit_archive(ctx, "crash", fill)
    with acknowledged.open("a") as file:
        file.write(deployment.id + "\n")


async def work_for_ever(database_url: str, data: Path, number: int) -> None:
    """Recovery first, as a worker's reconciler would; then new work."""
    settings = load({}, data=data, database_url=database_url)
    async with open_platform(settings, port=0) as platform:
        system = platform.context(SYSTEM)
        owner = platform.context(Actor(ActorKind.USER, user_id=(await projects.bootstrap(system)).user.id))
        while True:
            for _, arguments in await jobs.RECONCILERS[0].find(system):
                await jobs.WORKFLOWS[0].run(system, *arguments)
            await submit(owner, number, data / "acknowledged")
            number += 1


def main() -> None:
    database_url, data, rounds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    for number in range(rounds):
        child = os.fork()
        if child == 0:
            asyncio.run(work_for_ever(database_url, data, number * 1000))
        time.sleep(chance.uniform(0.02, LONGEST_ROUND_SECONDS))  # not synchronisation: the random moment of the crash
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
