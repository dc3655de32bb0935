"""What a long upload meets: a token that ends, lines that are slow, a platform that goes away and comes back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from af.protocols.ipfs import cid as cids
from alternatefutures import deploy
from alternatefutures.errors import ApiError, NetworkError, UnexpectedReply
from alternatefutures.transport import PIECE_BYTES, Transport
from tests.support.answering import Answer, Asked, Handler, Server, drop, json_reply, reply, running

REFUSED = json.dumps({"title": "unauthenticated", "detail": "The token has expired."}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def only(token: str) -> Answer:
    """An answer that takes one token and refuses all others."""

    def answer(handler: Handler, asked: Asked) -> None:
        good = asked.headers.get("Authorization") == f"Bearer {token}"
        (json_reply({"ok": True}) if good else reply(401, REFUSED))(handler, asked)

    return answer


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_refused_token_is_replaced_by_a_newer_one_once(server: Server) -> None:
    server.answers = [only("new")]
    transport = Transport(server.url, "old", refresh=lambda: "new")
    assert transport.request("POST", "/x", body=b"{}").json() == {"ok": True}
    transport.request("GET", "/x")
    assert [asked.headers["Authorization"] for asked in server.requests] == ["Bearer old", "Bearer new", "Bearer new"]


def test_a_refusal_stands_when_no_newer_token_is_known(server: Server) -> None:
    server.answers = [only("new")]
    with pytest.raises(ApiError) as caught:
        Transport(server.url, "old", refresh=lambda: "old").request("GET", "/x")
    assert caught.value.exit_code == 4
    assert len(server.requests) == 1


def test_a_newer_token_that_is_refused_too_ends_it(server: Server) -> None:
    server.answers = [only("never")]
    tokens = iter(["second", "third", "fourth"])
    with pytest.raises(ApiError):
        Transport(server.url, "first", refresh=lambda: next(tokens)).request("GET", "/x")
    assert len(server.requests) == 2


def test_graphql_refuses_with_200_and_the_token_is_renewed_all_the_same(server: Server) -> None:
    errors = [{"message": "no", "extensions": {"kind": "unauthenticated", "code": "UNAUTHENTICATED"}}]
    server.answers = [json_reply({"errors": errors}), json_reply({"data": {"me": None}})]
    assert Transport(server.url, "old", refresh=lambda: "new").graphql("query { me }") == {"me": None}
    assert server.requests[1].headers["Authorization"] == "Bearer new"


def test_several_uploads_that_are_refused_at_once_ask_for_a_token_once(server: Server) -> None:
    server.answers = [only("new")]
    asked = []

    def refresh() -> str:
        asked.append(1)
        return "new"

    transport = Transport(server.url, "old", refresh=refresh)
    threads = [threading.Thread(target=transport.request, args=("GET", "/x")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


# --- outages --------------------------------------------------------------------------------------------------------


def test_the_clock_of_giving_up_starts_when_the_platform_is_lost(server: Server) -> None:
    """An attempt that was long under way proves that the platform was there; it does not use up the time to return."""

    def long_then_cut(handler: Handler, asked: Asked) -> None:
        time.sleep(0.6)  # the work of the server, not a wait of the test
        drop(handler, asked)

    server.answers = [long_then_cut, json_reply({"ok": True})]
    assert Transport(server.url, "t", give_up_seconds=0.5).request("GET", "/x").json() == {"ok": True}


def test_closing_ends_the_waiting_at_once() -> None:
    transport = Transport("http://127.0.0.1:9", "t", give_up_seconds=60)
    threading.Timer(0.2, transport.close).start()
    started = time.monotonic()
    with pytest.raises(NetworkError):
        transport.request("GET", "/x")
    assert time.monotonic() - started < 10


def test_an_answer_that_never_comes_is_not_asked_for_again(server: Server) -> None:
    release = threading.Event()
    server.answers = [lambda _handler, _asked: bool(release.wait(5)) and None]
    try:
        with pytest.raises(NetworkError):
            Transport(server.url, "t").request("GET", "/x", read_seconds=0.3)
        assert len(server.requests) == 1
    finally:
        release.set()


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [PIECE_BYTES], [PIECE_BYTES + 1, 5], [3 * PIECE_BYTES + 7] * 2])
def test_a_body_travels_in_bounded_pieces_and_loses_nothing(sizes: list[int]) -> None:
    parts = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
    pieces = [bytes(piece) for piece in deploy._pieces(b"head", parts)]
    assert b"".join(pieces) == b"head" + b"".join(parts)
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)


def test_a_body_of_known_size_is_sent_unchunked(server: Server) -> None:
    server.answers = [json_reply({})]
    body = [b"abc", memoryview(b"defg")]
    Transport(server.url, "t").request("POST", "/x", body=lambda: iter(body), length_bytes=7)
    (asked,) = server.requests
    assert (asked.body, asked.headers["Content-Length"]) == (b"abcdefg", "7")
    assert "Transfer-Encoding" not in asked.headers


@pytest.mark.parametrize("answer", [b'{"missing": [1]}', b'{"missing": ["x"]}', b"{}", b"[]", b'{"missing": null}'])
def test_an_answer_that_is_no_list_of_cids_is_named_as_such(server: Server, answer: bytes) -> None:
    server.answers = [reply(200, answer)]
    with pytest.raises(UnexpectedReply):
        deploy.missing(Transport(server.url, "t"), "prj_1", [cids.of(cids.RAW, b"x")])
