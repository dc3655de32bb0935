"""Pin requests from the Pinning Service API to content that is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from af import projects, storage
from af.core import events
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, Context, Platform
from af.core.errors import Error, Forbidden
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from af.storage.errors import PinRequestGone
from tests.support import trustless
from tests.support.answering import Asked, Handler
from tests.support.platforms import open_platform
from tests.support.trustless import TrustlessGateway as Gateway
from tests.unit.storage.conftest import SITE, Content, TickingClock, folder, limited
from tests.unit.storage.test_http import Caller


@pytest.fixture
def origin(site: Content) -> Iterator[Gateway]:
    """A gateway that pins may name."""
    with trustless.gateway(site.blocks) as started:
        yield started


@pytest.fixture
def configured() -> Iterator[Gateway]:
    """The operator's gateway; it has nothing until a test says so."""
    with trustless.gateway({}) as started:
        yield started


@pytest.fixture
async def platform(
    database_url: str, tmp_path: Path, clock: TickingClock, origin: Gateway, configured: Gateway
) -> AsyncIterator[Platform]:
    settings = {
        "private_origins": origin.url,
        "retrieval_gateways": configured.url,
        "retrieval_patience_seconds": 1.0,
        "retrieval_seconds_max": 20,
        "pin_bytes_max": 4 << 20,
        "files_max": 2000,
    }
    async with open_platform(database_url, tmp_path, clock, **settings) as opened:
        yield opened


@pytest.fixture
def call(platform: Platform, owner: Context) -> Caller:
    return Caller(platform, owner.actor)


async def ask(call: Caller, content: Content, **more: Any) -> Any:
    reply = await call("POST", "/pins", json.dumps({"cid": cids.to_text(content.root), **more}).encode())
    assert reply.status == 202, reply.body
    return reply.json


async def status(call: Caller, asked: Any) -> tuple[str, str]:
    """The state of a request, and why it failed."""
    document = (await call("GET", f"/pins/{asked['requestid']}")).json
    return document["status"], document["info"].get("status_details", "")


async def work(system: Context) -> None:
    """What the worker does: every request that wants work comes to its end."""
    while waiting := await service.unfinished_pin_requests(system):
        for request_id in waiting:
            try:
                await service.fulfil_pin_request(system, request_id)
            except Error as error:
                await service.fail_pin_request(system, request_id, error)


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


# --- keeping and letting go ------------------------------------------------------------------------------------------


async def pinned(call: Caller, system: Context, content: Content, **more: Any) -> Any:
    """A request that is at its good end."""
    project_id = (await projects.bootstrap(system)).project.id
    await system.get(storage.BlockStore).put(list(content.blocks.items()), scope=project_id)
    asked = await ask(call, content, **more)
    await work(system)
    assert await status(call, asked) == ("pinned", "")
    return asked


async def kept(owner: Context, project_id: ProjectId) -> list[str]:
    return [cids.to_text(pin.cid) for pin in await storage.list_pins(owner, project_id)]


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


# --- quotas ----------------------------------------------------------------------------------------------------------


async def test_content_that_is_too_large_fails_with_the_reason(call: Caller, system: Context, origin: Gateway) -> None:
    large = folder({f"{number}.bin": bytes([number]) * 1_000_000 for number in range(5)})
    origin.blocks = dict(large.blocks)
    asked = await ask(call, large, origins=[origin.url])
    await work(system)
    state, reason = await status(call, asked)
    assert (state, "AF_PIN_BYTES_MAX" in reason) == ("failed", True)


async def test_a_project_at_its_quota_is_refused(
    call: Caller, system: Context, owner: Context, project_id: ProjectId, site: Content
) -> None:
    large = folder({f"{number}.bin": bytes([number]) * 1_000_000 for number in range(5)})
    await system.get(storage.BlockStore).put(list(large.blocks.items()), scope=project_id)
    await storage.create_pin(owner, project_id, cids.to_text(large.root))
    reply = await call("POST", "/pins", json.dumps({"cid": cids.to_text(site.root)}).encode())
    assert (reply.status, reply.json["error"]["reason"]) == (409, "INSUFFICIENT_FUNDS")


# --- lists and filters -----------------------------------------------------------------------------------------------


@pytest.fixture
async def three(call: Caller, system: Context) -> list[Any]:
    """Three requests that are pinned, oldest first."""
    made = []
    for name, meta in (("Straße.pdf", {"app": "a"}), ("strasse", {"app": "b", 'odd "key"': "x"}), ("50%", {})):
        made.append(await pinned(call, system, folder({"x": name.encode()}), name=name, meta=meta))
    return made


async def listed(call: Caller, **query: str) -> list[str]:
    reply = await call("GET", f"/pins?{urlencode(query)}")
    assert reply.status == 200, reply.body
    return [each["pin"]["name"] for each in reply.json["results"]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, ["50%", "strasse", "Straße.pdf"]),
        ({"name": "strasse"}, ["strasse"]),
        ({"name": "STRASSE"}, []),
        ({"name": "STRASSE", "match": "iexact"}, ["strasse"]),
        ({"name": "tra", "match": "partial"}, ["strasse", "Straße.pdf"]),
        ({"name": "TRA", "match": "partial"}, []),
        ({"name": "STRASSE", "match": "ipartial"}, ["strasse", "Straße.pdf"]),
        ({"name": "0%", "match": "partial"}, ["50%"]),
        ({"name": "%", "match": "ipartial"}, ["50%"]),
        ({"name": "_", "match": "ipartial"}, []),
        ({"meta": '{"app": "a"}'}, ["Straße.pdf"]),
        ({"meta": '{"app": "b", "odd \\"key\\"": "x"}'}, ["strasse"]),
        ({"meta": '{"app": "a", "odd": "x"}'}, []),
        ({"meta": '{"\' OR 1=1": "x"}'}, []),
        ({"status": "queued,failed"}, []),
        ({"status": "pinned,queued"}, ["50%", "strasse", "Straße.pdf"]),
        ({"limit": "2"}, ["50%", "strasse"]),
    ],
)
async def test_lists_are_filtered(call: Caller, three: list[Any], query: dict[str, str], wanted: list[str]) -> None:
    assert await listed(call, **query) == wanted


async def test_lists_are_paged_by_time_and_counted_whole(call: Caller, three: list[Any]) -> None:
    oldest, middle, newest = three
    assert await listed(call, before=newest["created"]) == ["strasse", "Straße.pdf"]
    assert await listed(call, after=middle["created"]) == ["50%"]
    assert await listed(call, after=oldest["created"], before=newest["created"]) == ["strasse"]
    in_another_zone = datetime.fromisoformat(newest["created"]).astimezone(timezone(timedelta(hours=2))).isoformat()
    assert await listed(call, before=in_another_zone) == ["strasse", "Straße.pdf"]
    reply = (await call("GET", f"/pins?limit=1&before={newest['created']}")).json
    assert (reply["count"], len(reply["results"])) == (2, 1)


async def test_a_name_finds_what_is_not_pinned_yet_and_other_filters_do_not(call: Caller, site: Content) -> None:
    await ask(call, site, name="waits", meta={"a": "b"})
    assert await listed(call, name="waits") == ["waits"]
    assert await listed(call) == await listed(call, cid=cids.to_text(site.root)) == []
    assert await listed(call, meta='{"a": "b"}') == await listed(call, name="waits", status="pinned") == []


async def test_a_cid_is_found_in_either_version(call: Caller, system: Context) -> None:
    data = b"\x0a\x02\x08\x01"
    root = cids.of(cids.DAG_PB, data)
    await pinned(call, system, Content(root, {root: data}), name="v1")
    version_0 = cids.to_text(cids.CID(cids.multihash(root)))
    assert version_0.startswith("Qm")
    assert await listed(call, cid=version_0) == ["v1"]
    assert await listed(call, cid=f"{cids.to_text(root)},{cids.to_text(cids.of(cids.RAW, b'x'))}") == ["v1"]
    assert await listed(call, cid=cids.to_text(cids.of(cids.RAW, b"x"))) == []


async def test_requests_of_one_moment_get_times_of_their_own(
    call: Caller, platform: Platform, owner: Context, project_id: ProjectId, site: Content
) -> None:
    still = replace(platform, clock=FixedClock(datetime(2026, 3, 1, tzinfo=UTC))).context(owner.actor)
    wanted = storage.WantedPin(cid=site.root)
    made = await asyncio.gather(*(service.request_pin(still, project_id, wanted) for _ in range(5)))
    times = sorted(each.created_at for each in made)
    assert times == [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(milliseconds=number) for number in range(5)]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "cid=x",
        "cid=" + ",".join(cids.to_text(cids.of(cids.RAW, bytes([number]))) for number in range(11)),
        "match=like",
        "status=done",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "before=yesterday",
        "before=2026-01-01T00:00:00",
        "after=",
        "meta=x",
        "meta=[]",
        'meta={"a": 1}',
        'meta={"a": "\\u0000"}',
    ],
)
async def test_bad_questions_are_refused(call: Caller, query: str) -> None:
    reply = await call("GET", f"/pins?{query}")
    assert (reply.status, reply.json["error"]["reason"]) == (400, "BAD_REQUEST")
    assert reply.json["error"]["details"]


@pytest.mark.parametrize(
    "pin",
    [
        {},
        {"cid": 1},
        {"cid": "x"},
        {"cid": "bafy", "name": "x"},
        {"name": "x" * 256},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"origins": ["x"] * 21},
        {"origins": ["x", "x"]},
        {"origins": ["x" * 3000]},
        {"origins": "x"},
        {"meta": {"a": 1}},
        {"meta": {"a": None}},
        {"meta": {"a": "\0"}},
        {"meta": {str(number): "" for number in range(1001)}},
        {"meta": {"a": "x" * 70_000}},
        [],
    ],
)
async def test_bad_pins_are_refused(call: Caller, site: Content, pin: Any) -> None:
    body = {"cid": cids.to_text(site.root), **pin} if pin and isinstance(pin, dict) else pin
    for target in ("/pins", "/pins/pnr_x"):
        reply = await call("POST", target, json.dumps(body).encode())
        assert (reply.status, reply.json["error"]["reason"]) == (400, "BAD_REQUEST"), reply.body


async def test_others_see_nothing_and_scopes_are_kept(
    platform: Platform, call: Caller, owner: Context, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    asked = await ask(call, site)
    target, body = f"/pins/{asked['requestid']}", json.dumps({"cid": cids.to_text(site.root)}).encode()
    theirs = Caller(platform, stranger.actor)
    for method in ("GET", "POST", "DELETE"):
        reply = await theirs(method, target, body)
        assert (reply.status, reply.json["error"]["reason"]) == (404, "NOT_FOUND")
    assert (await theirs("GET", "/pins?status=queued")).json["count"] == 0
    reading = Caller(platform, limited(owner, "storage:read").actor)
    assert (await reading("GET", target)).status == 200
    for method in ("POST", "DELETE"):
        reply = await reading(method, target, body)
        assert (reply.status, reply.json["error"]["reason"]) == (403, "FORBIDDEN")
    reply = await Caller(platform, ANONYMOUS)("GET", "/pins")
    assert (reply.status, reply.json["error"]["reason"]) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_only_the_platform_works_on_requests(owner: Context) -> None:
    for work_on in (service.fulfil_pin_request(owner, "pnr_x"), service.fail_pin_request(owner, "pnr_x", Error("x"))):
        with pytest.raises(Forbidden):
            await work_on
