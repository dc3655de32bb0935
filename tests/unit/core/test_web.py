"""The REST edge: a context for each request, errors as problems, bodies within limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from af.core import web
from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import Actor, ActorKind, Context, Platform
from af.core.db import Database, async_url
from af.core.errors import Forbidden, InvalidInput, RateLimited, TooLarge, Unauthenticated
from af.core.ids import UserId
from af.core.settings import load
from tests.support.asgi import AsgiClient


@dataclass(frozen=True)
class Wish:
    name: str
    count: int = 1


async def authenticate(ctx: Context, connection: HTTPConnection) -> Actor:
    if connection.headers.get("authorization") == "Bearer bad":
        raise Unauthenticated("That token is not valid.")
    return Actor(ActorKind.USER, user_id=UserId("usr_1"), address=ctx.actor.address)


async def ask(
    tmp_path: Path,
    endpoint: Any,
    *,
    headers: dict[str, str] | None = None,
    body: list[bytes] | None = None,
    path: str = "/v1/things",
    query: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """One request through `RequestContext` to ``endpoint(request) -> Response``: status, headers, body."""
    platform = Platform(
        load({}, data=tmp_path), Database(async_url("", tmp_path / "x")), SystemClock(), Bell(tmp_path / "b")
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await endpoint(Request(scope, receive)))(scope, receive, send)

    parts = list(body or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": raw,
        "client": ("192.0.2.1", 1),
        "query_string": query,
    }
    await web.RequestContext(app, platform, authenticate)(scope, receive, send)
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    platform.bell.close()
    return sent[0]["status"], got, b"".join(message.get("body", b"") for message in sent[1:])


async def test_an_endpoint_gets_who_asks_from_where_and_for_which_project(tmp_path: Path) -> None:
    async def endpoint(request: Request) -> Response:
        ctx = web.context(request)
        return web.json_response([ctx.actor.user_id, ctx.actor.address, ctx.selected_project_id, ctx.request_id])

    headers = {"X-Project-Id": "prj_1", "X-Request-Id": "r-1"}
    status, got, body = await ask(tmp_path, endpoint, headers=headers)
    assert (status, json.loads(body)) == (200, ["usr_1", "192.0.2.1", "prj_1", "r-1"])
    assert got["x-request-id"] == "r-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "<script>"])
async def test_a_request_id_that_could_hurt_a_log_is_replaced(tmp_path: Path, given: str) -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    _, got, _ = await ask(tmp_path, endpoint, headers={"X-Request-Id": given})
    assert got["x-request-id"] not in ("", given)


async def test_an_error_is_a_problem_document(tmp_path: Path) -> None:
    async def endpoint(request: Request) -> Response:
        raise Forbidden("Not you.", hint="Ask an owner.", detail="inner", field="site")

    status, got, body = await ask(tmp_path, endpoint)
    document = json.loads(body)
    assert (status, got["content-type"]) == (403, "application/problem+json")
    assert document["detail"] == "Not you."
    assert (document["code"], document["reference"]) == ("forbidden", "AF1003")
    assert (document["hint"], document["field"], document["requestId"]) == (
        "Ask an owner.",
        "site",
        got["x-request-id"],
    )
    assert b"inner" not in body


async def test_a_bug_is_shown_without_its_text(tmp_path: Path) -> None:
    async def endpoint(request: Request) -> Response:
        raise ValueError("the password is x")

    status, _, body = await ask(tmp_path, endpoint)
    assert status == 500
    assert json.loads(body)["code"] == "internal"
    assert b"password" not in body


async def test_credentials_that_fail_are_401_with_a_challenge(tmp_path: Path) -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    status, got, _ = await ask(tmp_path, endpoint, headers={"Authorization": "Bearer bad"})
    assert (status, got["www-authenticate"]) == (401, "Bearer")


async def test_a_limited_caller_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def endpoint(request: Request) -> Response:
        raise RateLimited("Slowly.", retry_after_seconds=0.2)

    status, got, _ = await ask(tmp_path, endpoint)
    assert (status, got["retry-after"]) == (429, "1")


async def test_a_body_is_read_up_to_its_limit(tmp_path: Path) -> None:
    seen: list[int] = []

    async def endpoint(request: Request) -> Response:
        async for part in web.stream(request, 10):
            seen.append(len(part))
        return Response()

    assert (await ask(tmp_path, endpoint, body=[b"12345", b"", b"67890"]))[0] == 200
    assert seen == [5, 5]
    status, _, body = await ask(tmp_path, endpoint, body=[b"12345", b"678901", b"never read"])
    assert (status, json.loads(body)["code"]) == (413, TooLarge.code)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"name": "a", "count": 2}', 200, "a 2"),
        (b'{"name": "a"}', 200, "a 1"),
        (b'{"count": 2}', 400, "name"),
        (b'{"name": 1}', 400, "name"),
        (b'{"name": "a", "count": "x"}', 400, "count"),
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"", 400, "not JSON"),
    ],
)
async def test_a_json_body_has_the_shape_asked_for(tmp_path: Path, body: bytes, status: int, says: str) -> None:
    async def endpoint(request: Request) -> Response:
        wish = await web.json_body(request, Wish)
        return Response(f"{wish.name} {wish.count}")

    got, _, answer = await ask(tmp_path, endpoint, body=[body])
    assert got == status
    assert says in (answer.decode() if status == 200 else json.loads(answer)["detail"])
    assert status == 200 or json.loads(answer)["code"] == InvalidInput.code


@pytest.mark.parametrize(("path", "query"), [("/v1/sites/a\x00b", b""), ("/v1/sites", b"name=a%00b")])
async def test_a_nul_in_the_address_is_refused_before_a_query_sees_it(tmp_path: Path, path: str, query: bytes) -> None:
    async def endpoint(request: Request) -> Response:
        raise AssertionError("not reached")

    status, _, body = await ask(tmp_path, endpoint, path=path, query=query)
    assert (status, json.loads(body)["code"]) == (400, "invalid_input")


async def test_rest_routes_share_the_callers_rate_and_refused_tokens_count_for_their_address(tmp_path: Path) -> None:
    async def refuse(ctx: Context, connection: HTTPConnection) -> Actor:
        if connection.headers.get("authorization"):
            raise Unauthenticated("No.")
        return ctx.actor

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("ok")(scope, receive, send)

    platform = Platform(
        load({}, data=tmp_path), Database(async_url("", tmp_path / "x")), SystemClock(), Bell(tmp_path / "b")
    )
    limit = platform.settings.rate_per_minute_anonymous
    client = AsgiClient(web.RequestContext(answer, platform, refuse, uncounted=("/assets/",)))
    first = await client.request("GET", "/v1/anything")
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == (str(limit), str(limit - 1))
    guess = {"authorization": "Bearer guess"}
    refused = [await client.request("GET", "/v1/anything", headers=guess) for _ in range(limit - 1)]
    assert {reply.status for reply in refused} == {401}
    over = await client.request("GET", "/v1/anything", headers=guess)
    assert over.status == 429
    assert int(over.headers["retry-after"]) >= 1
    assert (await client.request("GET", "/assets/pages.css")).status == 200
