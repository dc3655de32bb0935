"""Sessions that renew themselves: early, once, together, and what they say when they cannot."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import pytest

from alternatefutures import Client
from alternatefutures.credentials import InMemory, Session, SessionTokens
from alternatefutures.errors import ApiError, NetworkError, NotSignedIn, UnexpectedReply
from alternatefutures.transport import Transport
from tests.support.answering import Answer, Asked, Handler, Server, json_reply, reply, running

OVER = json.dumps({"title": "unauthenticated", "detail": "It was ended."}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


class Platform:
    """Answers as the platform does: a refresh token works once, an access token until the next refresh."""

    def __init__(self, *, expires_in: float = 900) -> None:
        self.number = 0
        self.expires_in = expires_in
        self.refreshes = 0
        self.lock = threading.Lock()

    def __call__(self, handler: Handler, asked: Asked) -> None:
        with self.lock:
            self._answer(asked)(handler, asked)

    def _answer(self, asked: Asked) -> Answer:
        if asked.path != "/auth/refresh":
            good = asked.headers.get("Authorization") == f"Bearer access-{self.number}"
            return json_reply({"ok": True}) if good else reply(401, OVER)
        assert "Authorization" not in asked.headers
        if json.loads(asked.body) != {"refreshToken": f"refresh-{self.number}"}:
            return reply(401, OVER)
        self.number += 1
        self.refreshes += 1
        return json_reply(
            {
                "accessToken": f"access-{self.number}",
                "refreshToken": f"refresh-{self.number}",
                "expiresIn": self.expires_in,
            }
        )


def tokens(life_seconds: float, access: str = "access-0", refresh: str = "refresh-0") -> SessionTokens:
    return SessionTokens(access, refresh, time.time() + life_seconds)


def transport(server: Server, keeper: InMemory) -> Transport:
    return Transport(server.url, Session(server.url, keeper), give_up_seconds=0.5)


def test_a_token_that_lasts_is_sent_as_it_is(server: Server) -> None:
    platform = Platform()
    server.answers = [platform]
    assert transport(server, InMemory(tokens(61))).request("GET", "/x").json() == {"ok": True}
    assert platform.refreshes == 0


@pytest.mark.parametrize("life", [59, 0, -10_000])
def test_a_token_near_its_end_or_beyond_is_renewed_before_it_is_sent(server: Server, life: float) -> None:
    platform = Platform()
    server.answers = [platform]
    keeper = InMemory(tokens(life))
    calls = transport(server, keeper)
    for _ in range(3):
        assert calls.request("GET", "/x").json() == {"ok": True}
    assert platform.refreshes == 1
    kept = keeper.load()
    assert kept is not None
    assert (kept.access, kept.refresh) == ("access-1", "refresh-1")
    assert 890 < kept.expires_at - time.time() <= 900


def test_tokens_of_a_short_life_are_not_renewed_at_each_call(server: Server) -> None:
    platform = Platform(expires_in=20)
    server.answers = [platform]
    calls = transport(server, InMemory(tokens(0)))
    for _ in range(5):
        calls.request("GET", "/x")
    assert platform.refreshes == 1


def test_a_refused_token_is_renewed_once_and_the_call_repeated(server: Server) -> None:
    platform = Platform()
    server.answers = [platform]
    keeper = InMemory(tokens(900, access="revoked"))
    assert transport(server, keeper).request("POST", "/x", body=b"{}").json() == {"ok": True}
    assert platform.refreshes == 1


def test_what_another_program_renewed_is_used_without_a_refresh(server: Server) -> None:
    platform = Platform()
    server.answers = [platform]
    keeper = InMemory(tokens(900, access="old"))
    calls = transport(server, keeper)
    keeper.save(tokens(0), tokens(900))
    assert calls.request("GET", "/x").json() == {"ok": True}
    assert platform.refreshes == 0


def test_threads_of_one_program_refresh_once(server: Server) -> None:
    platform = Platform()
    server.answers = [platform]
    calls = transport(server, InMemory(tokens(-1)))
    threads = [threading.Thread(target=calls.request, args=("GET", "/x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.refreshes == 1


def test_a_session_that_is_over_names_the_way_in(server: Server) -> None:
    server.answers = [reply(401, OVER)]
    with pytest.raises(NotSignedIn) as caught:
        transport(server, InMemory(tokens(-1))).request("GET", "/x")
    assert (caught.value.exit_code, "af login" in caught.value.hint) == (4, True)
    assert len(server.requests) == 1


def test_a_platform_that_cannot_refresh_is_asked_with_the_old_token_while_it_lasts(server: Server) -> None:
    def answer(handler: Handler, asked: Asked) -> None:
        broken = reply(500, b'{"title": "internal", "detail": "no"}')
        (broken if asked.path == "/auth/refresh" else json_reply({"ok": True}))(handler, asked)

    server.answers = [answer]
    assert transport(server, InMemory(tokens(30))).request("GET", "/x").json() == {"ok": True}
    with pytest.raises(ApiError) as caught:
        transport(server, InMemory(tokens(-1))).request("GET", "/x")
    assert caught.value.kind == "internal"


def test_a_platform_that_is_away_is_named_not_the_session() -> None:
    nowhere = "http://127.0.0.1:9"
    calls = Transport(nowhere, Session(nowhere, InMemory(tokens(-1))))
    with contextlib.closing(calls), pytest.raises(NetworkError):
        calls.request("GET", "/x")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"accessToken": 1, "refreshToken": "r", "expiresIn": 1}', b"<html>"])
def test_an_answer_without_tokens_is_no_platform(server: Server, body: bytes) -> None:
    server.answers = [reply(200, body)]
    with pytest.raises(UnexpectedReply):
        transport(server, InMemory(tokens(-1))).request("GET", "/x")


def test_a_pipelines_token_is_used_to_its_end_and_then_asked_for_anew(server: Server) -> None:
    server.answers = [json_reply({"ok": True})]
    lasting = SessionTokens("access", "", time.time() + 5)
    assert transport(server, InMemory(lasting)).request("GET", "/x").json() == {"ok": True}
    with pytest.raises(NotSignedIn, match="ended") as caught:
        transport(server, InMemory(SessionTokens("access", "", time.time() - 1))).request("GET", "/x")
    assert "--ci" in caught.value.hint


def test_a_pipelines_token_that_is_refused_is_not_repeated(server: Server) -> None:
    server.answers = [reply(401, OVER)]
    with pytest.raises(NotSignedIn):
        transport(server, InMemory(SessionTokens("access", "", time.time() + 500))).request("GET", "/x")
    assert len(server.requests) == 1


def test_a_stream_of_events_outlives_its_token(server: Server) -> None:
    """Cut, it is opened again with the token of that moment."""
    stream = reply(200, b"id: 1\ndata: {}\n\n", "text/event-stream")
    refreshed = json_reply({"accessToken": "access-1", "refreshToken": "refresh-1", "expiresIn": 900})
    server.answers = [stream, reply(401, OVER), refreshed, stream]
    calls = transport(server, InMemory(tokens(900)))
    events = calls.events("/events")
    assert (next(events).id, next(events).id) == ("1", "1")
    shown = [(asked.path, asked.headers.get("Authorization")) for asked in server.requests]
    assert shown == [
        ("/events", "Bearer access-0"),
        ("/events", "Bearer access-0"),
        ("/auth/refresh", None),
        ("/events", "Bearer access-1"),
    ]


def test_a_client_takes_a_session(server: Server) -> None:
    server.answers = [json_reply({"data": {"me": None}})]
    with Client(url=server.url, credential=Session(server.url, InMemory(tokens(900)))) as client:
        assert client.me() is None
    assert server.requests[0].headers["Authorization"] == "Bearer access-0"
