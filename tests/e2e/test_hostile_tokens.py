"""Forged and borrowed credentials, and other people's ids on every route about accounts, sessions and teams."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.e2e.hostile import new_token
from tests.e2e.intruder import FORM, SESSION, Client, letter, sign_in, tokens
from tests.e2e.platform import Running, running

MANY: dict[str, Any] = {"AF_RATE_PER_MINUTE_ANONYMOUS": "1000000", "AF_RATE_PER_MINUTE": "1000000"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("tokens"), **MANY) as started:
        yield started


@pytest.fixture(scope="module")
def pair(platform: Running) -> tuple[str, str]:
    return tokens(platform, "jwt@example.org", "127.1.0.1")


def b64(data: bytes | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    return json.loads(head), json.loads(claims)


# --- signed tokens ---------------------------------------------------------------------------------------------------


def forgeries(token: str, jwks: dict[str, Any]) -> dict[str, str]:
    """Everything that is not what we signed."""
    header, claims = parts_of(token)
    (public,) = jwks["keys"]
    pem = ECKey.import_key(public).as_pem(private=False)
    head, body, signature = token.split(".")
    made = {"cut": f"{head}.{body}.", "without": f"{head}.{body}", "five": f"{head}.{body}.{signature}.x.y"}
    for alg in ("none", "None", "nOnE", ""):
        made[f"alg {alg!r}"] = f"{b64({**header, 'alg': alg})}.{body}."
        made[f"alg {alg!r} signed"] = f"{b64({**header, 'alg': alg})}.{body}.{signature}"
    for name, secret in (
        ("pem", pem), ("jwk", json.dumps(public).encode()), ("kid", header["kid"].encode()), ("empty", b""),
        ("x", base64.urlsafe_b64decode(public["x"] + "==")),
    ):  # fmt: skip
        start = f"{b64({**header, 'alg': 'HS256'})}.{body}"
        made[f"HS256 with the public key ({name})"] = (
            f"{start}.{b64(hmac.new(secret, start.encode(), hashlib.sha256).digest())}"
        )
    own = ECKey.generate_key("P-256", auto_kid=True)
    for name, extra in (
        ("our kid", {}),
        ("own kid", {"kid": own.kid}),
        ("no kid", {"kid": None}),
        ("its key beside it", {"jwk": own.as_dict(private=False)}),
        ("an address of its key", {"jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/x"}),
        ("a path for kid", {"kid": "../../../../dev/null"}),
        ("SQL for kid", {"kid": "' OR 1=1 --"}),
        ("a list for kid", {"kid": [header["kid"]]}),
        ("critical", {"crit": ["b64"], "b64": False}),
    ):
        made[f"own key, {name}"] = jwt.encode({**header, **extra}, claims, own, algorithms=["ES256"]) if name not in (
            "no kid", "a list for kid", "critical",
        ) else f"{b64({**header, **extra})}.{body}.{signature}"  # fmt: skip
    for claim, value in (
        ("aud", "elsewhere"), ("iss", "http://evil.example"), ("exp", 9_999_999_999), ("userId", "usr_x"),
        ("sub", "usr_x"), ("sessionId", "ses_x"), ("type", "sdk-access"),
    ):  # fmt: skip
        made[f"changed {claim}"] = f"{head}.{b64({**claims, claim: value})}.{signature}"
    made["zero signature"] = f"{head}.{body}.{b64(bytes(64))}"  # CVE-2022-21449
    order = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    made["order as signature"] = f"{head}.{body}.{b64(order * 2)}"
    made["nested"] = f"{b64({**header, 'cty': 'JWT'})}.{b64(token.encode())}.{signature}"
    made["deep header"] = f"{b64(b'[' * 2500)}.{body}.{signature}"
    deep = json.dumps(header).encode()[:-1] + b', "a":' + b"[" * 1400 + b"]" * 1400 + b"}"
    made["deep unknown field"] = f"{b64(deep)}.{body}.{signature}"
    made["JSON form"] = json.dumps({"protected": head, "payload": body, "signature": signature})
    made["huge"] = f"{head}.{'A' * 60_000}.{signature}"
    made["not base64"] = f"{head}!.{body}.{signature}"
    made["padding"] = f"{head}.{body}.{signature}=="
    return made


def test_no_forged_token_is_somebody(platform: Running, pair: tuple[str, str]) -> None:
    own = Client(platform.port, token=pair[0])
    assert own.get("/auth/me").status == 200
    jwks = Client(platform.port).get("/.well-known/jwks.json").json()
    assert not {"d", "k", "p", "q"} & set(jwks["keys"][0])
    taken = []
    for name, forged in forgeries(pair[0], jwks).items():
        answer = Client(platform.port, token=forged).get("/auth/me")
        if answer.status not in (400, 401, 431):
            taken.append((name, answer.status))
        validated = own.post("/tokens/validate", {"token": forged[:3000]})
        assert validated.status in (400, 401, 413), (name, validated)
    assert not taken


def test_a_credential_is_worth_nothing_in_the_place_of_another(platform: Running, pair: tuple[str, str]) -> None:
    access, refresh = pair
    browser = sign_in(platform, "jwt@example.org", "127.1.0.2", cookie=True)
    cookie = browser.cookies[SESSION]
    assert browser.get("/auth/me").status == Client(platform.port, token=access).get("/auth/me").status == 200
    for text in (refresh, cookie):  # both are remembered now, for what they are
        assert Client(platform.port, token=text).get("/auth/me").status == 401
    for text in (access, refresh):
        assert Client(platform.port, cookies={SESSION: text}).get("/auth/me").status == 401
    for text in (access, cookie, "af_ref_" + "0" * 38, "", "x" * 3000):
        answer = Client(platform.port, "127.1.0.3").post("/auth/refresh", {"refreshToken": text})
        assert answer.status == 401, text
    for text in (access, refresh, cookie):
        assert Client(platform.port).post("/tokens/validate", {"token": text}).json() == {
            "valid": False,
            "error": "Invalid token",
        }


def test_a_pipelines_token_of_nobody_is_refused_alike(platform: Running) -> None:
    kinds = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }
    deep = b'{"iss":' + b"[" * 5000 + b"]" * 5000 + b"}"
    for number, claims in enumerate(
        (
            deep,
            b"[]",
            b"null",
            b'{"iss":1}',
            b'{"iss":"http://169.254.169.254/"}',
            b'{"iss":"file:///etc/passwd"}',
            b"\xff",
        )
    ):
        subject = f"{b64({'alg': 'RS256', 'kid': 'x'})}.{b64(claims)}.{b64(b'x' * 64)}"
        form = "&".join(f"{name}={value}" for name, value in {**kinds, "subject_token": subject}.items())
        answer = Client(platform.port, f"127.1.1.{number + 1}").ask("POST", "/auth/token", form.encode(), kind=FORM)
        assert answer.status in (400, 401, 413), (claims[:30], answer)


# --- refresh tokens --------------------------------------------------------------------------------------------------


def test_a_stolen_refresh_token_ends_the_session_when_its_time_of_grace_is_over(platform: Running) -> None:
    access, first = tokens(platform, "family@example.org", "127.1.0.4")
    client = Client(platform.port, "127.1.0.5")
    second = client.post("/auth/refresh", {"refreshToken": first}).json()
    assert client.post("/auth/refresh", {"refreshToken": first}).json()["refreshToken"] == second["refreshToken"]
    third = client.post("/auth/refresh", {"refreshToken": second["refreshToken"]}).json()
    deadline = time.monotonic() + 25
    while client.post("/auth/refresh", {"refreshToken": first}).status == 200:
        assert time.monotonic() < deadline, "the first token still works"
        time.sleep(0.5)
    for text in (first, second["refreshToken"], third["refreshToken"]):
        assert client.post("/auth/refresh", {"refreshToken": text}).status == 401
    assert Client(platform.port, token=access).get("/auth/me").status == 401
    assert "a refresh token came twice" in platform.process.output()
    assert "session" in letter(platform, "family@example.org", 2).text.lower()


def test_signing_out_ends_the_access_token_too(platform: Running) -> None:
    access, refresh = tokens(platform, "out@example.org", "127.1.0.6")
    client = Client(platform.port, token=access)
    assert client.get("/auth/me").status == 200
    assert client.post("/auth/logout", {"refreshToken": refresh}).status == 200
    assert client.get("/auth/me").status == 401
    assert Client(platform.port).post("/auth/refresh", {"refreshToken": refresh}).status == 401


# --- access tokens on routes for people ------------------------------------------------------------------------------

FOR_PEOPLE: list[tuple[str, str, Any]] = [
    ("GET", "/account", None), ("PATCH", "/account", {"displayName": "x"}), ("GET", "/account/export", None),
    ("POST", "/account/restore", {}), ("GET", "/account/methods", None),
    ("POST", "/account/methods/link", {"method": "email", "email": "evil@example.org"}),
    ("POST", "/account/methods/link/verify", {"method": "email", "code": "000000"}),
    ("GET", "/account/sessions", None), ("DELETE", "/account/sessions", None), ("GET", "/account/totp", None),
    ("POST", "/account/totp", {}), ("POST", "/account/totp/confirm", {"code": "000000"}),
    ("DELETE", "/account/totp", {"code": "000000"}), ("POST", "/account/recovery-codes", {}),
    ("POST", "/auth/cli/approve", {"verificationSessionId": "x" * 32, "userCode": "BCDFGHJK"}),
    ("POST", "/auth/cli/deny", {"verificationSessionId": "x" * 32}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), FOR_PEOPLE, ids=lambda value: str(value)[:40])
def test_no_access_token_changes_an_account(platform: Running, method: str, path: str, body: Any) -> None:
    """Not even an unlimited one, which may make and delete everything else."""
    client = Client(platform.port, "127.1.2.1", token=platform.profile()["token"])
    answer = client.ask(method, path, None if body is None else json.dumps(body).encode())
    assert answer.status in (401, 403), answer
    assert b"evil@example.org" not in answer.body


def test_a_limited_token_makes_no_session(platform: Running) -> None:
    weak = new_token(platform, "no session", "--scope", "tokens:write", "--scope", "projects:write")
    assert "errors" in Client(platform.port, token=weak).graphql("mutation{createLoginLink{url}}")


def test_an_access_token_is_no_proof_of_who_somebody_is(platform: Running) -> None:
    """Whoever stole an unlimited token makes a login link of it, and would be taken for somebody who just signed in:
    they could add a way in of their own, remove the others, and stay when the token is revoked."""
    thief = Client(platform.port, "127.1.2.3", token=platform.profile()["token"])
    url = thief.graphql("mutation{createLoginLink{url}}")["data"]["createLoginLink"]["url"]
    browser = Client(platform.port, "127.1.2.3")
    form = f"token={url.partition('token=')[2]}".encode()
    assert browser.ask("POST", "/auth/link", form, kind=FORM).status == 303
    assert browser.get("/auth/me").status == 200
    answer = browser.post("/account/methods/link", {"method": "email", "email": "thief@example.org"})
    assert answer.code == "reauthentication_required", answer


# --- other people's ids ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(platform: Running) -> tuple[Client, Client, dict[str, str]]:
    """Mia, who has one of everything; Eve, who has nothing to do with her; and the ids of Mia's things."""
    mia, eve = sign_in(platform, "mia@example.org", "127.1.3.1"), sign_in(platform, "eve@example.org", "127.1.3.2")
    team = mia.post("/organizations", {"name": "Mia's team"}).json()["organization"]
    invited = mia.post(f"/organizations/{team['id']}/invitations", {"email": "guest@example.org", "role": "ADMIN"})
    assert invited.status == 201, invited
    project = mia.graphql(
        'mutation($o:ID){createProject(data:{name:"secret plans",organizationId:$o}){id}}', o=team["id"]
    )
    if "errors" in project:
        project = mia.graphql('mutation{createProject(data:{name:"secret plans"}){id}}')
    found = {
        "session": mia.get("/account/sessions").json()["sessions"][0]["id"],
        "method": mia.get("/account/methods").json()["methods"][0]["id"],
        "token": mia.post("/tokens", {"name": "of mia"}).json()["token"]["id"],
        "user": mia.get("/auth/me").json()["user"]["id"],
        "organization": team["id"],
        "slug": team["slug"],
        "invitation": invited.json()["invitation"]["id"],
        "project": project["data"]["createProject"]["id"],
    }
    return mia, eve, found


FOREIGN: list[tuple[str, str, Any]] = [
    ("DELETE", "/account/sessions/{session}", None), ("DELETE", "/account/methods/{method}", None),
    ("POST", "/account/methods/{method}/set-primary", {}), ("DELETE", "/tokens/{token}", None),
    ("GET", "/organizations/{organization}", None), ("GET", "/organizations/{slug}", None),
    ("PATCH", "/organizations/{organization}", {"name": "mine"}), ("DELETE", "/organizations/{organization}", None),
    ("GET", "/organizations/{organization}/members", None),
    ("PATCH", "/organizations/{organization}/members/{user}", {"role": "VIEWER"}),
    ("DELETE", "/organizations/{organization}/members/{user}", None),
    ("PUT", "/organizations/{organization}/members/{user}/access", {"accessAllProjects": True}),
    ("POST", "/organizations/{organization}/leave", {}),
    ("POST", "/organizations/{organization}/transfer", {"userId": "{user}"}),
    ("GET", "/organizations/{organization}/invitations", None),
    ("POST", "/organizations/{organization}/invitations", {"email": "eve@example.org", "role": "OWNER"}),
    ("DELETE", "/organizations/invitations/{invitation}", None),
    ("POST", "/organizations/invitations/{invitation}/resend", {}),
    ("GET", "/organizations/invitations/{invitation}", None),
    ("POST", "/organizations/invitations/{invitation}/accept", {}),
    ("GET", "/v1/organizations/{organization}/audit", None), ("GET", "/v1/projects/{project}/audit", None),
    ("GET", "/v1/projects/{project}/events?after=0", None),
    ("POST", "/v1/projects/{project}/content/missing", {"cids": []}),
]  # fmt: skip


def _like(value: str) -> str:
    """An id of the same form that nobody has."""
    start, bar, rest = value.partition("_")
    return f"{start}_{rest[:-4]}aaaa" if bar else value[:-1] + "qq"


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN, ids=lambda value: str(value)[:60])
def test_a_foreign_id_is_as_unknown_as_none(
    platform: Running, world: tuple[Client, Client, dict[str, str]], method: str, path: str, body: Any
) -> None:
    _, eve, found = world
    answers = []
    for ids in (found, {name: _like(value) for name, value in found.items()}):
        sent = None if body is None else json.dumps(body).replace("{user}", ids["user"]).encode()
        answer = eve.ask(method, path.format(**ids), sent)
        said = answer.body.decode()
        for value in ids.values():
            said = said.replace(value, "ID")
        document = json.loads(said)
        document.pop("requestId", None)
        answers.append((answer.status, document))
    assert answers[0] == answers[1]
    assert answers[0][0] in (404, 410), answers


def test_what_is_foreign_is_still_there(platform: Running, world: tuple[Client, Client, dict[str, str]]) -> None:
    mia, _, found = world
    assert mia.get(f"/organizations/{found['organization']}").json()["organization"]["name"] == "Mia's team"
    assert [each["id"] for each in mia.get("/account/methods").json()["methods"]] == [found["method"]]
    assert found["token"] in mia.get("/tokens").body.decode()
    assert found["session"] in mia.get("/account/sessions").body.decode()


def test_two_who_delete_everything_at_once_meet_no_error(platform: Running) -> None:
    client = sign_in(platform, "busy@example.org", "127.1.0.8")
    others = [sign_in(platform, "busy@example.org", "127.1.0.9") for _ in range(3)]
    listed = [each["id"] for each in client.get("/account/sessions").json()["sessions"] if not each["current"]]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda sid: client.delete(f"/account/sessions/{sid}").status, listed * 3))
    assert sorted(statuses) == [200] * len(listed) + [404] * 2 * len(listed)
    assert [other.get("/auth/me").status for other in others] == [401] * 3
