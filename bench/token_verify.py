"""How many credentials one process verifies per second, on one core: what `authenticate` costs before any work is done.

In-process, on SQLite, one request after the other. *Remembered* is what a busy client costs (no query); *fresh* is the
first use in five seconds: the signature (ES256) and the session's row for a signed access token, the row by its hash
for an access token. Prints one JSON line; each figure is the median of several runs, by the process's CPU time;
``…_best`` is the run that other programs disturbed least.
"""

# ruff: noqa: E402
from __future__ import annotations

import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog
import uvloop
from starlette.requests import HTTPConnection

sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder

from af import auth
from af.auth import store
from af.auth.models import SessionKind
from af.auth.service import memory, sessions
from af.core.clock import SystemClock
from af.core.context import ANONYMOUS, Context, Platform
from af.core.db import async_url
from af.core.migrations import upgrade
from tests.support import platforms

RUNS, REQUESTS = 7, 1_000
BAR_PER_SECOND = 2_000


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="af-bench-") as name:
        path = Path(name) / "platform.sqlite"
        await upgrade(async_url("", path))
        async with platforms.open_platform(f"sqlite:///{path}", Path(name), SystemClock()) as platform:
            ada = await platforms.user(platform, "ada")
            access, token = await signed_in(ada), (await auth.create_token(ada, "bench")).text
            row = {}
            for kind, credential in (("access", access), ("token", token)):
                for name, fresh in (("fresh", True), ("remembered", False)):
                    median, best = await measure(platform, credential, fresh=fresh)
                    row |= {f"{kind}_{name}_per_second": median, f"{kind}_{name}_best": best}
    within = row["access_fresh_per_second"] >= BAR_PER_SECOND
    print(json.dumps({"bench": "token_verify", **row, "bar_per_second": BAR_PER_SECOND, "within": within}))


async def signed_in(ctx: Context) -> str:
    """The access token of a new session."""
    assert ctx.actor.user_id is not None
    async with ctx.transaction() as tx:
        user = (await store.users.users_by_id(tx, [ctx.actor.user_id]))[ctx.actor.user_id]
        created = await sessions.open_session(ctx, user, kind=SessionKind.TOKENS, method="bench")
        return (await sessions.issue_tokens(ctx, created.session)).access


async def measure(platform: Platform, credential: str, *, fresh: bool) -> tuple[int, int]:
    """Verifications per second of CPU time (all threads), median and best; ``fresh``: nothing is remembered."""
    ctx = platform.context(ANONYMOUS)
    header = (b"authorization", b"Bearer " + credential.encode())
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost"), header]}
    rates = []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(REQUESTS):
            if fresh:
                memory.of(ctx).grants.clear()
            actor = await auth.authenticate(ctx, HTTPConnection(scope))
            assert actor.user_id is not None
        rates.append(REQUESTS / (time.process_time() - began))
    return round(statistics.median(rates)), round(max(rates))


if __name__ == "__main__":
    uvloop.run(main())  # as the server does
