"""The ways of `af login` against a platform that answers as a test tells it to; the real one is in tests/e2e."""

from __future__ import annotations

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from af.cli import browser, config, frame
from af.cli.output import Steps
from af.cli.root import cli
from alternatefutures.errors import NotSignedIn, UnexpectedReply
from alternatefutures.signin import SignIn, pipeline_identity
from tests.support.answering import Answer, Asked, Handler, Server, json_reply, reply, running

TOKENS = {"success": True, "accessToken": "access-1", "refreshToken": "refresh-1", "expiresIn": 900}
DEVICE = {
    "success": True,
    "verificationSessionId": "the-id",
    "pollSecret": "the-secret",
    "verificationUrl": "http://localhost:1/login/the-id",
    "userCode": "BCDF-GHJK",
    "expiresIn": 600,
    "interval": 1,
}
PROJECT = {"id": "prj_1", "name": "Default", "slug": "default", "createdAt": "2026-01-01T00:00:00Z"}
GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AF_ID_TOKEN")


def refusal(status: int, code: str, **more: str) -> Answer:
    kind = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 429: "rate_limited"}[status]
    document = {"title": kind, "status": status, "detail": "No.", "code": code, "reference": "AF2015", **more}
    return reply(status, json.dumps(document).encode(), "application/problem+json")


class Platform:
    """Answers by path; what was posted to each is kept."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.posted: dict[str, list[bytes]] = {}

    def __call__(self, handler: Handler, asked: Asked) -> None:
        path = asked.path.partition("?")[0]
        self.posted.setdefault(path, []).append(asked.body)
        if path == "/graphql":
            self._graphql(asked)(handler, asked)
            return
        answers = self.answers[path]
        (answers.pop(0) if len(answers) > 1 else answers[0])(handler, asked)

    def _graphql(self, asked: Asked) -> Answer:
        assert asked.headers["Authorization"] in ("Bearer access-1", "Bearer short-lived")
        if "projects" in json.loads(asked.body)["query"]:
            page = {"data": [PROJECT], "pageInfo": {"endCursor": None, "hasNextPage": False}}
            return json_reply({"data": {"projects": page}})
        return json_reply({"data": {"me": {"id": "usr_1", "email": "ada@example.org", "username": "ada"}}})

    def sent(self, path: str) -> list[Any]:
        return [json.loads(body) for body in self.posted.get(path, [])]


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def server(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("AF_TOKEN", "AF_PROJECT_ID", "AF_PROFILE", "FLEEK_TOKEN", "FLEEK_PROJECT_ID", *GITHUB):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    with running() as made:
        made.answers = [platform]
        monkeypatch.setenv("AF_API_URL", made.url)
        yield made


Af = Callable[..., tuple[int, Any]]


@pytest.fixture
def af(server: Server, capsys: pytest.CaptureFixture[str]) -> Af:
    """`af … --json`: the exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, Any]:
        code = frame.run(cli, [*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def wait(server: Server, platform: Platform) -> Any:
    sign_in = SignIn(server.url)
    return browser.sign_in(sign_in, open_browser=False, steps=Steps(quiet=True))


# --- by a browser ---------------------------------------------------------------------------------------------------


def test_it_asks_until_somebody_answers_and_slows_down_when_told(server: Server, platform: Platform) -> None:
    pending = reply(202, b'{"status": "pending"}')
    platform.answers = {
        "/auth/cli/start": [json_reply(DEVICE)],
        "/auth/cli/poll": [pending, json_reply(TOKENS)],
    }
    tokens = wait(server, platform)
    assert (tokens.access, tokens.refresh) == ("access-1", "refresh-1")
    assert platform.sent("/auth/cli/poll") == [{"verificationSessionId": "the-id", "pollSecret": "the-secret"}] * 2


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [(403, "device_denied", "refused"), (404, "device_request_over", "in time"), (401, "device_proof_wrong", "No")],
)
def test_a_refusal_ends_it(server: Server, platform: Platform, status: int, code: str, said: str) -> None:
    platform.answers = {"/auth/cli/start": [json_reply(DEVICE)], "/auth/cli/poll": [refusal(status, code)]}
    with pytest.raises(Exception, match=said) as caught:
        wait(server, platform)
    assert getattr(caught.value, "exit_code", None) == 4


def test_time_that_is_over_ends_it(server: Server, platform: Platform) -> None:
    platform.answers = {
        "/auth/cli/start": [json_reply({**DEVICE, "expiresIn": 0.5})],
        "/auth/cli/poll": [reply(202, b'{"status": "pending"}')],
    }
    with pytest.raises(NotSignedIn, match="in time"):
        wait(server, platform)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "", "x"])
def test_only_a_web_page_is_opened(server: Server, platform: Platform, url: str) -> None:
    platform.answers = {"/auth/cli/start": [json_reply({**DEVICE, "verificationUrl": url})]}
    with pytest.raises(UnexpectedReply):
        wait(server, platform)


def test_the_loopback_address_takes_its_own_answer_only() -> None:
    with browser._listening() as listener:
        base, _, _ = listener.redirect_uri.partition("?")
        for wrong in (base, f"{base}?state=x&code=y", f"{base}?code=y", listener.redirect_uri.replace("/done", "/x")):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(wrong, timeout=10)
        assert listener.brought.empty()
        with urllib.request.urlopen(f"{listener.redirect_uri}&code=the-code", timeout=10) as page:
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert page.headers["Cache-Control"] == "no-store"
        assert listener.brought.get(timeout=10).code == "the-code"
        assert listener.server_address[0] == "127.0.0.1"


def test_the_code_that_the_browser_brings_is_exchanged_with_the_verifier(
    server: Server, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BROWSER is `true`: it shows nothing; the test is the person."""
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SSH_TTY", raising=False)
    platform.answers = {
        "/auth/cli/start": [json_reply({**DEVICE, "interval": 60})],
        "/auth/cli/exchange": [json_reply(TOKENS)],
    }
    made: list[Any] = []
    sign_in = SignIn(server.url)
    caller = threading.Thread(
        target=lambda: made.append(browser.sign_in(sign_in, open_browser=True, steps=Steps(quiet=True)))
    )
    caller.start()
    begun = _first(platform, "/auth/cli/start")
    urllib.request.urlopen(f"{begun['redirectUri']}&code=the-code", timeout=10).close()
    caller.join(20)
    assert made[0].access == "access-1"
    (exchanged,) = platform.sent("/auth/cli/exchange")
    assert exchanged["code"] == "the-code"
    assert _s256(exchanged["codeVerifier"]) == begun["codeChallenge"]


def _first(platform: Platform, path: str) -> Any:
    from tests.support.processes import wait_until

    return wait_until(lambda: next(iter(platform.sent(path)), None), seconds=20, what=f"a call of {path}")


def _s256(verifier: str) -> str:
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


# --- by e-mail ------------------------------------------------------------------------------------------------------


def test_a_code_in_two_calls(af: Af, platform: Platform) -> None:
    platform.answers = {
        "/auth/email/request": [json_reply({"success": True, "flow": "the-flow", "expiresIn": 600})],
        "/auth/email/verify": [json_reply(TOKENS)],
    }
    assert af("login", "--email", "ada@example.org") == (0, {"sent": True, "email": "ada@example.org"})
    code, who = af("login", "--email", "ada@example.org", "--code", " 123 456")
    assert (code, who["user"]["username"], who["project"]) == (0, "ada", "default")
    assert platform.sent("/auth/email/verify") == [{"email": "ada@example.org", "code": "123456", "flow": "the-flow"}]
    stored = config.load_credentials()
    assert (stored.active, stored.profiles["default"]["refreshToken"]) == ("default", "refresh-1")
    assert not config.credentials_path().with_name("email-login.json").exists()


def test_the_code_of_one_address_is_not_used_for_another(af: Af, platform: Platform) -> None:
    platform.answers = {"/auth/email/request": [json_reply({"success": True, "flow": "f", "expiresIn": 600})]}
    af("login", "--email", "ada@example.org")
    assert af("login", "--email", "eve@example.org", "--code", "123456")[0] == 2


def test_a_code_from_stdin_in_one_call(af: Af, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.answers = {
        "/auth/email/request": [json_reply({"success": True, "flow": "the-flow", "expiresIn": 600})],
        "/auth/email/verify": [json_reply(TOKENS)],
    }
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    assert af("login", "--email", "ada@example.org", "--code", "-")[0] == 0


def test_a_second_factor_is_asked_for_or_given(af: Af, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.answers = {
        "/auth/email/request": [json_reply({"success": True, "flow": "first", "expiresIn": 600})],
        "/auth/email/verify": [refusal(401, "second_factor_required", flow="second")],
        "/auth/second-factor": [json_reply(TOKENS)],
    }
    af("login", "--email", "ada@example.org")
    code, said = af("login", "--email", "ada@example.org", "--code", "123456")
    assert (code, "--second-factor" in said["error"]["hint"]) == (4, True)
    assert af("login", "--email", "ada@example.org", "--code", "123456", "--second-factor", "654321")[0] == 0
    assert platform.sent("/auth/second-factor") == [{"code": "654321", "flow": "second"}]


# --- pipelines ------------------------------------------------------------------------------------------------------


def test_a_pipelines_identity_becomes_a_token(af: Af, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_ID_TOKEN", "an.id.token")
    monkeypatch.setenv("CI", "true")
    answer = {"access_token": "short-lived", "token_type": "Bearer", "expires_in": 900, "project_id": "prj_1"}
    platform.answers = {"/auth/token": [json_reply(answer)]}
    assert af("login", "--ci", "--print-token") == (0, {"token": "short-lived", "expiresIn": 900})
    assert not config.credentials_path().exists()
    assert af("login", "--ci")[0] == 0
    sent = parse_qs(platform.posted["/auth/token"][0].decode())
    assert sent["grant_type"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
    assert (sent["subject_token"], sent["subject_token_type"]) == (
        ["an.id.token"],
        ["urn:ietf:params:oauth:token-type:jwt"],
    )
    stored = config.load_credentials().profiles["default"]
    assert (stored["accessToken"], stored["refreshToken"], stored["projectId"]) == ("short-lived", "", "prj_1")


def test_githubs_identity_is_asked_for_with_the_audience(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [json_reply({"value": "an.id.token"})]
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{server.url}/token?v=1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer")
    assert pipeline_identity("https://af.example.org") == "an.id.token"
    (asked,) = server.requests
    assert asked.path == "/token?v=1&audience=https%3A%2F%2Faf.example.org"
    assert asked.headers["Authorization"] == "Bearer bearer"


def test_a_pipeline_without_identity_is_told_how_to_get_one(af: Af) -> None:
    code, said = af("login", "--ci")
    assert (code, "id-token: write" in said["error"]["hint"]) == (4, True)


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token", "x", "--ci"),
        ("--email", "a@b.c", "--token", "x"),
        ("--code", "123456"),
        ("--token", ""),
    ],
)
def test_what_cannot_be_meant_is_refused(af: Af, arguments: tuple[str, ...]) -> None:
    assert af("login", *arguments)[0] == 2


def test_a_platform_without_encryption_is_warned_of(af: Af, capsys: pytest.CaptureFixture[str]) -> None:
    frame.run(cli, ["login", "--url", "http://af.example.org"])
    assert "not encrypted" in capsys.readouterr().err
    frame.run(cli, ["login", "--url", "http://localhost:1"])
    assert "not encrypted" not in capsys.readouterr().err
