"""Tokens, sessions and login links in the wrong hands."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import graphql, new_token, post
from tests.e2e.platform import Reply, Running, running
from tests.support.processes import wait_until

ME = "{me{id}}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("identity")) as started:
        yield started


def code_of(answer: dict[str, object]) -> str:
    return str(answer["errors"][0]["extensions"]["code"]).upper()  # type: ignore[index]


def redeem(platform: Running, link: str, **headers: str) -> Reply:
    """The POST that the link's page sends."""
    body = urlencode({"token": link.partition("token=")[2]}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://localhost:{platform.port}"}
    return platform.request("/auth/link", method="POST", body=body, headers={**kind, **headers})


@pytest.fixture(scope="module")
def cookie(platform: Running) -> str:
    """A browser session of the owner."""
    reply = redeem(platform, platform.ready["loginUrl"])
    assert reply.status == 303, reply.body
    given = reply.headers["set-cookie"]
    assert given.startswith("__Host-af_session=")
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= {part.strip().lower() for part in given.split(";")}
    assert "domain" not in given.lower()
    return given.partition(";")[0]


# --- login links -----------------------------------------------------------------------------------------------------


def test_a_link_survives_being_fetched_ahead_and_works_once(platform: Running, cookie: str) -> None:
    link = platform.ready["loginUrl"]
    path = link.partition(f":{platform.port}")[2]
    for method in ("GET", "HEAD"):
        assert "set-cookie" not in platform.request(path, method=method).headers
    again = redeem(platform, link)
    assert again.status >= 400
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://site.localhost:{port}",
        "https://localhost:{port}",
        "http://localhost",
        None,
    ],
)
def test_a_link_is_not_redeemed_from_another_page(platform: Running, origin: str | None) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if origin:
        headers["Origin"] = origin.format(port=platform.port)
    reply = platform.request("/auth/link", method="POST", body=b"token=x", headers=headers)
    assert reply.status == 403
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_signing_in_never_leads_elsewhere(platform: Running, target: str) -> None:
    query = urlencode({"token": "x", "next": target, "redirect": target, "return_to": target, "url": target})
    for host in ("localhost", "127.0.0.1"):
        reply = platform.request(f"/auth/link?{query}", host=host)
        assert "evil.example" not in reply.headers.get("location", "")
        assert b"evil.example" not in reply.body
        redeemed = redeem(platform, f"x?token=bad&{query}")
        assert "evil.example" not in redeemed.headers.get("location", "")


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=" + b"x" * 3_000, b"\xff\xfe", b"token=%00", b"a&" * 50, b"t" * 9_000]
)
def test_a_broken_form_is_no_way_in(platform: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://localhost:{platform.port}"}
    reply = platform.request("/auth/link", method="POST", body=body, headers=headers)
    assert 400 <= reply.status < 500
    assert "set-cookie" not in reply.headers


# --- sessions --------------------------------------------------------------------------------------------------------


def ask_with_cookie(platform: Running, cookie: str, **headers: str) -> Reply:
    body = json.dumps({"query": ME}).encode()
    return platform.request(
        "/graphql", method="POST", body=body, headers={"Cookie": cookie, "Content-Type": "application/json", **headers}
    )


def test_a_session_counts_only_on_the_platforms_own_pages(platform: Running, cookie: str) -> None:
    own = f"http://localhost:{platform.port}"
    assert ask_with_cookie(platform, cookie, Origin=own).json()["data"]["me"]["id"]
    for origin in ("http://evil.example", "null", f"http://site.localhost:{platform.port}", own + "1", ""):
        reply = ask_with_cookie(platform, cookie, Origin=origin)
        assert reply.status == 403, (origin, reply.body)
    body = json.dumps({"query": ME}).encode()
    for host in ("127.0.0.1", "evil.example", "api.localhost", "uploads.localhost"):
        headers = {"Cookie": cookie, "Content-Type": "application/json", "Origin": f"http://{host}:{platform.port}"}
        reply = platform.request("/graphql", host=host, method="POST", body=body, headers=headers)
        assert "data" not in reply.json() or not (reply.json()["data"] or {}).get("me"), host


def test_a_form_of_another_site_cannot_use_the_session(platform: Running, cookie: str) -> None:
    operations = b'--B\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"{me{id}}"}\r\n--B--\r\n'
    for kind, body in (
        ("multipart/form-data; boundary=B", operations),
        ("text/plain", b'{"query":"{me{id}}"}'),
        ("application/x-www-form-urlencoded", b"query={me{id}}"),
    ):
        headers = {"Cookie": cookie, "Content-Type": kind, "Origin": f"http://localhost:{platform.port}"}
        reply = platform.request("/graphql", method="POST", body=body, headers=headers)
        assert b'"id"' not in reply.body, kind
    reply = platform.request("/graphql?query={me{id}}", headers={"Cookie": cookie})
    assert b'"id"' not in reply.body


def test_a_site_never_sees_or_sets_the_platforms_cookie(
    platform: Running, cookie: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = hostile.write(tmp_path_factory.mktemp("c") / "plain", {"index.html": b"x"})
    host = hostile.host_of(hostile.deploy(platform, folder)["site"]["url"])
    for path in ("/", "/auth/link?token=x", "/auth/me", "/graphql", "/absent"):
        reply = platform.request(path, host=host, headers={"Cookie": cookie})
        assert "set-cookie" not in reply.headers
        assert b"username" not in reply.body


# --- tokens ----------------------------------------------------------------------------------------------------------

BAD_TOKENS = [
    "x",
    "af_live_",
    "af_live_" + "a" * 38,
    "Bearer",
    "é",
    "a" * 5_000,
    "eyJhbGciOiJub25lIn0.e30.",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("token", BAD_TOKENS, ids=range(len(BAD_TOKENS)))
def test_what_is_no_token_is_refused_alike(platform: Running, token: str) -> None:
    for header in (f"Bearer {token}", token, f"Basic {token}", f"bearer  {token}"):
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
        connection.putrequest("GET", "/auth/me", skip_host=True)
        connection.putheader("Host", f"localhost:{platform.port}")
        connection.putheader("Authorization", header.encode())
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status in (401, 431), (header, body)
        assert token.encode() not in body or len(token) < 8


def test_an_unsigned_or_foreign_jwt_is_refused(platform: Running) -> None:
    login = "mutation($t:String!){loginWithPersonalAccessToken(data:{personalAccessToken:$t})}"
    short = platform.graphql(login, t=platform.profile()["token"])
    jwt = next(iter(short.values()))
    assert graphql(platform, ME, token=jwt)["data"]["me"]
    head, payload, signature = jwt.split(".")
    for forged in (
        f"{head}.{payload}.",
        f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}x.{signature}",
    ):
        answer = graphql(platform, ME, token=forged)
        assert answer.get("status") == 401, (forged, answer)


def test_a_revoked_token_ends_within_seconds_and_an_expired_one_at_once(platform: Running) -> None:
    token = new_token(platform, "to revoke")
    assert "data" in graphql(platform, ME, token=token)
    listed = hostile.af(platform, "tokens", "list", "--json").json["data"]
    (found,) = [entry for entry in listed if entry["name"] == "to revoke"]
    assert hostile.af(platform, "tokens", "revoke", found["id"], "--yes").code == 0
    headers = {"Authorization": f"Bearer {token}"}
    wait_until(lambda: platform.request("/auth/me", headers=headers).status == 401, seconds=6, what="the token's end")
    expires = (datetime.now(UTC) + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
    made = platform.graphql('mutation($e:Date){createPersonalAccessToken(name:"short",expiresAt:$e){token}}', e=expires)
    brief = {"Authorization": f"Bearer {made['createPersonalAccessToken']['token']}"}
    assert platform.request("/auth/me", headers=brief).status == 200
    wait_until(lambda: platform.request("/auth/me", headers=brief).status == 401, seconds=3, what="the token's expiry")


def test_a_token_that_may_read_cannot_write(platform: Running) -> None:
    token = new_token(platform, "reader", "--scope", "sites:read")
    site = platform.graphql('mutation{createSite(data:{name:"guarded"}){id}}')["createSite"]["id"]
    assert graphql(platform, "{sites{data{id}}}", token=token)["data"]["sites"]
    for query in (
        'mutation{createSite(data:{name:"x"}){id}}',
        f'mutation{{deleteSite(where:{{id:"{site}"}}){{id}}}}',
        f'mutation{{updateSite(where:{{id:"{site}"}},data:{{name:"y"}}){{id}}}}',
        'mutation{createProject(data:{name:"x"}){id}}',
        'mutation{createPersonalAccessToken(name:"x"){token}}',
        "mutation{collectGarbage(dryRun:true){blocks}}",
        "{pins{data{cid}}}",
    ):
        answer = graphql(platform, query, token=token)
        assert code_of(answer) in ("FORBIDDEN", "SCOPE_MISSING", "TOKEN_POWER_EXCEEDED", "OPERATOR_ONLY"), (
            query,
            answer,
        )
    for path in ("/v1/projects/default/content/car", f"/v1/sites/{site}/archive", "/store"):
        assert post(platform, path, b"x", token=token).status == 403, path


def test_a_token_cannot_make_a_stronger_one(platform: Running) -> None:
    weak = new_token(platform, "weak", "--scope", "tokens:write", "--scope", "sites:read")
    make = 'mutation($s:[String!]){createPersonalAccessToken(name:"t",scopes:$s){token scopes}}'
    for scopes in (["all"], None, ["sites:write"], ["storage:read"], ["tokens:write", "sites:write"], []):
        answer = graphql(platform, make, token=weak, s=scopes)
        assert "errors" in answer, (scopes, answer)
    assert graphql(platform, make, token=weak, s=["sites:read"])["data"]["createPersonalAccessToken"]["token"]


def test_a_token_of_one_project_does_nothing_elsewhere(platform: Running) -> None:
    other = platform.graphql('mutation{createProject(data:{name:"Other"}){id slug}}')["createProject"]
    made = platform.graphql(
        'mutation($p:ID){createPersonalAccessToken(name:"other",projectId:$p){token}}', p=other["id"]
    )
    token = made["createPersonalAccessToken"]["token"]
    first = platform.graphql("{projects{data{id slug}}}")["projects"]["data"]
    own = next(project["id"] for project in first if project["slug"] == "default")
    made = platform.graphql('mutation($p:ID){createSite(data:{name:"theirs",projectId:$p}){id slug}}', p=own)
    site = made["createSite"]
    assert graphql(platform, "query($s:ID!){site(where:{id:$s}){id}}", token=token, s=site["id"])["errors"]
    headers = {"Authorization": f"Bearer {token}", "X-Project-Id": own}
    body = json.dumps({"query": "{sites{data{slug}}}"}).encode()
    reply = platform.request(
        "/graphql", method="POST", body=body, headers={**headers, "Content-Type": "application/json"}
    )
    assert "theirs" not in reply.body.decode()
    for path in ("/v1/projects/default/content/missing", f"/v1/sites/{site['slug']}/archive"):
        assert post(platform, path, b'{"cids":[]}', kind="application/json", token=token).status in (403, 404), path
    events = platform.request("/v1/projects/default/events?after=0", headers={"Authorization": f"Bearer {token}"})
    assert events.status in (403, 404)


def test_nothing_of_a_token_is_in_the_log_or_in_the_data(platform: Running, cookie: str) -> None:
    token = new_token(platform, "logged")
    platform.request(f"/auth/me?token={token}", headers={"Authorization": f"Bearer {token}"})
    secrets = (token, platform.profile()["token"], cookie.partition("=")[2])
    log = platform.process.output()
    assert '"request"' in log
    assert not [secret for secret in secrets if secret in log]
    assert not re.search(r"af_live_[0-9A-Za-z]{38}", log)
    data = (platform.config.parent / "data").rglob("*.sqlite*")
    for path in data:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path
