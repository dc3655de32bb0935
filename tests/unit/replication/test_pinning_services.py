"""Pinning services as they were recorded: what we send, and what we make of every answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from af.core.http import Client
from af.core.settings import Settings, load
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.replication import CopyState
from af.replication.backends.configured import open_providers
from af.replication.backends.pinning import Filebase, Pinata, PinningService
from af.replication.errors import NotReadable, ProviderFailed, ProviderRefused
from af.replication.models import Source
from tests.support import answering
from tests.support.answering import Server, json_reply, reply
from tests.support.copies import source_of

FILES = {"index.html": b"<h1>hello</h1>", "a/b.txt": b"deep"}


@pytest.fixture
def server() -> Iterator[Server]:
    with answering.running() as made:
        yield made


@pytest.fixture
def source() -> Source:
    return source_of(FILES)[0]


def service(server: Server, *, gateway: str = "") -> PinningService:
    return PinningService(Client(), name="some", endpoint=f"{server.url}/psa/", token="t0k", gateway=gateway)


def status_of(source: Source, status: str, **more: Any) -> dict[str, Any]:
    return {"requestid": "r1", "status": status, "pin": {"cid": cids.to_text(source.root)}, **more}


async def test_a_pin_is_asked_for_once(server: Server, source: Source) -> None:
    text = cids.to_text(source.root)
    server.answers = [json_reply({"count": 0, "results": []}), json_reply(status_of(source, "queued"), 202)]
    receipt = await service(server).store(source)
    assert (receipt.ref, receipt.state) == ("r1", CopyState.WAITING)
    asked, made = server.requests
    assert (asked.method, asked.path) == (
        "GET",
        f"/psa/pins?cid={text}&status=queued,pinning,pinned&limit=1",
    )
    assert (made.method, made.path, json.loads(made.body)) == ("POST", "/psa/pins", {"cid": text, "name": "site"})
    assert made.headers["Authorization"] == "Bearer t0k"


async def test_a_pin_that_is_there_is_found(server: Server, source: Source) -> None:
    server.answers = [json_reply({"count": 1, "results": [status_of(source, "pinned")]})]
    receipt = await service(server, gateway="https://gw.example").store(source)
    assert (receipt.state, receipt.url) == (CopyState.STORED, f"https://gw.example/ipfs/{cids.to_text(source.root)}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "status, state",
    [
        ("queued", CopyState.WAITING),
        ("pinning", CopyState.WAITING),
        ("pinned", CopyState.STORED),
        ("failed", CopyState.FAILED),
    ],
)
async def test_every_status_has_a_meaning(server: Server, source: Source, status: str, state: CopyState) -> None:
    server.answers = [json_reply(status_of(source, status, info={"status_details": "half"}))]
    receipt = await service(server).status(source.root, "r1")
    assert (receipt.state, receipt.detail) == (state, "half")


async def test_a_pin_that_is_gone_is_lost(server: Server, source: Source) -> None:
    server.answers = [json_reply({"error": {"reason": "NOT_FOUND"}}, 404)]
    assert (await service(server).status(source.root, "r 1/2")).state is CopyState.LOST
    assert server.requests[0].path == "/psa/pins/r%201%2F2"


async def test_without_a_gateway_nothing_can_be_read_back(server: Server, source: Source) -> None:
    with pytest.raises(NotReadable):
        await service(server).read(source.root, "r1", source.root)


async def test_a_block_is_read_without_our_token(server: Server, source: Source) -> None:
    server.answers = [reply(200, b"block", "application/vnd.ipld.raw")]
    assert await service(server, gateway=server.url).read(source.root, "r1", source.root) == b"block"
    (asked,) = server.requests
    assert asked.path == f"/ipfs/{cids.to_text(source.root)}?format=raw"
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize(
    "status, error",
    [
        (401, ProviderRefused),
        (403, ProviderRefused),
        (402, ProviderRefused),
        (413, ProviderRefused),
        (400, ProviderRefused),
        (429, ProviderFailed),
        (500, ProviderFailed),
        (503, ProviderFailed),
    ],
)
async def test_what_is_tried_again_and_what_is_not(
    server: Server, source: Source, status: int, error: type[Exception]
) -> None:
    server.answers = [json_reply({"error": {"reason": "SOMETHING"}}, status)]
    with pytest.raises(error):
        await service(server).store(source)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"status": "lost", "requestid": "1", "pin": {}}'])
async def test_an_answer_that_makes_no_sense_is_a_failure(server: Server, source: Source, body: bytes) -> None:
    server.answers = [reply(200, body)]
    with pytest.raises(ProviderFailed):
        await service(server).status(source.root, "r1")


async def test_a_service_that_hangs_up_is_a_failure(server: Server, source: Source) -> None:
    server.answers = [answering.drop]
    with pytest.raises(ProviderFailed):
        await service(server).store(source)


def uploaded(body: bytes, boundary: str) -> dict[str, bytes]:
    """The fields of a form."""
    fields = {}
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, value = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        fields[head.split(b'name="')[1].split(b'"')[0].decode()] = value
    return fields


def pinata(server: Server) -> Pinata:
    return Pinata(Client(), token="jwt", upload_url=server.url, api_url=server.url, gateway=server.url)


async def test_pinata_takes_the_car(server: Server, source: Source) -> None:
    text = cids.to_text(source.root)
    server.answers = [
        json_reply({"data": {"files": []}}),
        json_reply({"data": {"id": "f1", "cid": text, "name": "site"}}),
    ]
    receipt = await pinata(server).store(source)
    assert (receipt.ref, receipt.state) == ("f1", CopyState.STORED)
    sent = server.requests[1]
    assert (sent.method, sent.path, sent.headers["Authorization"]) == ("POST", "/v3/files", "Bearer jwt")
    fields = uploaded(sent.body, sent.headers["Content-Type"].partition("boundary=")[2])
    assert (fields["network"], fields["car"]) == (b"public", b"true")
    reader = car.CarReader()
    assert [cids.verify(cid, data) for cid, data in reader.feed(fields["file"])] == [True] * 4
    reader.finish()
    assert reader.roots == (source.root,)


async def test_pinata_storing_something_else_is_a_failure(server: Server, source: Source) -> None:
    other = cids.to_text(cids.EMPTY_DIRECTORY)
    server.answers = [json_reply({"data": {"files": []}}), json_reply({"data": {"id": "f1", "cid": other}})]
    with pytest.raises(ProviderFailed):
        await pinata(server).store(source)


async def test_filebase_imports_the_car_and_says_what_it_pinned(server: Server, source: Source) -> None:
    text = cids.to_text(source.root)
    filebase = Filebase(Client(), token="bucket", rpc_url=server.url, gateway=server.url)
    lines = json.dumps({"Root": {"Cid": {"/": text}, "PinErrorMsg": ""}}) + "\n" + json.dumps({"Stats": {}})
    server.answers = [reply(200, lines.encode())]
    assert (await filebase.store(source)).state is CopyState.STORED
    assert server.requests[0].path == "/api/v0/dag/import?pin-roots=true"
    server.answers = [reply(200, json.dumps({"Root": {"Cid": {"/": text}, "PinErrorMsg": "no room"}}).encode())]
    with pytest.raises(ProviderFailed):
        await filebase.store(source)
    server.answers = [json_reply({"Keys": {text: {"Type": "recursive"}}})]
    assert (await filebase.status(source.root, text)).state is CopyState.STORED
    server.answers = [json_reply({"Keys": {}})]
    assert (await filebase.status(source.root, text)).state is CopyState.LOST


def test_providers_are_what_the_settings_name() -> None:
    services = [{"name": "mine", "endpoint": "https://pin.example/api", "token": "x"}]
    settings = load({"AF_PINNING_SERVICES": json.dumps(services), "AF_PINATA_JWT": "j"})
    providers = open_providers(settings, Client())
    assert sorted(providers.by_name) == ["mine", "pinata"]
    assert sorted(providers.absent) == ["arweave", "filebase", "filecoin-pin", "lighthouse"]
    assert all("AF_" in hint for hint in providers.absent.values())
    assert Settings().pinning_services == ""


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '[{"name": "a"}]',
        '[{"name": "A b", "endpoint": "https://x.example", "token": "t"}]',
        '[{"name": "a", "endpoint": "ftp://x.example", "token": "t"}]',
        '[{"name": "a", "endpoint": "https://x.example", "token": "t", "extra": "1"}]',
        '[{"name": "a", "endpoint": "https://x.example", "token": 5}]',
        '[{"name": "a", "endpoint": "https://x.example", "token": "t"},'
        ' {"name": "a", "endpoint": "https://y.example", "token": "t"}]',
    ],
)
def test_services_that_cannot_be_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(Exception, match="AF_PINNING_SERVICES"):
        load({"AF_PINNING_SERVICES": text})
