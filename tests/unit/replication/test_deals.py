"""From a policy that names Lighthouse to the deals that can be listed: the whole line, Lighthouse stood in for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from af import projects, replication, storage
from af.core.clock import FixedClock
from af.core.context import SYSTEM, Actor, ActorKind
from af.core.errors import NotFound
from af.protocols.ipfs import cid as cids
from af.replication import CopyState, service
from tests.support import answering, platforms
from tests.support.copies import source_of
from tests.support.filecoin import TOKEN, LighthouseAccount


async def test_a_policy_with_lighthouse_ends_in_deals_that_can_be_listed(database_url: str, tmp_path: Path) -> None:
    source, _ = source_of({"index.html": b"<h1>hello</h1>", "a/b.txt": b"deep"})
    account, clock = LighthouseAccount(), FixedClock(platforms.START)
    with answering.running() as server:
        server.answers = [account.answer]
        addresses = {
            f"lighthouse_{name}_url": server.url for name in ("api", "upload", "gateway")
        }  # fmt: skip
        async with platforms.open_platform(
            database_url, tmp_path, clock, lighthouse_api_key=TOKEN, **addresses
        ) as platform:
            made = await projects.bootstrap(platform.context(SYSTEM))
            owner, project = platform.context(Actor(ActorKind.USER, user_id=made.user.id)), made.project.id
            await storage.import_car(owner, project, _whole(source.car()), name="site")
            await replication.set_policy(owner, project, ["lighthouse"])

            async def turn() -> replication.Copy:
                clock.advance(timedelta(days=2))
                await service.align_all(platform.context(SYSTEM))
                for copy in await service.copies_due(platform.context(SYSTEM)):
                    await service.tend_copy(platform.context(SYSTEM), copy.id)
                (copy,) = await replication.list_copies(owner, project)
                return copy

            assert (await turn()).state is CopyState.STORED
            assert await service.filecoin_deals(owner, project, source.root) == []
            account.deals = [
                {"chainDealID": 74606268, "dealStatus": "Sealing: Proving", "storageProvider": "f01771403"}
            ]
            copy = await turn()
            assert (copy.state, copy.proved_at, copy.blocks_proved) == (CopyState.FINAL, clock.now(), 4)
            assert await service.filecoin_deals(owner, project, source.root) == ["74606268"]
            assert await service.filecoin_deals(owner, project, cids.of(cids.RAW, b"other")) == []
            stranger = await platforms.user(platform, "eve")
            with pytest.raises(NotFound):
                await service.filecoin_deals(stranger, project, source.root)


async def _whole(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
