"""Lists of pin requests and their filters."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from af import storage
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from af.core.ids import ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import service
from tests.unit.storage.conftest import Content, folder
from tests.unit.storage.pinning.conftest import ask, listed, pinned
from tests.unit.storage.test_http import Caller


@pytest.fixture
async def three(call: Caller, system: Context) -> list[Any]:
    """Three requests that are pinned, oldest first."""
    made = []
    for name, meta in (("Straße.pdf", {"app": "a"}), ("strasse", {"app": "b", 'odd "key"': "x"}), ("50%", {})):
        made.append(await pinned(call, system, folder({"x": name.encode()}), name=name, meta=meta))
    return made


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
