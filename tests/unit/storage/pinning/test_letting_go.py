"""What is kept for pin requests, and for how long."""

from __future__ import annotations

import asyncio
import json

import pytest

from af import projects, storage
from af.core.context import Context, Platform
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from af.storage.errors import PinRequestGone
from tests.support.answering import Asked, Handler
from tests.support.trustless import TrustlessGateway as Gateway
from tests.unit.storage.conftest import SITE, Content, folder
from tests.unit.storage.pinning.conftest import ask, kept, pinned, status, work
from tests.unit.storage.test_http import Caller


async def test_content_is_let_go_with_the_last_request_for_it(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    first, second = await pinned(call, system, site), await pinned(call, system, site)
    assert first["requestid"] != second["requestid"]
    reply = await call("DELETE", f"/pins/{first['requestid']}")
    assert (reply.status, reply.body) == (202, b"")
    assert await kept(owner, project_id) == [cids.to_text(site.root)]
    await call("DELETE", f"/pins/{second['requestid']}")
    assert await kept(owner, project_id) == []
    assert (await call("GET", f"/pins/{second['requestid']}")).status == 404


async def test_a_pin_that_was_made_otherwise_outlives_requests(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    await system.get(storage.BlockStore).put(list(site.blocks.items()), scope=project_id)
    await storage.create_pin(owner, project_id, cids.to_text(site.root), name="uploaded")
    asked = await pinned(call, system, site, name="asked for")
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["uploaded"]
    await call("DELETE", f"/pins/{asked['requestid']}")
    assert await kept(owner, project_id) == [cids.to_text(site.root)]


async def test_deleting_the_pin_removes_the_request(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    asked = await pinned(call, system, site)
    await storage.delete_pin(owner, project_id, cids.to_text(site.root))
    assert (await call("GET", f"/pins/{asked['requestid']}")).status == 404
    assert (await call("GET", "/pins")).json == {"count": 0, "results": []}


async def test_a_request_removed_while_it_is_worked_on_keeps_nothing(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content, origin: Gateway
) -> None:
    asked = await ask(call, site, origins=[origin.url])
    loop = asyncio.get_running_loop()

    def remove_then_answer(handler: Handler, wanted: Asked) -> None:
        del origin.broken[site.root]
        removal = call("DELETE", f"/pins/{asked['requestid']}")
        asyncio.run_coroutine_threadsafe(removal, loop).result(10)
        origin.answer(handler, wanted)

    origin.broken[site.root] = remove_then_answer
    with pytest.raises(PinRequestGone):
        await service.fulfil_pin_request(system, asked["requestid"])
    assert await kept(owner, project_id) == []


async def test_a_replacement_keeps_what_both_have_until_it_is_pinned(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content, origin: Gateway
) -> None:
    old = await pinned(call, system, site)
    new = folder({**SITE, "new.txt": b"one more"})
    origin.blocks = dict(new.blocks)
    body = json.dumps({"cid": cids.to_text(new.root), "origins": [origin.url]}).encode()
    reply = await call("POST", f"/pins/{old['requestid']}", body)
    assert reply.status == 202
    assert (await call("GET", f"/pins/{old['requestid']}")).status == 404
    assert await kept(owner, project_id) == []
    report = await storage.collect(owner, dry_run=True)
    assert report.swept.blocks == 0
    await work(system)
    assert await status(call, reply.json) == ("pinned", "")
    assert await kept(owner, project_id) == [cids.to_text(new.root)]
    there_already = {f"raw {cids.to_text(cid)}" for cid in site.blocks}
    assert not there_already & set(origin.asked)


async def test_a_deleted_project_has_no_requests(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    await ask(call, site)
    await projects.delete_project(owner, project_id)
    assert await service.projects_to_forget(system) == [project_id]
    await service.forget_project(system, project_id)
    assert await service.projects_to_forget(system) == []
    assert await service.unfinished_pin_requests(system) == []


async def test_nobody_fills_all_places(
    platform: Platform, call: Caller, system: Context, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    for _ in range(3):
        await ask(call, site)
    await ask(Caller(platform, stranger.actor), site)
    assert len(await service.unfinished_pin_requests(system)) == 3
