"""How the edge is spoken to: JSON, multipart, cookies, event streams, pages, rates."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from af import auth, projects, sites
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from tests.support.asgi import AsgiClient

VERSION = "{ version { commitHash } }"
FLEEK_LOGIN = "mutation ($v1:LoginWithPersonalAccessTokenDataInput!){loginWithPersonalAccessToken(data:$v1)}"


def form(fields: dict[str, str]) -> tuple[str, str]:
    """A multipart body and its content type."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    return "".join(parts) + "--b--\r\n", "multipart/form-data; boundary=b"


async def test_an_error_says_what_happened_and_what_to_do(client: AsgiClient) -> None:
    reply = await client.post("/graphql", {"query": '{ project(id: "nope") { id } }'}, x_request_id="abc-1")
    document = reply.json()
    (error,) = document["errors"]
    assert document["data"] == {"project": None}
    assert error["path"] == ["project"]
    assert error["extensions"] == {
        "code": "PROJECT_NOT_FOUND",
        "kind": "not_found",
        "reference": "AF2101",
        "hint": "`af projects list` shows yours.",
        "requestId": "abc-1",
    }


async def test_plain_kinds_have_the_originals_codes(client: AsgiClient, nobody: AsgiClient) -> None:
    found = await nobody.graphql("{ projects { data { id } } }")
    assert found["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    found = await client.graphql("{ projects(first: 0) { data { id } } }")
    assert found["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert found["errors"][0]["extensions"]["field"] == "first"


async def test_a_bug_is_shown_without_its_text(platform: Platform, client: AsgiClient) -> None:
    async with platform.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE members SET role = 'wizard'")  # a value that no code can read
    found = await client.graphql("{ projects { data { id role } } }")
    assert found["errors"][0]["message"] == "Something went wrong on our side."
    assert found["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "wizard" not in json.dumps(found)


async def test_statuses_are_those_of_graphql_over_http(client: AsgiClient) -> None:
    strict = {"accept": "application/graphql-response+json"}
    plain = await client.post("/graphql", {"query": "{ nope }"})
    assert (plain.status, plain.headers["content-type"]) == (200, "application/json")
    refused = await client.request("POST", "/graphql", body={"query": "{ nope }"}, headers=strict)
    assert (refused.status, refused.headers["content-type"]) == (400, "application/graphql-response+json")
    partial = {"query": '{ project(id: "x") { id } }'}
    assert (await client.request("POST", "/graphql", body=partial, headers=strict)).status == 200


async def test_queries_are_not_run_by_get(client: AsgiClient, browser: AsgiClient, nobody: AsgiClient) -> None:
    for caller in (client, browser, nobody):
        reply = await caller.get("/graphql?query={version{commitHash}}")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


async def test_the_explorer_is_for_signed_in_people_and_runs_only_its_own_script(
    browser: AsgiClient, nobody: AsgiClient
) -> None:
    page = await browser.get("/graphql", accept="text/html")
    assert page.status == 200
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=|https?:", page.text), "self-contained"
    assert (await nobody.get("/graphql", accept="text/html")).status == 401
    literal = AsgiClient(browser.app, "127.0.0.1:8787", browser.headers)
    assert (await literal.get("/graphql", accept="text/html")).status == 401


async def test_the_npm_sdks_multipart_is_read(ada: Context, nobody: AsgiClient, client: AsgiClient) -> None:
    token = (await projects.create_token(ada, "sdk")).text
    operations = {"query": FLEEK_LOGIN, "variables": {"v1": {"personalAccessToken": token}}}
    body, kind = form({"operations": json.dumps(operations), "map": "{}"})
    reply = await nobody.post("/graphql", body, content_type=kind)
    short = nobody.as_token(reply.json()["data"]["loginWithPersonalAccessToken"])
    fields = "id,name,avatar,backupStorageOnArweave,backupStorageOnFilecoin,createdAt"
    document = f"query GetProjects{{projects{{data{{{fields}}}}}}}"
    body, kind = form({"operations": json.dumps({"query": document, "variables": {}}), "map": "{}"})
    (project,) = (await short.post("/graphql", body, content_type=kind)).json()["data"]["projects"]["data"]
    assert project["name"] == "Mine"
    assert project["createdAt"] == "2026-01-01T12:00:00.000Z"


@pytest.mark.parametrize("fields", [{}, {"map": "{}"}, {"operations": "{"}, dict.fromkeys("abcdefgh", "x")])
async def test_other_forms_are_refused(client: AsgiClient, fields: dict[str, str]) -> None:
    body, kind = form(fields)
    found = (await client.post("/graphql", body, content_type=kind)).json()
    assert found["errors"][0]["extensions"]["code"] == "MALFORMED_REQUEST"


async def test_a_session_needs_json_and_its_own_origin(browser: AsgiClient) -> None:
    assert (await browser.graphql("{ me { username } }")) == {"data": {"me": {"username": "ada"}}}
    body, kind = form({"operations": json.dumps({"query": VERSION}), "map": "{}"})
    for content_type in (kind, "text/plain", "application/x-www-form-urlencoded", ""):
        found = (await browser.post("/graphql", body, content_type=content_type)).json()
        assert found["errors"][0]["extensions"]["code"] == "MALFORMED_REQUEST"
    for origin in ("http://blog.localhost:8787", "http://evil.example", "null"):
        reply = await browser.post("/graphql", {"query": VERSION}, origin=origin)
        assert (reply.status, reply.json()["code"]) == (403, "cross_origin")


async def test_requests_are_counted_per_caller_and_refused_with_the_time_to_wait(
    nobody: AsgiClient, client: AsgiClient, clock: FixedClock
) -> None:
    for left in range(59, -1, -1):
        reply = await nobody.post("/graphql", {"query": VERSION})
        assert reply.status == 200
        assert reply.headers["ratelimit-limit"] == reply.headers["x-ratelimit-limit"] == "60"
        assert reply.headers["ratelimit-remaining"] == reply.headers["x-ratelimit-remaining"] == str(left)
    refused = await nobody.post("/graphql", {"query": VERSION})
    assert (refused.status, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["x-ratelimit-reset"] == "2026-01-01T12:01:00Z"
    other = AsgiClient(nobody.app, address="192.0.2.7")
    assert (await other.post("/graphql", {"query": VERSION})).status == 200
    assert (await client.post("/graphql", {"query": VERSION})).headers["ratelimit-limit"] == "1200"
    clock.advance(timedelta(seconds=1))
    assert (await nobody.post("/graphql", {"query": VERSION})).status == 200
    assert (await nobody.post("/graphql", {"query": VERSION})).status == 429


async def test_all_addresses_of_an_ipv6_network_are_one_caller(nobody: AsgiClient) -> None:
    async def left(address: str) -> int:
        reply = await AsgiClient(nobody.app, address=address).post("/graphql", {"query": VERSION})
        return int(reply.headers["ratelimit-remaining"])

    neighbours = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:a:b:c:d"]
    assert [await left(address) for address in neighbours] == [59, 58, 57]
    assert await left("2001:db8:1:3::1") == 59
    assert [await left(address) for address in ("::ffff:192.0.2.7", "::ffff:192.0.2.8", "192.0.2.7")] == [59, 59, 58]


async def test_any_operation_is_answered_as_an_event_stream_when_asked(client: AsgiClient) -> None:
    reply = await client.post("/graphql", {"query": "{ me { username } }"}, accept="text/event-stream")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text == 'event: next\ndata: {"data":{"me":{"username":"ada"}}}\n\nevent: complete\ndata:\n\n'
    refused = await client.post("/graphql", {"query": "{ nope }"}, accept="text/event-stream")
    assert '"GRAPHQL_VALIDATION_FAILED"' in refused.text
    assert refused.text.endswith("event: complete\ndata:\n\n")


async def test_a_subscription_needs_a_stream(client: AsgiClient) -> None:
    found = await client.graphql('subscription { deploymentStatus(deploymentId: "dep_x") { status } }')
    assert found["errors"][0]["extensions"]["code"] == "STREAM_NEEDED"


async def test_a_revoked_token_ends_its_streams(ada: Context, nobody: AsgiClient) -> None:
    (project,) = await projects.list_projects(ada)
    site = await sites.create(ada, "blog", project_id=project.id)

    async def fill(upload: object) -> None:
        upload.write(b"x")  # type: ignore[attr-defined]

    pending = await sites.submit_archive(ada, site.id, fill)  # no worker runs, so it stays pending
    made = await projects.create_token(ada, "watcher")
    query = f'subscription {{ deploymentStatus(deploymentId: "{pending.id}") {{ status }} }}'
    headers = {"accept": "text/event-stream"}
    async with nobody.as_token(made.text).stream("POST", "/graphql", body={"query": query}, headers=headers) as stream:
        await stream.until('"PENDING"')
        await auth.revoke_token(ada, made.token.id)
        await sites.cancel(ada, pending.id)  # an event that the token must not see any more
        text = await stream.end()
    assert "CANCELED" not in text
    assert '"kind":"unauthenticated"' in text
