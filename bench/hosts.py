"""How long the gateway takes to know a host, with 10, 1,000 and 100,000 sites in the database (SQLite, real rows).

    .venv/bin/python bench/hosts.py [--sites 10,1000,100000] [--hosts-max 10000]

Prints one JSON line per number of sites, microseconds each: ``fresh`` (the hot lane's question, in memory), ``find``
(the cold lane's, in memory), ``lookup`` (not in memory: one row from the database), ``flip`` (a change is committed
and the bell rings, until the next answer has it), and the memory of the table. Bar (DESIGN §6): flat from 10 to
100,000.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import sqlalchemy as sa
import uvloop

from af.core import db
from af.core.bell import Bell
from af.core.clock import SystemClock, monotonic
from af.core.context import Platform
from af.core.settings import Settings
from af.domains import store
from af.gateway.app import DomainRows
from af.gateway.hosts import HostTable
from af.protocols.ipfs import cid as cids

ROUNDS = 2_000
CHANGED_AT = SystemClock().now()
ROOTS = [cids.to_text(cids.of(cids.RAW, b"%d" % number)) for number in range(64)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Host look-ups against the number of sites.")
    parser.add_argument("--sites", default="10,1000,100000")
    parser.add_argument("--hosts-max", type=int, default=Settings().gateway_hosts_max)
    options = parser.parse_args()
    for number in map(int, options.sites.split(",")):
        with tempfile.TemporaryDirectory(prefix="bench-hosts-") as folder:
            row = uvloop.run(_measure(Path(folder), number, options.hosts_max))
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
    return 0


async def _measure(folder: Path, sites: int, hosts_max: int) -> dict[str, object]:
    database = db.Database(db.async_url("", folder / "platform.sqlite"))
    async with database.writing() as connection:
        await connection.run_sync(db.metadata.create_all)
        for start in range(0, sites, 5_000):
            rows = [_row(number) for number in range(start, min(sites, start + 5_000))]
            await connection.execute(sa.insert(store.hosts), rows)
        await connection.execute(sa.insert(store.host_changes).values(id=1, latest=sites))
    bell = Bell(folder / "bell")
    platform = Platform(settings=Settings(data=folder), database=database, clock=SystemClock(), bell=bell)
    table = HostTable(DomainRows(platform), bell, hosts_max=hosts_max)
    draw = random.Random(1)
    known = [f"site-{number}" for number in draw.sample(range(sites), min(sites, hosts_max, 2_000))]

    held = await _bytes_held(HostTable(DomainRows(platform), bell, hosts_max=hosts_max), known)
    lookup = await _each(known, lambda name: table.find("site", name))
    asked = [draw.choice(known) for _ in range(ROUNDS)]
    find = await _each(asked, lambda name: table.find("site", name))
    now = monotonic()
    started = time.perf_counter()
    for name in asked:
        assert table.fresh("site", name, now) is not None
    fresh = (time.perf_counter() - started) / len(asked)

    flips = []
    for turn in range(50):
        name, change = known[turn % len(known)], sites + turn + 1
        root = ROOTS[turn % len(ROOTS)]
        async with database.writing() as connection:
            where = (store.hosts.c.zone == "site") & (store.hosts.c.name == name)
            await connection.execute(sa.update(store.hosts).where(where).values(root=root, change_no=change))
        started = time.perf_counter()
        bell.ring("hosts")
        site = await table.find("site", name)
        flips.append(time.perf_counter() - started)
        assert site is not None
        assert site.entry.root == root
    await database.close()
    bell.close()
    return {
        "bench": "hosts",
        "sites": sites,
        "fresh_us": round(fresh * 1e6, 2),
        "find_us": round(find * 1e6, 2),
        "lookup_us": round(lookup * 1e6, 1),
        "flip_us": round(sorted(flips)[len(flips) // 2] * 1e6, 1),
        "bytes_per_host": round(held / len(known)),
        "hosts_max": hosts_max,
    }


async def _bytes_held(table: HostTable, names: list[str]) -> int:
    tracemalloc.start()
    await _each(names, lambda name: table.find("site", name))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


async def _each(names: list[str], ask: Callable[[str], Awaitable[object]]) -> float:
    """Seconds per question."""
    started = time.perf_counter()
    for name in names:
        assert await ask(name) is not None
    return (time.perf_counter() - started) / len(names)


def _row(number: int) -> dict[str, object]:
    return {
        "zone": "site",
        "name": f"site-{number}",
        "project_id": f"prj_{number % 100}",
        "site_id": f"sit_{number}",
        "deployment_id": f"dep_{number}",
        "root": ROOTS[number % len(ROOTS)],
        "routes": {},
        "suspended": False,
        "change_no": number + 1,
        "changed_at": CHANGED_AT,
    }


if __name__ == "__main__":
    sys.exit(main())
