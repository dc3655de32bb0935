"""Gateways and upload services that fail, lie or send elsewhere, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from af.core.http import Client
from af.replication.backends.arweave_errors import NotPaid
from af.replication.backends.arweave_network import Gateway, Indexed, Standing, UploadService
from af.replication.errors import ProviderFailed, ProviderRefused
from tests.support import answering
from tests.support.answering import Asked, Handler, Server, json_reply, reply

ID = "A" * 43


@pytest.fixture
def server() -> Iterator[Server]:
    with answering.running() as started:
        yield started


@pytest.fixture
def gateway(server: Server) -> Gateway:
    return Gateway(Client(), server.url + "/")


async def whole(gateway: Gateway, **part: int) -> bytes:
    async with gateway.open(ID, **part) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("answer", [reply(200, b"", "text/plain"), reply(200, b"-5"), reply(200, b"1e9"), reply(404)])
async def test_what_is_no_price_is_none(server: Server, gateway: Gateway, answer: answering.Answer) -> None:
    server.answers.append(answer)
    with pytest.raises(ProviderFailed):
        await gateway.price(5)


@pytest.mark.parametrize("text", [b"not base64url!", b"A" * 400, "ä".encode()])
async def test_what_is_no_anchor_is_not_signed(server: Server, gateway: Gateway, text: bytes) -> None:
    server.answers.append(reply(200, text))
    with pytest.raises(ProviderFailed, match="anchor"):
        await gateway.anchor()


async def test_every_standing_is_told_apart(server: Server, gateway: Gateway) -> None:
    mined = {"block_height": 7, "block_indep_hash": "x", "number_of_confirmations": 12}
    server.answers += [json_reply(mined), reply(202, b"Pending"), reply(200, b"Pending"), reply(404, b"Not Found.")]
    assert await gateway.standing(ID) == Standing(mined=True, confirmations=12)
    assert await gateway.standing(ID) == await gateway.standing(ID) == Standing(mined=False)
    assert await gateway.standing(ID) is None


@pytest.mark.parametrize(
    "answer",
    [
        json_reply({"number_of_confirmations": "12"}),
        json_reply({"number_of_confirmations": -1}),
        json_reply([]),
        reply(200, b"<html>"),
        reply(500),
        reply(429),
        reply(302, b"", Location="http://169.254.169.254/"),
        answering.drop,
        reply(200, b"x" * (2 << 20)),
    ],
)
async def test_a_status_that_is_none_is_a_failure_to_try_again(
    server: Server, gateway: Gateway, answer: answering.Answer
) -> None:
    server.answers.append(answer)
    with pytest.raises(ProviderFailed):
        await gateway.standing(ID)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ProviderRefused), (402, NotPaid), (410, NotPaid), (429, ProviderFailed), (503, ProviderFailed)],
)
async def test_refusals_and_failures_of_a_post_are_told_apart(
    server: Server, gateway: Gateway, status: int, error: type[Exception]
) -> None:
    server.answers.append(reply(status, b"why"))
    with pytest.raises(error):
        await gateway.post({})


async def test_a_transaction_or_chunk_that_is_there_already_is_fine(server: Server, gateway: Gateway) -> None:
    server.answers += [reply(208), reply(200)]
    await gateway.post({})
    await gateway.post_chunk({})


@pytest.mark.parametrize(
    "answer",
    [
        {"data": None},
        {"data": {"transactions": None}},
        {"data": {"transactions": {"edges": [None, {}, {"node": {}}, {"node": {"id": "short"}}]}}},
        {"errors": [{"message": "no"}]},
        {},
    ],
)
async def test_an_index_that_knows_nothing_or_nonsense_finds_nothing(
    server: Server, gateway: Gateway, answer: dict[str, Any]
) -> None:
    server.answers.append(json_reply(answer))
    assert await gateway.find(ID, ()) == ()


async def test_a_gateway_without_an_index_finds_nothing(server: Server, gateway: Gateway) -> None:
    server.answers.append(reply(404))
    assert await gateway.find(ID, ()) == ()
    assert await gateway.look_up(ID) is None


async def test_what_an_index_knows_is_read(server: Server, gateway: Gateway) -> None:
    node = {"id": ID, "data": {"size": "12"}, "block": {"height": 7}}
    server.answers.append(json_reply({"data": {"transactions": {"edges": [{"node": node}, {"node": {"id": ID}}]}}}))
    assert await gateway.find(ID, ()) == (Indexed(ID, 12, 7), Indexed(ID, -1, None))
    assert json.loads(server.requests[0].body)["variables"]["owner"] == ID


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_part_is_read_with_or_without_ranges(server: Server, gateway: Gateway, ranges: bool) -> None:
    data = bytes(range(256)) * 1000

    def answer(handler: Handler, asked: Asked) -> None:
        status, part = 200, data
        if ranges and "Range" in asked.headers:
            first, _, last = asked.headers["Range"].removeprefix("bytes=").partition("-")
            status, part = 206, data[int(first) : int(last) + 1]
        reply(status, part)(handler, asked)

    server.answers.append(answer)
    assert await whole(gateway) == data
    assert await whole(gateway, start=70_001, end=150_000) == data[70_001:150_000]
    assert await whole(gateway, start=0, end=1) == data[:1]


async def test_a_part_that_comes_short_is_a_failure(server: Server, gateway: Gateway) -> None:
    server.answers.append(reply(206, b"short"))
    with pytest.raises(ProviderFailed, match="95 bytes too few"):
        await whole(gateway, start=100, end=200)


async def test_a_redirect_on_the_same_origin_is_followed_and_one_inside_is_not(
    server: Server, gateway: Gateway
) -> None:
    server.answers += [reply(302, b"", Location=f"/raw/{ID}"), reply(200, b"data")]
    assert await whole(gateway) == b"data"
    with answering.running() as inside:
        inside.answers.append(reply(200, b"secret"))
        server.answers[:] = [reply(302, b"", Location=inside.url)]
        with pytest.raises(ProviderFailed):
            await whole(gateway)
        assert inside.requests == []
    server.answers[:] = [reply(302, b"", Location="/again")]
    with pytest.raises(ProviderFailed, match="without end"):
        await whole(gateway)


async def test_an_upload_service_that_took_something_else_is_not_believed(server: Server) -> None:
    async def pieces() -> Any:
        yield b"data"

    service = UploadService(Client(), server.url, server.url)
    server.answers += [json_reply({"id": "B" * 43}), json_reply({"id": ID}), reply(200, b"OK")]
    with pytest.raises(ProviderFailed, match="something else"):
        await service.send(ID, pieces(), 4)
    await service.send(ID, pieces(), 4)
    with pytest.raises(ProviderFailed, match="not JSON"):
        await service.send(ID, pieces(), 4)
    assert [(asked.body, asked.headers["Content-Length"]) for asked in server.requests] == [(b"data", "4")] * 3
