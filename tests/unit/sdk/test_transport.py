"""Calls to a real HTTP server on loopback that misbehaves as it is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from alternatefutures.errors import ApiError, NetworkError, UsageError
from alternatefutures.transport import ServerEvent, Transport, segment
from tests.support.answering import Asked, Handler, Server, drop, json_reply, reply, running, stream
from tests.support.ports import free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def _transport(
    server: Server, *, give_up_seconds: float = 5.0, token: str = "af_live_x", project_id: str = ""
) -> Transport:
    return Transport(server.url, token, project_id, give_up_seconds=give_up_seconds)


# --- retries --------------------------------------------------------------------------------------------------------


def test_a_busy_platform_is_asked_again(server: Server) -> None:
    server.answers = [reply(503), reply(502), json_reply({"ok": True})]
    assert _transport(server).request("GET", "/x").json() == {"ok": True}
    assert len(server.requests) == 3


def test_retry_after_is_waited_for(server: Server) -> None:
    server.answers = [reply(503, Retry_After="1"), json_reply({})]
    started = time.monotonic()
    _transport(server).request("GET", "/x")
    assert time.monotonic() - started >= 1.0


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(server: Server) -> None:
    server.answers = [reply(429, b"busy", "text/plain", Retry_After="3600")]
    started = time.monotonic()
    with pytest.raises(ApiError) as caught:
        _transport(server).request("GET", "/x")
    assert time.monotonic() - started < 1.0
    assert (caught.value.kind, caught.value.exit_code) == ("rate_limited", 7)


@pytest.mark.parametrize("value", ["0", "soon", "\u00b2", "-1", ""])
def test_a_useless_retry_after_becomes_a_pause_of_our_own(server: Server, value: str) -> None:
    server.answers = [reply(503, Retry_After=value)]
    with pytest.raises(ApiError):
        _transport(server, give_up_seconds=0.5).request("GET", "/x")
    assert 2 <= len(server.requests) <= 8, "a few tries, not a flood"


def test_an_idempotent_call_is_repeated_after_a_dropped_connection(server: Server) -> None:
    server.answers = [drop, drop, json_reply({"ok": True})]
    assert _transport(server).request("POST", "/x", body=b"{}").json() == {"ok": True}
    assert len(server.requests) == 3


def test_another_call_is_not_repeated_after_a_dropped_connection(server: Server) -> None:
    server.answers = [drop, json_reply({})]
    with pytest.raises(NetworkError):
        _transport(server).request("POST", "/x", body=b"{}", idempotent=False)
    assert len(server.requests) == 1


def test_another_call_is_repeated_when_it_was_refused_unseen_but_not_after_a_gateway_error(server: Server) -> None:
    server.answers = [reply(503), json_reply({})]
    _transport(server).request("POST", "/x", body=b"{}", idempotent=False)
    assert len(server.requests) == 2
    server.answers = [reply(502), json_reply({})]
    with pytest.raises(ApiError) as caught:
        _transport(server).request("POST", "/x", body=b"{}", idempotent=False)
    assert caught.value.exit_code == 8
    assert len(server.requests) == 3


def test_a_body_is_made_anew_for_each_try(server: Server) -> None:
    server.answers = [reply(503), json_reply({})]
    made = []

    def body() -> Iterator[bytes]:
        made.append(True)
        yield b"con"
        yield b"tent"

    _transport(server).request("POST", "/x", body=body)
    assert len(made) == 2
    assert [asked.body for asked in server.requests] == [b"content", b"content"]


def test_a_platform_that_is_away_is_given_up_after_the_deadline() -> None:
    transport = Transport(f"http://127.0.0.1:{free_port()}", "t", give_up_seconds=0.4)
    started = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        transport.request("POST", "/x", idempotent=False)
    assert 0.1 < time.monotonic() - started < 2.0
    assert caught.value.exit_code == 8
    assert "refused" in caught.value.cause
    assert "0x" not in caught.value.cause, "no object addresses"


def test_a_platform_that_stays_busy_is_given_up_with_its_own_words(server: Server) -> None:
    server.answers = [json_reply({"title": "unavailable", "detail": "Draining.", "code": "draining"}, 503)]
    with pytest.raises(ApiError) as caught:
        _transport(server, give_up_seconds=0.3).request("GET", "/x")
    assert (caught.value.message, caught.value.code, caught.value.exit_code) == ("Draining.", "draining", 8)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, status, exit_code",
    [
        ("invalid_input", 400, 2),
        ("unauthenticated", 401, 4),
        ("forbidden", 403, 4),
        ("not_found", 404, 5),
        ("conflict", 409, 6),
        ("too_large", 413, 2),
        ("quota_exceeded", 402, 7),
        ("internal", 500, 70),
        ("of the future", 418, 1),
    ],
)
def test_a_problem_becomes_an_error_with_the_exit_code_of_its_kind(
    server: Server, kind: str, status: int, exit_code: int
) -> None:
    problem = {
        "title": kind,
        "detail": "No.",
        "code": "precise",
        "reference": "AF4001",
        "hint": "Do this.",
        "field": "slug",
        "requestId": "req_1",
    }
    server.answers = [json_reply(problem, status)]
    with pytest.raises(ApiError) as caught:
        _transport(server).request("GET", "/x")
    error = caught.value
    assert (error.message, error.kind, error.code, error.hint, error.field) == (
        "No.",
        kind,
        "precise",
        "Do this.",
        "slug",
    )
    assert (error.reference, error.exit_code, error.status) == ("AF4001", exit_code, status)
    assert error.cause == ("request req_1" if kind == "internal" else "")


@pytest.mark.parametrize(
    "status, reason, kind, exit_code",
    [
        (400, "BAD_REQUEST", "invalid_input", 2),
        (401, "UNAUTHORIZED", "unauthenticated", 4),
        (404, "NOT_FOUND", "not_found", 5),
        (409, "INSUFFICIENT_FUNDS", "quota_exceeded", 7),
        (409, "NO_PROJECT_SELECTED", "conflict", 6),
        (500, "INTERNAL_SERVER_ERROR", "upstream", 8),
    ],
)
def test_a_refusal_of_the_pinning_service_is_read_too(
    server: Server, status: int, reason: str, kind: str, exit_code: int
) -> None:
    server.answers = [json_reply({"error": {"reason": reason, "details": "No.", "reference": "AF3041"}}, status)]
    with pytest.raises(ApiError) as caught:
        _transport(server).request("GET", "/pins")
    error = caught.value
    assert (error.message, error.kind, error.reference, error.exit_code) == ("No.", kind, "AF3041", exit_code)


@pytest.mark.parametrize(
    "body", [b"<h1>Not here</h1>", b"", b"[]", b'"text"', b"\xff\xfe", b'{"title"', b'{"errors": 5}']
)
def test_a_refusal_that_is_not_ours_is_still_an_error(server: Server, body: bytes) -> None:
    server.answers = [reply(404, body, "text/html")]
    with pytest.raises(ApiError) as caught:
        _transport(server).request("GET", "/x")
    assert caught.value.exit_code in (5, 70)
    assert caught.value.message


@pytest.mark.parametrize("reference", ["AF\u00b2", "", "nonsense", None, "AF" + "9" * 5000])
def test_a_reference_that_is_none_is_replaced(reference: str | None) -> None:
    assert ApiError({"kind": "conflict", "reference": reference}).reference == "AF1000"


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"null", b'{"hello": 1}', b"[" * 100_000])
def test_an_address_that_speaks_no_graphql_is_named_as_such(server: Server, body: bytes) -> None:
    server.answers = [reply(200, body, "text/html")]
    with pytest.raises(ApiError) as caught:
        _transport(server).graphql("{ me { id } }")
    assert caught.value.exit_code == 8
    assert "Alternate Futures platform?" in caught.value.hint


def test_a_redirect_is_not_followed_with_the_token(server: Server) -> None:
    server.answers = [reply(302, b"", Location="/elsewhere")]
    with pytest.raises(ApiError):
        _transport(server).graphql("{ me { id } }")
    assert [asked.path for asked in server.requests] == ["/graphql"]


# --- GraphQL --------------------------------------------------------------------------------------------------------


def test_graphql_gives_the_data(server: Server) -> None:
    server.answers = [json_reply({"data": {"me": {"id": "u"}}})]
    assert _transport(server).graphql("{ me { id } }") == {"me": {"id": "u"}}


@pytest.mark.parametrize("status", [200, 400, 401])
def test_the_first_graphql_error_is_raised(server: Server, status: int) -> None:
    extensions = {"code": "SLUG_TAKEN", "kind": "conflict", "reference": "AF4002", "hint": "Take another."}
    errors = [{"message": "The slug is taken.", "extensions": extensions}, {"message": "second"}]
    server.answers = [json_reply({"data": None, "errors": errors}, status)]
    with pytest.raises(ApiError) as caught:
        _transport(server).graphql("mutation { x }")
    error = caught.value
    assert (error.message, error.code, error.reference) == ("The slug is taken.", "SLUG_TAKEN", "AF4002")
    assert (error.hint, error.exit_code) == ("Take another.", 6)


@pytest.mark.parametrize("errors", [[{"message": "x"}], [{"message": "x", "extensions": None}], ["x"], {"a": 1}])
def test_graphql_errors_without_extensions_are_errors_too(server: Server, errors: Any) -> None:
    server.answers = [json_reply({"errors": errors})]
    with pytest.raises(ApiError):
        _transport(server).graphql("{ x }")


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_token_and_project_are_sent_and_an_anonymous_call_sends_neither(server: Server) -> None:
    server.answers = [json_reply({})]
    _transport(server, token="af_live_1\n", project_id="prj_1").request("GET", "/x")
    _transport(server, token="").request("GET", "/x")
    signed, anonymous = (asked.headers for asked in server.requests)
    assert (signed["Authorization"], signed["X-Project-Id"]) == ("Bearer af_live_1", "prj_1")
    assert "Authorization" not in anonymous
    assert "X-Project-Id" not in anonymous


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX-Evil: 1", "käse", "a\x00b"])
def test_a_token_that_cannot_travel_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Transport("http://localhost:1", token)
    assert token not in caught.value.message


@pytest.mark.parametrize(
    "url", ["", "localhost:8787", "ftp://x", "http://", "http://[::1", "http://x:99999", "http://x:no", "http://a\nb"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        Transport(url, "t")


def test_a_segment_cannot_leave_its_place() -> None:
    assert segment("../a/b?c#d") == "..%2Fa%2Fb%3Fc%23d"


# --- downloads ------------------------------------------------------------------------------------------------------


def test_a_download_that_is_cut_is_an_error_and_not_a_short_file(server: Server) -> None:
    def cut(handler: Handler, _asked: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)
        handler.close_connection = True

    server.answers = [cut]
    with pytest.raises(NetworkError):
        list(_transport(server).download("/x"))


def test_a_refused_download_is_an_api_error(server: Server) -> None:
    server.answers = [json_reply({"title": "not_found", "detail": "No such CID."}, 404)]
    with pytest.raises(ApiError, match="No such CID") as caught:
        list(_transport(server).download("/x"))
    assert caught.value.exit_code == 5


# --- server-sent events ---------------------------------------------------------------------------------------------


def _take(transport: Transport, count: int, *, after: str = "") -> list[ServerEvent]:
    with closing(transport.events("/events", after=after)) as events:  # type: ignore[type-var]
        return [next(events) for _ in range(count)]


def test_events_are_read_with_ids_kinds_and_data(server: Server) -> None:
    text = (
        ': hello\n\nid: 1\nevent: log\ndata: {"a": 1}\n\nid:2\r\ndata: two\r\ndata: lines\r\n\r\nretry: 5\n\ndata\n\n'
    )
    server.answers = [stream(text + "data: last\n\n")]
    assert _take(_transport(server), 4) == [
        ServerEvent("1", "log", {"a": 1}),
        ServerEvent("2", "message", "two\nlines"),
        ServerEvent("2", "message", ""),
        ServerEvent("2", "message", "last"),
    ]


def test_an_event_that_was_cut_off_is_not_given_and_the_stream_goes_on_after_the_last_whole_one(server: Server) -> None:
    server.answers = [stream("id: 7\ndata: 7\n\nid: 8\ndata: ha"), stream("id: 8\ndata: 8\n\n")]
    assert [event.data for event in _take(_transport(server), 2, after="6")] == [7, 8]
    assert [asked.headers["Last-Event-ID"] for asked in server.requests] == ["6", "7"]


def test_a_stream_survives_a_restart_of_the_platform(server: Server) -> None:
    server.answers = [stream("id: 1\ndata: 1\n\n"), drop, reply(503), stream("id: 2\ndata: 2\n\n")]
    assert [event.data for event in _take(_transport(server), 2)] == [1, 2]


def test_a_stream_is_given_up_when_the_platform_stays_away(server: Server) -> None:
    server.answers = [stream("id: 1\ndata: 1\n\n"), drop]
    with pytest.raises(NetworkError) as caught:
        _take(_transport(server, give_up_seconds=0.5), 2)
    assert caught.value.exit_code == 8


def test_a_refused_stream_is_not_tried_again(server: Server) -> None:
    server.answers = [json_reply({"title": "forbidden", "detail": "No."}, 403)]
    with pytest.raises(ApiError, match="No"):
        _take(_transport(server), 1)
    assert len(server.requests) == 1


def test_a_page_is_not_a_stream(server: Server) -> None:
    server.answers = [stream("data: <html>\n\n", kind="text/html")]
    with pytest.raises(ApiError, match="not a stream of events"):
        _take(_transport(server), 1)


@pytest.mark.parametrize("text", ["data: " + "x" * (1 << 21), ("data: " + "x" * 1000 + "\n") * 2000])
def test_an_event_without_end_is_refused(server: Server, text: str) -> None:
    server.answers = [stream(text)]
    with pytest.raises(NetworkError, match="too large"):
        _take(_transport(server), 1)
