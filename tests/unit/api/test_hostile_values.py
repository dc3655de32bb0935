"""Values that look like nothing we know give a clean refusal on both databases, never "something went wrong"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import GraphQLObjectType

from af import api
from tests.support.asgi import AsgiClient

STRANGE = ["", " ", "\x00", "\ud800", "'; DROP TABLE users --", "../..", "prj_", "é" * 500, "%00", "a" * 10_000]
SCHEMA = api.executable()


def pages() -> list[str]:
    """The root lists that take ``first`` and ``after`` and no other required argument."""
    assert isinstance(SCHEMA.query_type, GraphQLObjectType)
    return [
        name
        for name, field in SCHEMA.query_type.fields.items()
        if {"first", "after"} <= set(field.args) and all(not str(a.type).endswith("!") for a in field.args.values())
    ]


def kinds(found: dict[str, Any]) -> set[str]:
    return {error["extensions"]["kind"] for error in found.get("errors", [])}


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
async def test_strange_names_are_refused_or_not_found(client: AsgiClient, text: str) -> None:
    calls = {
        "query($x: ID) { project(id: $x) { id } }": {"not_found", "invalid_input"},
        "query($x: ID!) { site(where: {id: $x}) { id } }": {"not_found", "invalid_input"},
        "query($x: ID!) { deployment(where: {id: $x}) { id } }": {"not_found", "invalid_input"},
        "mutation($x: ID!) { deletePersonalAccessToken(id: $x) }": {"not_found", "invalid_input"},
        "mutation($x: String!) { loginWithPersonalAccessToken(data: {personalAccessToken: $x}) }": {
            "unauthenticated",
            "invalid_input",
        },
    }
    for query, wanted in calls.items():
        found = await client.graphql(query, {"x": text})
        assert kinds(found), (query, found)
        assert kinds(found) <= wanted, (query, found)
    for name in pages():
        found = await client.graphql(f"query($x: String) {{ {name}(after: $x) {{ __typename }} }}", {"x": text})
        assert kinds(found) <= {"invalid_input", "not_found"}, (name, found)


@pytest.mark.parametrize("first", [None, 0, -1, 1001, 2**31 - 1])
async def test_pages_are_bounded(client: AsgiClient, first: int | None) -> None:
    for name in pages():
        found = await client.graphql(f"query($n: Int) {{ {name}(first: $n) {{ __typename }} }}", {"n": first})
        assert kinds(found) == (set() if first is None else {"invalid_input"}), (name, found)


async def test_nul_is_refused_in_every_disguise(client: AsgiClient) -> None:
    for literal in ('"\\u0000"', '"\\u{0}"', '"\\u{0000}"', '"\x00"'):
        found = await client.graphql(f"{{ project(id: {literal}) {{ id }} }}")
        assert kinds(found) == {"invalid_input"}, (literal, json.dumps(found))
