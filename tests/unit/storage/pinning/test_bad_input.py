"""What is refused at ``/pins``, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from af.core.context import ANONYMOUS, Context, Platform
from af.core.errors import Error, Forbidden
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from tests.unit.storage.conftest import Content, limited
from tests.unit.storage.pinning.conftest import ask
from tests.unit.storage.test_http import Caller


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
