"""GraphQL made to cost much or to tell much."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import graphql, post
from tests.e2e.platform import Running, running

ROOT = str(Path(__file__).parents[2])

REFUSAL_SECONDS = 1.0
"""Far above what a refusal takes, far below what the bombs would take if they went off."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("graphql"), AF_RATE_PER_MINUTE_ANONYMOUS="1000") as started:
        for name in ("one", "two"):
            started.graphql("mutation($n:String!){createSite(data:{name:$n}){id}}", n=name)
        yield started


def nested(opening: str, count: int, closing: str = "}", inner: str = "id") -> str:
    return opening * count + inner + closing * count


def fragments(count: int) -> str:
    """Each fragment spreads the next one twice: 2^count fields from a few lines."""
    lines = [f"fragment F{n} on Project {{ ...F{n + 1} ...F{n + 1} }}" for n in range(count)]
    return "{projects{data{...F0}}}" + " ".join(lines) + f" fragment F{count} on Project {{ id }}"


BOMBS: dict[str, Callable[[], str]] = {
    "depth": lambda: "{sites{data" + nested("{project{sites{data", 40, "}}}", "{id}") + "}}",
    "deep braces": lambda: nested("{a", 2_000, "}", ""),
    "deep lists": lambda: "{project(where:{id:" + "[" * 1_500 + "]" * 1_500 + "}){id}}",
    "deep objects": lambda: "{project(where:" + "{id:" * 900 + "1" + "}" * 900 + "){id}}",
    "aliases": lambda: "{" + " ".join(f"a{n}:me{{id}}" for n in range(1_000)) + "}",
    "repeated field": lambda: "{" + "me{id} " * 1_200 + "}",
    "directives": lambda: "{me{id " + "@include(if:true)" * 1_000 + "}}",
    "unknown directives": lambda: "{me{id " + "@x" * 3_000 + "}}",
    "cycle": lambda: "{me{...A}} fragment A on User{...B} fragment B on User{...A}",
    "self": lambda: "{me{...A}} fragment A on User{id ...A}",
    "doubling fragments": lambda: fragments(40),
    "many fragments": lambda: "{me{id}}" + "".join(f" fragment F{n} on User{{id}}" for n in range(900)),
    "tokens": lambda: "{me{id}}" + " #\n" + "," * 10 + "query " * 5_000,
    "big string": lambda: '{site(where:{slug:"' + "x" * 900_000 + '"}){id}}',
    "big number": lambda: "{sites(first:" + "9" * 100_000 + "){data{id}}}",
    "many operations": lambda: " ".join(f"query Q{n}{{me{{id}}}}" for n in range(500)),
    "conflicting fields": lambda: "{" + " ".join(f"me{{a:id}} me{{a:id b{n}:id}}" for n in range(150)) + "}",
    "costly lists": lambda: "{projects(first:100){data{sites(first:100){data{deployments(first:100){data{id}}}}}}}",
    "page of a million": lambda: "{sites(first:1000000){data{id}}}",
    "page below zero": lambda: "{sites(first:-1){data{id}}}",
    "introspection in a loop": lambda: "{__schema{types" + nested("{fields{type", 4, "}}", "{name}") + "}}",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("signed_in", [True, False], ids=["owner", "nobody"])
def test_a_bomb_is_refused_before_it_costs_anything(platform: Running, name: str, signed_in: bool) -> None:
    body = json.dumps({"query": BOMBS[name]()}).encode()
    headers = {"Content-Type": "application/json", **(hostile.owner(platform) if signed_in else {})}
    started = time.monotonic()
    reply = platform.request("/graphql", method="POST", body=body, headers=headers)
    assert time.monotonic() - started < REFUSAL_SECONDS
    answer = reply.json()
    assert answer["errors"], answer
    assert len(reply.body) < 100_000
    assert_tells_nothing(reply.body.decode())
    assert all(error["extensions"]["code"] != "INTERNAL" for error in answer["errors"]), answer


def assert_tells_nothing(text: str) -> None:
    for leak in ("Traceback", 'File \\"', "site-packages", "SELECT ", "sqlite", "asyncpg", "/tmp/", ROOT, "0x7f"):
        assert leak not in text, text[:500]


BODIES = {
    "batch": b'[{"query":"{me{id}}"},{"query":"{me{id}}"}]',
    "batch of ten thousand": b"[" + b",".join([b'{"query":"{me{id}}"}'] * 10_000) + b"]",
    "nothing": b"",
    "null": b"null",
    "deep JSON": b"[" * 100_000,
    "no query": b'{"variables":{}}',
    "query of another kind": b'{"query":{"a":1}}',
    "variables of another kind": b'{"query":"{me{id}}","variables":[1]}',
    "huge variables": b'{"query":"{me{id}}","variables":{"a":"' + b"x" * 1_100_000 + b'"}}',
    "bad UTF-8": b'{"query":"\xff\xfe"}',
    "NUL": b'{"query":"{site(where:{slug:\\"a\\u0000b\\"}){id}}"}',
    "surrogate": b'{"query":"query($s:String){site(where:{slug:$s}){id}}","variables":{"s":"\\ud800"}}',
    "only spaces": b'{"query":"   "}',
    "byte order mark": b'\xef\xbb\xbf{"query":"{me{id}}"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_one_operation_is_refused(platform: Running, name: str) -> None:
    reply = post(platform, "/graphql", BODIES[name], kind="application/json")
    answer = reply.json()
    assert answer.get("errors") or reply.status >= 400, answer
    assert_tells_nothing(reply.body.decode())
    assert "INTERNAL" not in reply.body.decode()


def test_text_of_all_kinds_ends_in_a_plain_refusal(platform: Running) -> None:
    values: list[Any] = [
        "' OR 1=1 --",
        "a" * 10_000,
        "%",
        "\u202e",
        "😀" * 100,
        "../../x",
        "${jndi:ldap://x}",
        "{{7*7}}",
    ]
    for value in values:
        for query in (
            "query($v:String){site(where:{slug:$v}){id}}",
            "query($v:ID){site(where:{id:$v}){id}}",
            "query($v:ID!){deployment(where:{id:$v}){id}}",
            "query($v:String!){slugAvailability(where:{slug:$v})}",
            "query($v:String){sites(after:$v){data{id}}}",
            "mutation($v:String!){createSite(data:{name:$v}){id slug}}",
            "mutation($v:String!){createPin(data:{cid:$v}){cid}}",
        ):
            answer = graphql(platform, query, v=value)
            assert_tells_nothing(json.dumps(answer))
            for error in answer.get("errors", []):
                assert error["extensions"]["code"] != "INTERNAL", (query, value, answer)


def test_nobody_learns_the_schema(platform: Running) -> None:
    kind = {"Content-Type": "application/json"}
    for query in ("{__schema{types{name}}}", '{__type(name:"User"){name}}'):
        body = json.dumps({"query": query}).encode()
        reply = platform.request("/graphql", method="POST", body=body, headers=kind).json()
        assert "errors" in reply
        assert not reply.get("data")
    typo = platform.request("/graphql", method="POST", body=b'{"query":"{mee{id}}"}', headers=kind)
    assert b"Did you mean" not in typo.body
    explorer = platform.request("/graphql", headers={"Accept": "text/html"})
    assert explorer.status in (401, 403, 404, 405)


def test_limits_are_announced_and_then_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = {"AF_RATE_PER_MINUTE_ANONYMOUS": "5", "AF_RATE_PER_MINUTE": "20"}
    with running(tmp_path_factory.mktemp("rates"), **limits) as platform:
        spoofed = {"Content-Type": "application/json"}
        statuses = []
        for number in range(8):
            headers = {**spoofed, "X-Forwarded-For": f"10.0.0.{number}", "X-Real-IP": f"10.0.0.{number}"}
            reply = platform.request(
                "/graphql", method="POST", body=b'{"query":"{version{commitHash}}"}', headers=headers
            )
            statuses.append(reply.status)
            assert reply.headers["ratelimit-limit"] == "5"
        assert statuses == [200] * 5 + [429] * 3
        assert int(reply.headers["retry-after"]) >= 1
        assert reply.headers["content-type"] == "application/problem+json"
        assert "data" in graphql(platform, "{me{id}}"), "the owner has a limit of their own"
        seen = [post(platform, "/graphql", b'{"query":"{me{id}}"}', kind="application/json").status for _ in range(30)]
        assert seen.count(429) >= 8
