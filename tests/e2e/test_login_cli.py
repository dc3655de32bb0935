"""`af login` and what follows, against a running platform: by a browser, over loopback, parallel refreshes, leaving."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alternatefutures.signin import pkce
from tests.e2e.platform import AF, Reply, Running, running_on
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def platform(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One HTTP process on SQLite; two on PostgreSQL."""
    with running_on(database_kind, request, tmp_path_factory.mktemp(f"login-{database_kind}")) as started:
        yield started


@dataclass(frozen=True, slots=True)
class Person:
    """The owner's browser."""

    platform: Running
    cookie: str

    def post(self, path: str, body: dict[str, str]) -> Reply:
        headers = {
            "Cookie": f"__Host-af_session={self.cookie}",
            "Origin": f"http://localhost:{self.platform.port}",
            "Content-Type": "application/json",
        }
        return self.platform.request(path, method="POST", body=json.dumps(body).encode(), headers=headers)

    def decide(self, url: str, code: str, decision: str = "approve") -> Any:
        body = {"verificationSessionId": url.rsplit("/", 1)[1], "userCode": code}
        reply = self.post(f"/auth/cli/{decision}", body)
        assert reply.status == 200, reply.body
        return reply.json()


@pytest.fixture
def person(platform: Running) -> Person:
    link = platform.graphql("mutation { createLoginLink { url } }")["createLoginLink"]["url"]
    headers = {
        "Origin": f"http://localhost:{platform.port}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlsplit(link).query.encode()
    reply = platform.request("/auth/link", method="POST", body=body, headers=headers)
    cookie = re.search(r"__Host-af_session=([\w-]+)", reply.headers["set-cookie"])
    assert cookie
    return Person(platform, cookie[1])


@dataclass(slots=True)
class AtTerminal:
    """`af` at a terminal, as a person sees it."""

    popen: subprocess.Popen[bytes]
    terminal: int
    shown: str = ""

    def read(self) -> None:
        while True:
            try:
                part = os.read(self.terminal, 4096)
            except OSError:  # the other end is closed
                return
            if not part:
                return
            self.shown += part.decode(errors="replace")

    def until(self, pattern: str, seconds: float = 20) -> re.Match[str]:
        return wait_until(lambda: re.search(pattern, self.shown), seconds=seconds, what=f"{pattern} in {self.shown!r}")

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> int:
        return self.popen.wait(20)


@pytest.fixture
def environment(platform: Running, tmp_path: Path) -> dict[str, str]:
    """A user who is not signed in, outside CI, without a screen."""
    gone = ("CI", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION", "SSH_TTY")
    clean = {name: value for name, value in platform.environment.items() if name not in gone}
    return {**clean, "AF_CONFIG_DIR": str(tmp_path / "mine"), "AF_API_URL": platform.ready["url"]}


@pytest.fixture
def at_terminal(environment: dict[str, str]) -> Iterator[Any]:
    opened: list[AtTerminal] = []

    def start(*arguments: str, **settings: str) -> AtTerminal:
        ours, theirs = pty.openpty()
        popen = subprocess.Popen(
            [AF, *arguments],
            env={**environment, **settings},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        made = AtTerminal(popen, ours)
        threading.Thread(target=made.read, daemon=True).start()
        opened.append(made)
        return made

    yield start
    for made in opened:
        if made.popen.poll() is None:
            made.popen.kill()
        made.popen.wait()
        os.close(made.terminal)


def af(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AF, *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def profile(environment: dict[str, str], name: str = "default") -> dict[str, str]:
    stored = json.loads((Path(environment["AF_CONFIG_DIR"]) / "credentials.json").read_text())
    return dict(stored["profiles"][name])


def signed_in(start: Any, person: Person) -> None:
    login = start("login", "--no-browser")
    url, code = login.until(r"http://\S+/login/\S+")[0], login.until(r"[A-Z]{4}-[A-Z]{4}")[0]
    person.decide(url, code)
    assert login.end() == 0, login.shown


# --- by a browser ---------------------------------------------------------------------------------------------------


def test_a_person_approves_in_a_browser_and_af_is_signed_in(
    at_terminal: Any, person: Person, environment: dict[str, str]
) -> None:
    signed_in(at_terminal, person)
    path = Path(environment["AF_CONFIG_DIR"]) / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    who = json.loads(af(environment, "whoami", "--json").stdout)
    assert (who["user"]["username"], who["profile"], who["project"]) == ("owner", "default", "default")
    assert (who["signIn"]["kind"], who["signIn"]["method"]) == ("session", "browser")
    assert who["signIn"]["expiresAt"]
    rows = json.loads(af(environment, "sessions", "list", "--json").stdout)["data"]
    assert [row["method"] for row in rows if row["current"]] == ["device"]
    first = next(row["id"] for row in rows if row["current"])
    signed_in(at_terminal, person)
    again = json.loads(af(environment, "sessions", "list", "--json").stdout)["data"]
    assert first not in [row["id"] for row in again], "a session that was replaced is ended"


def test_the_browser_on_this_machine_brings_a_code(
    at_terminal: Any, person: Person, environment: dict[str, str], tmp_path: Path
) -> None:
    """BROWSER is a program that writes down what it was asked to open."""
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > "$0.opened"\n')
    browser.chmod(0o755)
    login = at_terminal("login", BROWSER=str(browser))
    code = login.until(r"[A-Z]{4}-[A-Z]{4}")[0]
    opened = tmp_path / "browser.opened"
    url = wait_until(lambda: opened.read_text().strip() if opened.exists() else None, seconds=20, what="an opened page")
    assert url in login.shown
    target = person.decide(url, code)["redirectTo"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/done\?state=[\w-]+&code=\S+", target)
    elsewhere = target.replace("state=", "state=x")
    with pytest.raises(OSError, match=r"404|refused|reset"):
        urllib.request.urlopen(elsewhere, timeout=10)
    try:
        with urllib.request.urlopen(target, timeout=10) as page:
            assert b"signed in" in page.read()
    except OSError:  # asking was faster, and the listener is gone
        assert "Signed in" in login.until("Signed in")[0]
    assert login.end() == 0, login.shown
    assert profile(environment)["method"] == "browser"


def test_a_refusal_ends_the_waiting(at_terminal: Any, person: Person, environment: dict[str, str]) -> None:
    login = at_terminal("login", "--no-browser")
    url, code = login.until(r"http://\S+/login/\S+")[0], login.until(r"[A-Z]{4}-[A-Z]{4}")[0]
    person.decide(url, code, "deny")
    assert login.end() == 4
    assert "refused" in login.shown
    assert not (Path(environment["AF_CONFIG_DIR"]) / "credentials.json").exists()


def test_ctrl_c_leaves_nothing(at_terminal: Any, environment: dict[str, str]) -> None:
    login = at_terminal("login", "--no-browser")
    login.until(r"[A-Z]{4}-[A-Z]{4}")
    login.popen.send_signal(2)
    assert login.end() == 130
    assert "Traceback" not in login.shown
    assert not (Path(environment["AF_CONFIG_DIR"]) / "credentials.json").exists()


@pytest.mark.parametrize("settings", [{"CI": "1"}, {}])
def test_a_program_is_told_at_once_what_to_use(environment: dict[str, str], settings: dict[str, str]) -> None:
    for more in ((), ("--no-browser",), ("--json",)):
        done = af({**environment, **settings}, "login", *more)
        assert done.returncode == 4
        assert "AF_TOKEN" in done.stderr
        assert "--ci" in done.stderr
    assert af({**environment, **settings}, "login", "--ci").returncode == 4


def post(platform: Running, path: str, **body: str) -> Reply:
    headers = {"Content-Type": "application/json"}
    return platform.request(path, method="POST", body=json.dumps(body).encode(), headers=headers)


@pytest.mark.parametrize("_round", range(3))
def test_of_many_pollers_and_codes_exactly_one_gets_tokens(platform: Running, person: Person, _round: int) -> None:
    """On PostgreSQL they meet in two processes."""
    verifier, challenge = pkce()
    begun = post(platform, "/auth/cli/start", redirectUri="http://127.0.0.1:9/done", codeChallenge=challenge).json()
    target = person.decide(begun["verificationUrl"], begun["userCode"])["redirectTo"]
    code = parse_qs(urlsplit(target).query)["code"][0]
    assert post(platform, "/auth/cli/exchange", code=code, codeVerifier="w" * 43).status == 401
    asked = {"verificationSessionId": begun["verificationSessionId"], "pollSecret": begun["pollSecret"]}
    calls = [
        *(lambda: post(platform, "/auth/cli/poll", **asked) for _ in range(2)),
        *(lambda: post(platform, "/auth/cli/exchange", code=code, codeVerifier=verifier) for _ in range(4)),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        replies = [done.result() for done in [pool.submit(call) for call in calls]]
    assert sorted(reply.status for reply in replies)[:2] == [200, 404]
    assert post(platform, "/auth/cli/poll", **asked).status == 404


# --- by e-mail ------------------------------------------------------------------------------------------------------


def test_an_address_without_form_and_a_code_nobody_asked_for_are_refused(environment: dict[str, str]) -> None:
    assert af(environment, "login", "--email", "no address").returncode == 2
    done = af(environment, "login", "--email", "ada@example.org", "--code", "123456")
    assert (done.returncode, "First run" in done.stderr) == (2, True)


def test_a_wrong_code_is_refused_in_two_calls(environment: dict[str, str]) -> None:
    sent = af(environment, "login", "--email", "ada@example.org", "--json")
    assert json.loads(sent.stdout) == {"sent": True, "email": "ada@example.org"}, sent.stderr
    assert (Path(environment["AF_CONFIG_DIR"]) / "email-login.json").stat().st_mode & 0o777 == 0o600
    assert af(environment, "login", "--email", "ada@example.org", "--code", "000000").returncode == 4


def code_sent_to(platform: Running, address: str) -> str:
    """From the log, where messages are shown as long as no mail server is configured."""
    pattern = rf'"to": "{re.escape(address)}", "text": "[^"]*?\s(\d{{6}})\\n'
    found = platform.process.wait_until(
        lambda: re.search(pattern, platform.process.output()), seconds=20, what=f"a message to {address}"
    )
    return found[1]


def test_a_code_sent_by_e_mail_signs_in_at_a_terminal(
    at_terminal: Any, environment: dict[str, str], platform: Running, database_kind: str
) -> None:
    address = f"{database_kind}@example.org"
    login = at_terminal("login", "--email", address)
    login.until("Code")
    code = code_sent_to(platform, address)
    login.type(f"{(int(code) + 1) % 1_000_000:06d}\n")
    login.until("another code")
    login.type(f"{code[:3]} {code[3:]}\n")
    assert login.end() == 0, login.shown
    who = json.loads(af(environment, "whoami", "--json").stdout)
    assert (who["user"]["email"], who["signIn"]["method"]) == (address, "email")


# --- afterwards -----------------------------------------------------------------------------------------------------


def expire(environment: dict[str, str]) -> str:
    """The profile's access token has ended, as far as this machine knows; the refresh token."""
    path = Path(environment["AF_CONFIG_DIR"]) / "credentials.json"
    stored = json.loads(path.read_text())
    stored["profiles"]["default"]["expiresAt"] = "2026-01-01T00:00:00+00:00"
    path.write_text(json.dumps(stored))
    return str(stored["profiles"]["default"]["refreshToken"])


def test_parallel_commands_refresh_once(at_terminal: Any, person: Person, environment: dict[str, str]) -> None:
    signed_in(at_terminal, person)
    before = expire(environment)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: af(environment, "sites", "list", "--json"), range(6)))
    assert [each.returncode for each in done] == [0] * 6, [each.stderr for each in done]
    after = profile(environment)["refreshToken"]
    assert after != before
    assert af(environment, "sites", "list").returncode == 0
    assert profile(environment)["refreshToken"] == after, "a token that lasts is not renewed"


def test_a_token_that_the_platform_no_longer_takes_is_renewed(
    at_terminal: Any, person: Person, environment: dict[str, str]
) -> None:
    signed_in(at_terminal, person)
    path = Path(environment["AF_CONFIG_DIR"]) / "credentials.json"
    stored = json.loads(path.read_text())
    stored["profiles"]["default"]["accessToken"] = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"
    path.write_text(json.dumps(stored))
    assert af(environment, "sites", "list").returncode == 0


def test_logout_ends_the_session_at_the_platform(
    at_terminal: Any, person: Person, environment: dict[str, str], platform: Running
) -> None:
    signed_in(at_terminal, person)
    kept = profile(environment)
    expire(environment)
    assert json.loads(af(environment, "logout", "--json").stdout) == {
        "profile": "default",
        "revoked": True,
        "active": "",
    }
    assert af(environment, "whoami").returncode == 4
    body = json.dumps({"refreshToken": kept["refreshToken"]}).encode()
    headers = {"Content-Type": "application/json"}
    assert platform.request("/auth/refresh", method="POST", body=body, headers=headers).status == 401
    access = {"Authorization": f"Bearer {kept['accessToken']}"}
    ended = wait_until(
        lambda: platform.request("/auth/me", headers=access).status == 401, seconds=8, what="an end everywhere"
    )
    assert ended


def test_a_session_that_was_ended_elsewhere_says_how_to_go_on(
    at_terminal: Any, person: Person, environment: dict[str, str]
) -> None:
    signed_in(at_terminal, person)
    other = {**environment, "AF_CONFIG_DIR": environment["AF_CONFIG_DIR"] + "-other"}
    rows = json.loads(af(environment, "sessions", "list", "--json").stdout)["data"]
    current = next(row["id"] for row in rows if row["current"])
    assert af(environment, "sessions", "revoke", current).returncode == 0
    expire(environment)
    done = af(environment, "sites", "list")
    assert (done.returncode, "af login" in done.stderr) == (4, True)
    assert af(other, "logout").returncode == 5


def test_leaving_without_the_platform_forgets_all_the_same(
    at_terminal: Any, person: Person, environment: dict[str, str]
) -> None:
    signed_in(at_terminal, person)
    path = Path(environment["AF_CONFIG_DIR"]) / "credentials.json"
    stored = json.loads(path.read_text())
    stored["profiles"]["default"]["apiUrl"] = "http://127.0.0.1:9"
    path.write_text(json.dumps(stored))
    done = af(environment, "logout")
    assert (done.returncode, "could not be ended" in done.stderr) == (0, True)
    assert json.loads(path.read_text())["profiles"] == {}


def test_profiles_are_listed_and_chosen(platform: Running, environment: dict[str, str]) -> None:
    token = platform.profile()["token"]
    for name in ("one", "two"):
        assert af(environment, "login", "--token", "-", "--profile", name, stdin=f"{token}\n").returncode == 0
    assert af(environment, "profiles", "use", "one").returncode == 0
    rows = json.loads(af(environment, "profiles", "list", "--json").stdout)["data"]
    assert [(row["name"], row["active"], row["signIn"]) for row in rows] == [
        ("one", True, "token"),
        ("two", False, "token"),
    ]
    assert token not in af(environment, "profiles", "list", "--json").stdout
    assert af(environment, "profiles", "use", "three").returncode == 5
    who = json.loads(af(environment, "whoami", "--json", "--profile", "two").stdout)
    assert (who["profile"], who["signIn"]["kind"], who["signIn"]["scopes"]) == ("two", "token", ["all"])
    assert af(environment, "logout", "--all").returncode == 0
    assert json.loads(af(environment, "profiles", "list", "--json").stdout) == {"data": []}
