"""Pin requests from `POST /pins` to content that is kept, or to a reason."""

from __future__ import annotations

import json

import cbrrr

from af import storage
from af.core import events
from af.core.context import Context
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.support.trustless import TrustlessGateway as Gateway
from tests.unit.storage.conftest import Content, folder
from tests.unit.storage.pinning.conftest import ask, kept, status, work
from tests.unit.storage.test_http import Caller

IDENTITY = CID(b"\x01\x55\x00\x04text")


async def test_content_is_fetched_from_an_origin_and_kept(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content, origin: Gateway
) -> None:
    asked = await ask(call, site, name="site", origins=[origin.url], meta={"app": "x"})
    assert asked["status"] == "queued"
    await work(system)
    got = (await call("GET", f"/pins/{asked['requestid']}")).json
    assert got["status"] == "pinned", got
    wanted = {"cid": cids.to_text(site.root), "name": "site", "origins": [origin.url], "meta": {"app": "x"}}
    assert got["pin"] == wanted
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["site"]
    for cid, data in site.blocks.items():
        assert await system.get(storage.BlockStore).get(cid, public_only=True) == data


async def test_content_that_is_no_unixfs_is_kept_whole_too(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, origin: Gateway
) -> None:
    leaf = b"a leaf"
    data = cbrrr.encode_dag_cbor({"deep": [{"link": cbrrr.CID(cids.of(cids.RAW, leaf))}]})
    content = Content(cids.of(cids.DAG_CBOR, data), {cids.of(cids.RAW, leaf): leaf})
    content.blocks[content.root] = data
    origin.blocks = dict(content.blocks)
    asked = await ask(call, content, origins=[origin.url])
    await work(system)
    assert await status(call, asked) == ("pinned", "")
    for cid, block in content.blocks.items():
        assert await system.get(storage.BlockStore).get(cid, public_only=True) == block


async def test_a_cid_that_holds_its_content_needs_no_source(call: Caller, system: Context) -> None:
    asked = await ask(call, Content(IDENTITY))
    await work(system)
    assert await status(call, asked) == ("pinned", "")


async def test_an_origin_may_be_a_multiaddr(call: Caller, system: Context, site: Content, origin: Gateway) -> None:
    port = origin.url.rpartition(":")[2]
    asked = await ask(call, site, origins=[f"/ip4/127.0.0.1/tcp/{port}/http"])
    await work(system)
    assert await status(call, asked) == ("pinned", "")


async def test_the_operators_gateways_are_asked_too(
    call: Caller, system: Context, site: Content, configured: Gateway
) -> None:
    configured.blocks = dict(site.blocks)
    asked = await ask(call, site)
    await work(system)
    assert await status(call, asked) == ("pinned", "")


async def test_what_comes_from_nowhere_fails_with_a_reason(
    call: Caller, system: Context, site: Content, configured: Gateway
) -> None:
    asked = await ask(call, site, origins=["http://127.0.0.1:1", "/p2p/12D3KooW"])
    await work(system)
    state, reason = await status(call, asked)
    assert state == "failed"
    assert cids.to_text(site.root) in reason
    assert "http://127.0.0.1:1: 127.0.0.1 is not a public address" in reason
    assert "the platform's gateway 1: HTTP 404" in reason
    assert configured.url not in reason
    assert (await call("GET", "/pins?status=failed")).json["count"] == 1


async def test_what_the_project_sees_already_needs_no_source(
    call: Caller, system: Context, project_id: ProjectId, site: Content, origin: Gateway, configured: Gateway
) -> None:
    await system.get(storage.BlockStore).put(list(site.blocks.items()), scope=project_id)
    asked = await ask(call, site, origins=[origin.url])
    await work(system)
    assert await status(call, asked) == ("pinned", "")
    assert origin.asked == configured.asked == []


async def test_progress_is_shown_and_each_state_is_an_event(
    call: Caller, system: Context, project_id: ProjectId, site: Content, origin: Gateway
) -> None:
    asked = await ask(call, site, origins=[origin.url])
    await work(system)
    info = (await call("GET", f"/pins/{asked['requestid']}")).json["info"]
    assert info["blocks"] == str(len(site.blocks))
    assert info["fetched_bytes"] == str(sum(map(len, site.blocks.values())))
    told = await events.recorded(system, project_id=project_id, topic=f"pin:{asked['requestid']}")
    assert [event.data["status"] for event in told] == ["queued", "pinning", "pinned"]


async def test_content_that_is_too_large_fails_with_the_reason(call: Caller, system: Context, origin: Gateway) -> None:
    large = folder({f"{number}.bin": bytes([number]) * 1_000_000 for number in range(5)})
    origin.blocks = dict(large.blocks)
    asked = await ask(call, large, origins=[origin.url])
    await work(system)
    state, reason = await status(call, asked)
    assert (state, "AF_PIN_BYTES_MAX" in reason) == ("failed", True)


async def test_what_was_here_already_counts_too(
    call: Caller, system: Context, owner: Context, project_id: ProjectId
) -> None:
    large = folder({f"{number}.bin": bytes([number]) * 1_000_000 for number in range(5)})
    await system.get(storage.BlockStore).put(list(large.blocks.items()), scope=project_id)
    asked = await ask(call, large)
    await work(system)
    state, reason = await status(call, asked)
    assert (state, "AF_PIN_BYTES_MAX" in reason) == ("failed", True)
    assert await kept(owner, project_id) == []


async def test_a_project_at_its_quota_is_refused(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    large = folder({f"{number}.bin": bytes([number]) * 1_000_000 for number in range(5)})
    await system.get(storage.BlockStore).put(list(large.blocks.items()), scope=project_id)
    await storage.create_pin(owner, project_id, cids.to_text(large.root))
    reply = await call("POST", "/pins", json.dumps({"cid": cids.to_text(site.root)}).encode())
    assert (reply.status, reply.json["error"]["reason"]) == (409, "INSUFFICIENT_FUNDS")
