"""Fixtures of ENS tests: the contracts on a chain, and the operator of a platform that knows a node of it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from af import projects
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Actor, ActorKind, Context
from af.names import jobs
from tests.support import anvil, ens, platforms
from tests.support.anvil import Chain
from tests.support.ens import Contracts

CID = "bafybeihr4z7hvi5i2uzsvyfzubdlupi76vfvig2bn5gp3rssgbbmmeq4nm"
CONTENT = f"ipfs://{CID}"
OTHER = "ipfs://bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
PREFIX = bytes.fromhex("e30101701220")
"""Of both as a contenthash: ipfs, CIDv1, dag-pb, sha2-256."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with anvil.running(tmp_path_factory.mktemp("anvil"), chain_id=1) as running:
        yield running


@pytest.fixture(scope="module")
def contracts(chain: Chain) -> Contracts:
    return ens.deploy(chain)


@pytest.fixture
def name(contracts: Contracts) -> str:
    """A name of the test's own, which nobody has registered."""
    return f"site{next(_numbers)}.eth"


@asynccontextmanager
async def opened(
    database_url: str, folder: Path, clock: FixedClock, contracts: Contracts, **settings: Any
) -> AsyncIterator[Context]:
    """The operator of a platform on the chain, who has a project."""
    configured = {"ethereum_rpc_urls": f"1={contracts.chain.url}", "ens_registry": contracts.registry} | settings
    async with platforms.open_platform(database_url, folder, clock, **configured) as platform:
        made = await projects.bootstrap(platform.context(SYSTEM))
        yield platform.context(Actor(ActorKind.USER, user_id=made.user.id))


@pytest.fixture
async def ctx(database_url: str, tmp_path: Path, clock: FixedClock, contracts: Contracts) -> AsyncIterator[Context]:
    async with opened(database_url, tmp_path, clock, contracts) as made:
        yield made


async def look_after(ctx: Context) -> int:
    """What the worker does in one turn; how many records it looked at."""
    system = ctx.acting_as(SYSTEM)
    reconciler = next(each for each in jobs.RECONCILERS if each.name == "names.ens")
    workflow = next(each for each in jobs.WORKFLOWS if each.name == reconciler.workflow)
    found = await reconciler.find(system)
    for _, arguments in found:
        await workflow.run(system, *arguments)
    return len(found)
