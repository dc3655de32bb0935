"""SMS: Twilio's recorded answers (twilio.com/docs/messaging, /docs/api/errors), and a gateway that takes JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from af.core.http import Client
from af.core.messages.errors import DeliveryDelayed, DeliveryRefused
from af.core.messages.sms import GatewayTexter, TwilioTexter
from tests.support import answering, ports

SID = "AC" + "0" * 32
TO = "+4915112345678"
CREATED = {
    "account_sid": SID,
    "api_version": "2010-04-01",
    "body": "482913",
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_sent": None,
    "direction": "outbound-api",
    "error_code": None,
    "error_message": None,
    "from": "+15005550006",
    "messaging_service_sid": None,
    "num_segments": "1",
    "price": None,
    "sid": "SM" + "1" * 32,
    "status": "queued",
    "to": TO,
}


def refusal(code: int, message: str, status: int) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


@pytest.fixture
def server() -> Iterator[answering.Server]:
    with answering.running() as started:
        yield started


def twilio(url: str, sender: str = "+15005550006") -> TwilioTexter:
    return TwilioTexter(Client(), account_sid=SID, auth_token="secret", sender=sender, base_url=url, allow_private=True)


async def test_twilio_is_asked_as_its_api_says(server: answering.Server) -> None:
    server.answers = [answering.json_reply(CREATED, 201)]
    await twilio(server.url).send(TO, "482913 ist Ihr Code für ä & ü")
    [asked] = server.requests
    assert (asked.method, asked.path) == ("POST", f"/2010-04-01/Accounts/{SID}/Messages.json")
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(f"{SID}:secret".encode()).decode()
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {
        "To": [TO],
        "From": ["+15005550006"],
        "Body": ["482913 ist Ihr Code für ä & ü"],
    }


async def test_a_messaging_service_is_named_as_such(server: answering.Server) -> None:
    server.answers = [answering.json_reply(CREATED, 201)]
    service = "MG" + "a" * 32
    await twilio(server.url, service).send(TO, "x")
    assert parse_qs(server.requests[0].body.decode())["MessagingServiceSid"] == [service]


@pytest.mark.parametrize(
    ("status", "answer", "error", "headers"),
    [
        (400, refusal(21211, f"Invalid 'To' Phone Number: {TO}", 400), DeliveryRefused, {}),
        (400, refusal(21610, "Attempt to send to unsubscribed recipient", 400), DeliveryRefused, {}),
        (401, refusal(20003, "Authenticate", 401), DeliveryDelayed, {}),
        (429, refusal(20429, "Too Many Requests", 429), DeliveryDelayed, {"Retry_After": "30"}),
        (503, refusal(20503, "Service Unavailable", 503), DeliveryDelayed, {}),
    ],
)
async def test_twilio_refuses_for_good_or_for_now(
    server: answering.Server, status: int, answer: dict[str, Any], error: type[Any], headers: dict[str, str]
) -> None:
    server.answers = [answering.json_reply(answer, status, **headers)]
    with pytest.raises(error) as refused:
        await twilio(server.url).send(TO, "482913")
    assert refused.value.detail.startswith(f"{status} {answer['code']} ")
    assert "15112345678" not in refused.value.detail
    assert refused.value.retry_after_seconds == (30.0 if headers else None)


async def test_a_gateway_gets_json_and_a_bearer_token(server: answering.Server) -> None:
    server.answers = [answering.json_reply({}, 202)]
    await GatewayTexter(Client(), url=f"{server.url}/send?x=1", token="t0ken").send(TO, "482913")
    [asked] = server.requests
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/send?x=1", {"to": TO, "text": "482913"})
    assert asked.headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(("status", "error"), [(422, DeliveryRefused), (403, DeliveryDelayed), (500, DeliveryDelayed)])
async def test_a_gateway_refuses_for_good_or_for_now(
    server: answering.Server, status: int, error: type[Exception]
) -> None:
    server.answers = [answering.reply(status, b"<html>", "text/html")]
    with pytest.raises(error):
        await GatewayTexter(Client(), url=server.url, token="").send(TO, "482913")
    assert "Authorization" not in server.requests[0].headers


async def test_a_service_that_breaks_off_or_is_not_there_is_tried_again(server: answering.Server) -> None:
    server.answers = [answering.drop]
    for url in (server.url, f"http://127.0.0.1:{ports.free_port()}"):
        for texter in (twilio(url), GatewayTexter(Client(), url=url, token="")):
            with pytest.raises(DeliveryDelayed):
                await texter.send(TO, "482913")
