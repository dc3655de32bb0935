"""Every GraphQL operation and field and every REST route, called as nobody, a stranger, each role, and the operator.

What to expect is in `authz_table`; what exists is read from the schema and the routes, so something new without a line
in the table fails here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLNamedType, GraphQLObjectType, get_named_type
from starlette.routing import Route

from af import api, auth
from af.core.context import SYSTEM, Platform
from af.server import targets
from tests.e2e.authz_table import FIELDS, OPERATIONS, PAGES, ROUTES, UNCOVERED, filled
from tests.e2e.authz_world import CALLERS, People, World, make_people, make_world
from tests.support import platforms
from tests.support.asgi import AsgiClient, Reply
from tests.unit.sites.conftest import TickingClock

ROLES = ("viewer", "member", "admin", "owner")
SCHEMA = api.executable()
DEPTH = 7


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    limits = {"graphql_cost_max": 1_000_000_000, "graphql_depth_max": 20, "rate_per_minute_anonymous": 10_000}
    async with platforms.open_platform(database_url, tmp_path, TickingClock(platforms.START), **limits) as opened:
        yield opened


@pytest.fixture
async def people(platform: Platform) -> People:
    return await make_people(platform)


@pytest.fixture
def app(platform: Platform) -> AsgiClient:
    return AsgiClient(targets.edge_application(platform, {"api"}))


def refusal(who: str, caller: str, *, team: bool = False) -> str | None:
    """The kind of error that the caller must get, or `None` if the caller may; ``team``: in the organization."""
    if who == "nobody":
        return "not_found"
    if who == "anyone":
        return None
    if caller == "anonymous":
        return "unauthenticated"
    if who == "signed in":
        return None
    if who == "person":
        return "forbidden"  # all callers come with access tokens; sessions are in tests/unit/auth
    if who == "operator":
        return None if caller == "operator" else "forbidden"
    if caller == "billing" and team:
        return None if who == "billing" else "forbidden"
    if caller not in ROLES:
        return "not_found"
    if who == "billing":
        return None
    return None if ROLES.index(caller) >= ROLES.index(who) else "forbidden"


def in_team(asked: str) -> bool:
    """Whether an operation or route is about the world's organization (or an invitation to it), not its project."""
    return "organization" in asked.replace('organizationId: "<moved>', "") or "<invitation>" in asked


# --- what exists ----------------------------------------------------------------------------------------------------


def roots() -> dict[str, Any]:
    """Every root field by name."""
    kinds = (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    return {name: field for kind in kinds if kind for name, field in kind.fields.items()}


def selection(kind: GraphQLNamedType, seen: set[str], depth: int = DEPTH) -> str:
    """All fields of an object, and all of theirs; each type is spelled out once. ``seen`` collects ``Type.field``."""
    if not isinstance(kind, GraphQLObjectType):
        return ""
    fields = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if not isinstance(inner, GraphQLObjectType):
            seen.add(f"{kind.name}.{name}")
            fields.append(name)
        elif depth and not any(known.startswith(f"{inner.name}.") for known in seen):
            seen.add(f"{kind.name}.{name}")
            fields.append(name + selection(inner, seen, depth - 1))
        elif depth:
            seen.add(f"{kind.name}.{name}")
            fields.append(name + " { __typename }")
    return " { " + " ".join(fields) + " }"


def test_every_operation_field_and_route_has_a_line() -> None:
    missing = sorted(set(roots()) - set(OPERATIONS))
    seen: set[str] = set()
    for field in roots().values():
        fresh: set[str] = set()
        selection(get_named_type(field.type), fresh)
        seen |= fresh
    root_types = {SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type}
    for kind in SCHEMA.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and kind not in root_types:
            missing += [f"{kind.name}.{name}" for name in kind.fields if f"{kind.name}.{name}" not in seen]
    missing += sorted(rest_routes() - set(ROUTES) - PAGES)
    assert missing == UNCOVERED
    assert set(OPERATIONS) <= set(roots()), "a line for an operation that is gone"
    assert set(ROUTES) <= rest_routes(), "a line for a route that is gone"
    assert set(FIELDS) <= seen, "a line for a field that is gone"


def rest_routes() -> set[str]:
    found = set()
    for route in targets.rest_routes():
        assert isinstance(route, Route)
        found |= {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}
    return found


# --- everybody tries everything -------------------------------------------------------------------------------------


async def ask(client: AsgiClient, document: str, kind: str) -> dict[str, Any]:
    """The response document; of a stream, its first."""
    if kind != "subscription":
        reply: dict[str, Any] = await client.graphql(document)
        return reply
    body = {"query": document}
    async with client.stream("POST", "/graphql", body=body, headers={"accept": "text/event-stream"}) as stream:
        text = await stream.until("\n\n")
    if text.startswith("event: complete"):
        return {"data": None}  # allowed; there was nothing to tell
    line = next(line for line in text.splitlines() if line.startswith("data: "))
    first: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return first


def asked(name: str) -> str:
    """The operation with everything that it can select."""
    op, field = OPERATIONS[name], roots()[name]
    return f"{op.kind} {{ {op.call}{selection(get_named_type(field.type), set())} }}"


async def test_reading(platform: Platform, people: People, app: AsgiClient) -> None:
    """Queries, subscriptions and the routes that change nothing: all on one world."""
    world = await make_world(platform, people, "owner")
    for caller in CALLERS:
        client = people.client(app, caller, world)
        for name, op in OPERATIONS.items():
            if op.kind != "mutation":
                found = await ask(client, filled(asked(name), world), op.kind)
                expected = refusal(op.who, caller, team=in_team(op.call)) or op.instead
                check(f"{name} as {caller}", caller, expected, found)
        for name, rest in ROUTES.items():
            if not rest.changes:
                check_reply(
                    f"{name} as {caller}", refusal(rest.who, caller, team=in_team(name)), await rest.call(client, world)
                )


@pytest.mark.parametrize("name", sorted(name for name, op in OPERATIONS.items() if op.kind == "mutation"))
async def test_mutation(name: str, platform: Platform, people: People, app: AsgiClient) -> None:
    op = OPERATIONS[name]
    world: World | None = None
    for caller in CALLERS:
        expected = refusal(op.who, caller, team=in_team(op.call)) or op.instead
        if world is None or "own_" in op.call or expected is None:
            world = await make_world(platform, people, caller)
        found = await ask(people.client(app, caller, world), filled(asked(name), world), op.kind)
        check(f"{name} as {caller}", caller, expected, found)


@pytest.mark.parametrize("name", sorted(name for name, rest in ROUTES.items() if rest.changes))
async def test_changing_route(name: str, platform: Platform, people: People, app: AsgiClient) -> None:
    rest = ROUTES[name]
    world: World | None = None
    for caller in CALLERS:
        expected = refusal(rest.who, caller, team=in_team(name))
        if world is None or expected is None:
            world = await make_world(platform, people, caller)
        reply = await rest.call(people.client(app, caller, world), world)
        check_reply(f"{name} as {caller}", expected, reply)


def check(what: str, caller: str, expected: str | None, found: dict[str, Any]) -> None:
    """The operation was refused as expected; or it was not, and of its fields only those that may be."""
    errors = found.get("errors", [])
    kinds = [(error.get("path"), error["extensions"]["kind"]) for error in errors]
    if expected is not None:
        assert [kind for _, kind in kinds] == [expected], f"{what}: {found}"
        assert len(errors[0].get("path", [])) == 1, f"{what}: something was shown: {found}"
        assert not any((found.get("data") or {}).values()), f"{what}: something was shown: {found}"
        return
    for path, kind in kinds:
        rules = [who for coordinate, who in FIELDS.items() if coordinate.endswith(f".{path[-1]}")]
        wanted = {refusal(who, caller, team=True) for who in rules if caller in (*ROLES, "billing")}
        assert kind in wanted, f"{what}: {path} was refused: {found}"


def check_reply(what: str, expected: str | None, reply: Reply) -> None:
    if expected is None:
        assert reply.status < 300, f"{what}: {reply}"
    else:
        wanted = {"unauthenticated": 401, "forbidden": 403, "not_found": 404}[expected]
        document = reply.json()
        if "error" in document:  # the Pinning Service API has a shape of its own
            reason = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND"}[wanted]
            assert (reply.status, document["error"]["reason"]) == (wanted, reason), f"{what}: {reply}"
        else:
            assert (reply.status, document["title"]) == (wanted, expected), f"{what}: {reply}"


async def test_a_revoked_token_opens_nothing(platform: Platform, people: People, app: AsgiClient) -> None:
    """Not even what anyone may see: whoever sends a token is told that it does not work."""
    world = await make_world(platform, people, "owner")
    made = await auth.create_token(platform.context(SYSTEM), "gone", user_id=people.contexts["owner"].actor.user_id)
    await auth.revoke_token(people.contexts["owner"], made.token.id)
    client = app.as_token(made.text)
    for name in OPERATIONS:
        reply = await client.post("/graphql", {"query": filled(asked(name), world)})
        assert (reply.status, reply.json()["code"]) == (401, "invalid_credentials"), f"{name}: {reply}"
    for name, rest in ROUTES.items():
        check_reply(name, "unauthenticated", await rest.call(client, world))


async def test_a_token_of_another_project_opens_nothing_here(
    platform: Platform, people: People, app: AsgiClient
) -> None:
    """The owner's own token, limited to another project of theirs."""
    world = await make_world(platform, people, "owner")
    elsewhere = await make_world(platform, people, "owner")
    limited = await platforms.token(people.contexts["owner"], project_id=elsewhere.project)
    headers = {"x-project-id": world.project, "authorization": f"Bearer {limited}"}
    client = AsgiClient(app.app, app.host, headers, app.address)
    for name, op in OPERATIONS.items():
        if op.who not in ("anyone", "signed in"):
            found = await ask(client, filled(asked(name), world), op.kind)
            kinds = [error["extensions"]["kind"] for error in found.get("errors", [])]
            assert kinds in (["not_found"], ["forbidden"]), f"{name}: {found}"
            assert kinds == ["not_found"] or op.who in ("person", "operator") or in_team(op.call), f"{name}: {found}"
    for name, rest in ROUTES.items():
        if rest.who not in ("anyone", "signed in"):
            reply = await rest.call(client, world)
            assert reply.status in (403, 404), f"{name}: {reply}"
            assert reply.status == 404 or rest.who in ("person", "operator") or in_team(name), f"{name}: {reply}"


async def test_hidden_and_absent_look_alike(platform: Platform, people: People, app: AsgiClient) -> None:
    world = await make_world(platform, people, "stranger")
    stranger = app.as_token(people.tokens["stranger"])
    for call in ('site(where: {id: "%s"})', 'project(id: "%s")', 'deployment(where: {id: "%s"})'):
        real = {"site": world.site, "project": world.project, "deployment": world.deployment}[call.partition("(")[0]]
        absent = real[:-16] + "a" * 16
        shown = []
        for identifier in (real, absent):
            found = await stranger.graphql(f"{{ {call % identifier} {{ id }} }}")
            error = found["errors"][0]
            error["extensions"].pop("requestId")
            shown.append(json.dumps(error).replace(identifier, "ID"))
        assert shown[0] == shown[1]


async def test_a_limited_token_does_what_it_says_and_no_more(
    platform: Platform, people: People, app: AsgiClient
) -> None:
    world = await make_world(platform, people, "owner")
    elsewhere = await make_world(platform, people, "owner")
    owner = people.contexts["owner"]
    reader = app.as_token(await platforms.token(owner, scopes=["sites:read"]))
    found = await reader.graphql(f'{{ site(where: {{id: "{world.site}"}}) {{ id }} }}')
    assert found["data"]["site"]["id"] == world.site
    for document in (
        f'mutation {{ deleteSite(where: {{id: "{world.site}"}}) {{ id }} }}',
        "{ projects { data { id } } }",
    ):
        found = await reader.graphql(document)
        assert found["errors"][0]["extensions"]["code"] == "SCOPE_MISSING"
    here = app.as_token(await platforms.token(owner, project_id=world.project))
    assert [row["id"] for row in (await here.graphql("{ projects { data { id } } }"))["data"]["projects"]["data"]] == [
        world.project
    ]
    found = await here.graphql(f'{{ site(where: {{id: "{elsewhere.site}"}}) {{ id }} }}')
    assert found["errors"][0]["extensions"]["kind"] == "not_found"
    found = await here.graphql('mutation { createPersonalAccessToken(name: "x") { projectId } }')
    assert found["data"]["createPersonalAccessToken"]["projectId"] == world.project
