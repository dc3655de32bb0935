"""A session in the credentials file that several `af` commands share."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from af.cli import config, frame, keeping
from af.cli.config import Credentials
from af.cli.root import cli
from alternatefutures.credentials import SessionTokens
from alternatefutures.transport import Transport
from tests.support.answering import Asked, Handler, Server, json_reply, reply, running

OVER = json.dumps({"title": "unauthenticated", "detail": "Used already: the session was ended."}).encode()


class Platform:
    """Ends the session when a refresh token is used twice, without any window for races."""

    def __init__(self) -> None:
        self.number = 0
        self.ended = False
        self.lock = threading.Lock()

    def __call__(self, handler: Handler, asked: Asked) -> None:
        with self.lock:
            if asked.path != "/auth/refresh":
                good = not self.ended and asked.headers.get("Authorization") == f"Bearer access-{self.number}"
                answer = json_reply({"ok": True}) if good else reply(401, OVER)
            elif json.loads(asked.body)["refreshToken"] != f"refresh-{self.number}":
                self.ended = True
                answer = reply(401, OVER)
            else:
                self.number += 1
                name = f"-{self.number}"
                answer = json_reply(
                    {"accessToken": f"access{name}", "refreshToken": f"refresh{name}", "expiresIn": 900}
                )
        answer(handler, asked)


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def server(platform: Platform) -> Iterator[Server]:
    with running() as made:
        made.answers = [platform]
        yield made


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """A session whose access token is over."""
    for name in ("AF_API_URL", "AF_TOKEN", "AF_PROJECT_ID", "AF_PROFILE", "FLEEK_TOKEN", "FLEEK_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AF_CONFIG_DIR", str(tmp_path / "config"))
    stored = Credentials()
    keeping.remember(stored, "me", server.url, "prj_1", SessionTokens("access-0", "refresh-0", time.time()), "browser")
    config.save_credentials(stored)


def _call(results: multiprocessing.SimpleQueue[str]) -> None:
    access = config.access()
    try:
        with_session = Transport(access.url, keeping.credential(access))
        results.put(str(with_session.request("GET", "/x").json()))
    except Exception as error:
        results.put(repr(error))


def test_commands_at_the_same_time_use_a_refresh_token_once(platform: Platform) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    others = [fork.Process(target=_call, args=(results,)) for _ in range(6)]
    for other in others:
        other.start()
    assert [results.get() for _ in others] == [str({"ok": True})] * 6
    for other in others:
        other.join(10)
    assert (platform.number, platform.ended) == (1, False)
    stored = config.load_credentials().profiles["me"]
    assert (stored["accessToken"], stored["refreshToken"]) == ("access-1", "refresh-1")
    assert config.credentials_path().stat().st_mode & 0o777 == 0o600


def test_the_file_is_free_while_a_platform_is_waited_for(server: Server) -> None:
    """`af up` changes another profile meanwhile."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(handler: Handler, request: Asked) -> None:
        asked.set()
        go_on.wait(10)
        json_reply({"accessToken": "a", "refreshToken": "r", "expiresIn": 900})(handler, request)

    server.answers = [slow, json_reply({"ok": True})]
    access = config.access()
    caller = threading.Thread(target=Transport(access.url, keeping.credential(access)).request, args=("GET", "/x"))
    caller.start()
    assert asked.wait(10)
    with config.editing() as credentials:
        credentials.profiles["local"] = {"apiUrl": "http://localhost:1", "token": "t"}
    go_on.set()
    caller.join(10)
    stored = config.load_credentials().profiles
    assert (stored["me"]["accessToken"], stored["local"]["token"]) == ("a", "t")


def test_a_refresh_does_not_bring_back_who_signed_out_or_in_meanwhile() -> None:
    keeper = keeping.ProfileKeeper("me")
    before = keeper.load()
    assert before is not None
    with config.editing() as credentials:
        keeping.remember(credentials, "me", "http://new", "", SessionTokens("a", "another", time.time()), "email")
    keeper.save(before, SessionTokens("late", "late", time.time()))
    assert config.load_credentials().profiles["me"]["refreshToken"] == "another"
    with config.editing() as credentials:
        credentials.profiles.clear()
    keeper.save(before, SessionTokens("late", "late", time.time()))
    assert config.load_credentials().profiles == {}


def test_the_environments_token_wins_and_renews_nothing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TOKEN", "access-0")
    found = config.access()
    assert (found.token, found.session, found.from_environment) == ("access-0", False, True)
    assert frame.run(cli, ["sites", "list"]) != 0  # the platform of this test knows no sites
    assert platform.number == 0


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-01-01", "9999999999"])
def test_an_end_that_cannot_be_read_means_renew_now(moment: str) -> None:
    with config.editing() as credentials:
        credentials.profiles["me"]["expiresAt"] = moment
    access = config.access()
    assert keeping.credential(access).current() == "access-1"


def test_a_session_is_not_sent_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_API_URL", "https://elsewhere.example")
    found = config.access()
    assert (found.token, found.session) == ("", False)
