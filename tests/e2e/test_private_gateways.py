"""Private gateways: private content for those who show a token of the project, and for nobody else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from af.protocols.ipfs import cid as cids
from tests.e2e.hostile import af, car_of, dag, graphql, host_of, new_token
from tests.e2e.platform import Reply, Running, running

SECRET = os.urandom(16).hex().encode()
FILES = {"index.html": b"<script>1</script>" + SECRET, "a/b.txt": SECRET * 1000, "a/c.json": b"{}"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("gateways")) as started:
        yield started


@pytest.fixture(scope="module")
def root(platform: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that only the project sees."""
    made, blocks = dag(FILES)
    file = tmp_path_factory.mktemp("car") / "private.car"
    file.write_bytes(car_of(made, blocks.items()))
    assert ok(platform, "storage", "import", file, "--private")["complete"] is True
    return cids.to_text(made)


@pytest.fixture(scope="module")
def host(platform: Running) -> str:
    return host_of(ok(platform, "gateways", "create", "Mein Café")["url"])


@pytest.fixture(scope="module")
def token(platform: Running) -> str:
    """Of the project, and good for reading content only."""
    return new_token(platform, "reader", "--scope", "storage:read", "--project", "default")


def ok(platform: Running, *arguments: str | Path) -> Any:
    done = af(platform, *arguments, "--json")
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)


@pytest.fixture(scope="module")
def editor(platform: Running) -> str:
    """Of the project, and good for all."""
    return new_token(platform, "editor", "--project", "default")


def asked(platform: Running, editor: str, query: str, **variables: Any) -> Any:
    """The data of an operation in the project."""
    found = graphql(platform, query, token=editor, **variables)
    assert "errors" not in found, found
    return found["data"]


def get(platform: Running, host: str, path: str, token: str = "", **headers: str) -> Reply:
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return platform.request(path, host=host, headers=sent | headers)


def test_private_content_is_for_those_who_show_a_token(platform: Running, root: str, host: str, token: str) -> None:
    assert host.startswith("mein-cafe-")
    assert host.endswith(".gateway.localhost")
    path = f"/ipfs/{root}/a/b.txt"
    shown = get(platform, host, path, token)
    assert (shown.status, shown.body) == (200, FILES["a/b.txt"])
    assert get(platform, host, f"{path}?token={token}").body == FILES["a/b.txt"]
    for refused in (get(platform, host, path), get(platform, host, f"{path}?token=")):
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    assert get(platform, host, f"{path}?token=af_live_nonsense").status == 401
    for elsewhere in ("localhost", "gateway.localhost", f"{root}.ipfs.localhost", "127.0.0.1"):
        assert SECRET not in get(platform, elsewhere, path, token).body


def test_what_is_shown_is_marked_private_and_runs_nothing(platform: Running, root: str, host: str, token: str) -> None:
    page = get(platform, host, f"/ipfs/{root}/?token={token}")
    assert page.body == FILES["index.html"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "private, no-cache"
    assert page.headers["content-security-policy"] == "sandbox"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    again = get(platform, host, f"/ipfs/{root}/", token, **{"If-None-Match": page.headers["etag"]})
    assert again.status == 304


def test_it_speaks_as_gateways_do(platform: Running, root: str, host: str, token: str) -> None:
    part = get(platform, host, f"/ipfs/{root}/a/b.txt", token, Range="bytes=10-19")
    assert (part.status, part.body) == (206, FILES["a/b.txt"][10:20])
    raw = get(platform, host, f"/ipfs/{root}?format=raw", token)
    assert cids.verify(cids.parse(root), raw.body)
    car = get(platform, host, f"/ipfs/{root}?format=car&token={token}")
    assert (car.status, car.headers["content-type"].split(";")[0]) == (200, "application/vnd.ipld.car")
    moved = get(platform, host, f"/ipfs/{root}/a?token={token}")
    assert token not in str(moved.headers) + moved.body.decode("latin-1")
    listing = get(platform, host, f"/ipfs/{root}/a/?token={token}")
    assert b"b.txt" in listing.body
    assert token.encode() not in listing.body
    assert get(platform, host, f"/ipfs/{root}/absent", token).status == 404
    assert platform.request(f"/ipfs/{root}", host=host, method="POST", headers={"Authorization": token}).status == 405
    preflight = platform.request(f"/ipfs/{root}", host=host, method="OPTIONS")
    assert preflight.status == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


def test_others_see_no_difference_between_hidden_and_absent(platform: Running, root: str, host: str) -> None:
    ok(platform, "projects", "create", "other")
    foreign = new_token(platform, "foreign", "--project", "other")
    replies = [get(platform, each, f"/ipfs/{root}/a/b.txt", foreign) for each in (host, "absent.gateway.localhost")]
    assert [reply.status for reply in replies] == [404, 404]
    texts = [{k: v for k, v in reply.json().items() if k != "requestId"} for reply in replies]
    assert texts[0] == texts[1]
    writer = new_token(platform, "writer", "--scope", "sites:write", "--project", "default")
    assert get(platform, host, f"/ipfs/{root}/a/b.txt", writer).status == 403


def test_a_cache_never_opens_the_door_of_another_project(platform: Running, root: str, host: str, token: str) -> None:
    assert get(platform, host, f"/ipfs/{root}/a/b.txt", token).status == 200  # now decoded and kept
    ok(platform, "projects", "create", "beside")
    made = af(platform, "gateways", "create", "beside", "--json", AF_PROJECT_ID="beside").json
    theirs = new_token(platform, "beside", "--project", "beside")
    assert get(platform, host_of(made["url"]), f"/ipfs/{root}/a/b.txt", theirs).status == 404


def test_gateways_and_zones_in_the_shapes_of_the_original_sdk(platform: Running, editor: str) -> None:
    zone = asked(platform, editor, "mutation{createZoneForPrivateGateway{id status type}}")[
        "createZoneForPrivateGateway"
    ]
    assert (zone["status"], zone["type"]) == ("ACTIVE", "PRIVATE_GATEWAY")
    made = asked(
        platform,
        editor,
        'mutation($z:ID!){createPrivateGateway(where:{zoneId:$z},data:{name:"x"}){id slug zone{id} project{slug}}}',
        z=zone["id"],
    )["createPrivateGateway"]
    assert (made["zone"]["id"], made["project"]["slug"]) == (zone["id"], "default")
    again = 'mutation($z:ID!){createPrivateGateway(where:{zoneId:$z},data:{name:"y"}){id}}'
    assert graphql(platform, again, token=editor, z=zone["id"])["errors"][0]["extensions"]["code"] == "ZONE_IN_USE"
    in_use = graphql(platform, "mutation($z:ID!){deleteZone(where:{id:$z}){id}}", token=editor, z=zone["id"])
    assert in_use["errors"][0]["extensions"]["code"] == "ZONE_IN_USE"
    by_slug = "query($s:String!){privateGatewayBySlug(where:{slug:$s}){id}}"
    assert asked(platform, editor, by_slug, s=made["slug"])["privateGatewayBySlug"]["id"] == made["id"]
    both = graphql(platform, "query($i:ID!){privateGateway(id:$i,where:{id:$i}){id}}", token=editor, i=made["id"])
    assert both["errors"][0]["extensions"]["kind"] == "invalid_input"
    renamed = 'mutation($i:ID!){updatePrivateGateway(where:{id:$i},data:{name:"z"}){name slug}}'
    assert asked(platform, editor, renamed, i=made["id"])["updatePrivateGateway"] == {"name": "z", "slug": made["slug"]}
    asked(platform, editor, "mutation($i:ID!){deletePrivateGateway(where:{id:$i}){id}}", i=made["id"])
    asked(platform, editor, "mutation($z:ID!){deleteZone(where:{id:$z}){id}}", z=zone["id"])
    refused = graphql(platform, 'mutation{createZoneForSite(where:{siteId:"sit_x"}){id}}', token=editor)
    assert refused["errors"][0]["extensions"]["code"] == "ZONES_OF_SITES_ABSENT"


def test_the_command_line_makes_and_closes_them(platform: Running, root: str, token: str, editor: str) -> None:
    made = ok(platform, "gateways", "create", "short")
    at = host_of(made["url"])
    assert get(platform, at, f"/ipfs/{root}/a/c.json", token).status == 200
    assert ok(platform, "gateways", "rename", "short", "long")["url"] == made["url"]
    assert ok(platform, "gateways", "get", made["slug"])["name"] == "long"
    assert af(platform, "gateways", "delete", "long", "--json").code == 2
    ok(platform, "gateways", "delete", "long", "--yes")
    assert get(platform, at, f"/ipfs/{root}/a/c.json", token).status == 404
    assert made["id"] not in [each["id"] for each in ok(platform, "gateways", "list")["data"]]
    zones = asked(platform, editor, "{zones{data{id}}}")["zones"]["data"]
    assert made["zone"]["id"] not in [each["id"] for each in zones]
    for name in ("", "   ", "…", "x" * 101):
        assert af(platform, "gateways", "create", name, "--json").code == 2
