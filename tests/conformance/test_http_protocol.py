"""HTTP/1.1 on bare sockets (RFC 9112): framing, pipelining, smuggling, slow and half-closed clients, through both
lanes."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Served, read_all, served, settled, until

BIG = bytes(range(251)) * 4_000  # 1,004,000 bytes: one block, kept in memory
HUGE = bytes(range(241)) * 60_000  # 14 MB: many blocks, streamed
GET = b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    times = {"head_seconds_max": 0.5, "stalled_seconds_max": 0.5, "watch_seconds": 0.1}
    with served(tmp_path_factory.mktemp("http"), protocol=times) as running:
        files = {"a.txt": b"alpha", "b.txt": b"beta", "big.bin": BIG, "huge.bin": HUGE}
        running.bind("demo", running.blocks.folder(files))
        for name in files:
            running.ask("demo.localhost", "/" + name)
        yield running


def statuses(received: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def request(path: str, *lines: str, version: str = "1.1", method: str = "GET", host: bool = True) -> bytes:
    head = [f"{method} {path} HTTP/{version}", *(["Host: demo.localhost"] if host else []), *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


# --- keep-alive and pipelining -------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order_across_both_lanes(server: Served) -> None:
    sent = b"".join(
        (
            request("/a.txt"),
            request("/missing-1"),  # 404 pages of ours are never kept: cold
            request("/b.txt"),
            request("/a.txt", method="HEAD"),
            request("/b.txt", "Range: bytes=0-0"),
            request("/a.txt", "Connection: close"),
        )
    )
    received = server.exchange(sent)
    assert statuses(received) == [200, 404, 200, 200, 206, 200]
    assert received.index(b"alpha") < received.index(b"404") < received.index(b"beta")
    assert received.endswith(b"alpha")
    assert received.count(b"alpha") == 2


def test_many_pipelined_hot_requests_keep_their_order(server: Served) -> None:
    received = server.exchange(b"".join(request("/a.txt" if n % 2 else "/b.txt") for n in range(400)))
    assert re.findall(rb"alpha|beta", received) == [b"alpha" if n % 2 else b"beta" for n in range(400)]


def test_a_request_in_single_bytes_is_answered(server: Served) -> None:
    with server.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            connection.sendall(bytes((byte,)))
        assert read_all(connection).endswith(b"alpha")


def test_nothing_is_answered_after_connection_close(server: Served) -> None:
    received = server.exchange(request("/a.txt", "Connection: close") + GET + GET)
    assert statuses(received) == [200]
    assert b"connection: close" in received
    received = server.exchange(request("/missing", "Connection: close") + GET)
    assert statuses(received) == [404]


def test_http_1_0_closes_and_needs_no_host(server: Served) -> None:
    hot = server.exchange(request("/a.txt", version="1.0") + GET)
    assert statuses(hot) == [200]
    assert b"connection: close" in hot
    assert statuses(server.exchange(request("/a.txt", version="1.0", host=False))) == [400]  # no name, no site


def test_the_date_is_sent_once(server: Served) -> None:
    assert server.exchange(GET).lower().count(b"\r\ndate: ") == 1


def test_head_through_the_hot_lane_has_the_length_and_no_body(server: Served) -> None:
    server.ask("demo.localhost", "/a.txt")
    before = server.hot_count()
    received = server.exchange(request("/a.txt", method="HEAD"))
    assert server.hot_count() == before + 1
    assert b"content-length: 5\r\n" in received
    assert received.endswith(b"\r\n\r\n")


# --- requests that are not to be trusted ---------------------------------------------------------------------------

CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "sent",
    [
        request("/a.txt", "Content-Length: 4", CHUNKED) + b"0\r\n\r\n" + GET,
        request("/a.txt", CHUNKED, "Content-Length: 4") + b"0\r\n\r\n" + GET,
        request("/a.txt", "Content-Length: 4", "Content-Length: 5") + b"aaaaa" + GET,
        request("/a.txt", "Content-Length: 4", "Content-Length: 4") + b"aaaa" + GET,
        request("/a.txt", "Content-Length: 4,4") + b"aaaa" + GET,
        request("/a.txt", "Content-Length: +4") + b"aaaa" + GET,
        request("/a.txt", "Content-Length: -1") + GET,
        request("/a.txt", "Content-Length: 99999999999999999999999") + GET,
        request("/a.txt", "Transfer-Encoding: xchunked") + b"0\r\n\r\n" + GET,
        request("/a.txt", "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + GET,
        request("/a.txt", "Transfer-Encoding : chunked") + b"0\r\n\r\n" + GET,
        request("/a.txt", "Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n" + GET,
        b"GET /a.txt HTTP/1.1\nHost: demo.localhost\n\n" + GET,
        b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\nX: y\r\n\r\n" + GET,
        b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\rX: y\r\n\r\n" + GET,
        b"GET /a.txt HTTP/1.1\r\n Host: demo.localhost\r\n\r\n" + GET,
        b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\r\nX\r\n\r\n" + GET,
        b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\r\nX: a\0b\r\n\r\n" + GET,
        b"GET /a.txt HTTP/3.1\r\nHost: demo.localhost\r\n\r\n" + GET,
        b"GET /a.txt\r\n\r\n" + GET,
        request("/a.txt", "Host: other.localhost") + GET,
        request("/a.txt", host=False) + GET,
        request("/a b.txt") + GET,
        request("/\xe4.txt") + GET,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + GET,
    ],
    ids=range(25),
)
def test_a_malformed_request_gets_400_and_nothing_that_follows_it_is_answered(server: Served, sent: bytes) -> None:
    assert statuses(server.exchange(sent)) == [400]


def test_an_obsolete_folded_header_smuggles_nothing(server: Served) -> None:
    received = server.exchange(request("/a.txt", "X: one\r\n Transfer-Encoding: chunked") + GET)
    assert statuses(received) in ([400], [200, 200])


def test_chunk_extensions_and_trailers_are_read_over(server: Served) -> None:
    body = b"5;name=value\r\nhello\r\n0;x\r\nHost: evil.localhost\r\nX-Trailer: y\r\n\r\n"
    received = server.exchange(request("/a.txt", CHUNKED, method="POST") + body + GET)
    assert statuses(received) == [405, 200]


@pytest.mark.parametrize("body", [b"5\r\nhelloX\r\n0\r\n\r\n", b"zz\r\n", b"5\nhello\n0\n\n", b"fffffffffffffffff\r\n"])
def test_a_malformed_chunk_ends_the_connection(server: Served, body: bytes) -> None:
    received = server.exchange(request("/a.txt", CHUNKED, method="POST") + body + GET)
    assert len(statuses(received)) <= 1
    assert b"alpha" not in received


def test_a_body_on_get_does_not_become_the_next_request(server: Served) -> None:
    received = server.exchange(request("/a.txt", f"Content-Length: {len(GET)}") + GET + request("/b.txt"))
    assert statuses(received) == [200, 200]
    assert received.endswith(b"beta")


def test_an_absolute_target_names_the_host_whatever_the_host_header_says(server: Served) -> None:
    received = server.exchange(b"GET http://demo.localhost/a.txt HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
    assert received.endswith(b"alpha")
    received = server.exchange(b"GET http://nobody.localhost/a.txt HTTP/1.1\r\nHost: demo.localhost\r\n\r\n")
    assert statuses(received) == [404]


@pytest.mark.parametrize("target", [b"http://u:p@demo.localhost/", b"a.txt"])
def test_other_targets_are_refused(server: Served, target: bytes) -> None:
    assert statuses(server.exchange(b"GET %b HTTP/1.1\r\nHost: demo.localhost\r\n\r\n" % target)) == [400]


CONNECT = b"CONNECT demo.localhost:80 HTTP/1.1\r\nHost: demo.localhost:80\r\n\r\n"


def test_a_tunnel_to_content_of_ours_goes_on_as_a_connection_to_it(server: Served) -> None:
    assert server.exchange(CONNECT).startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
    received = server.exchange(CONNECT + request("/a.txt") + request("/b.txt"))
    assert statuses(received) == [200, 200, 200]
    assert received.endswith(b"beta")


@pytest.mark.parametrize("target", [b"example.com:80", b"127.0.0.1:22", b"[::1]:80", b"nobody.example.org:443"])
def test_there_is_no_tunnel_to_anywhere_else(server: Served, target: bytes) -> None:
    received = server.exchange(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, target))
    assert statuses(received) == [403]


def test_there_is_no_tunnel_inside_of_a_tunnel(server: Served) -> None:
    assert statuses(server.exchange(CONNECT + CONNECT)) == [200, 400]


def test_a_head_without_end_is_refused_before_it_fills_memory(server: Served) -> None:
    many = request("/a.txt", *(f"X-{n}: {'v' * 100}" for n in range(1_000)))
    assert statuses(server.exchange(many)) == [431]
    assert statuses(server.exchange(request("/" + "a" * 20_000))) == [414]
    with server.socket() as connection:
        connection.sendall(b"GET /a.txt HTTP/1.1\r\nHost: demo.localhost\r\nX: ")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"v" * 65_536)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 8_000_000


def test_a_broken_request_behind_a_good_one_does_not_spoil_its_answer(server: Served) -> None:
    received = server.exchange(request("/huge.bin") + b"garbage\r\n\r\n")
    assert statuses(received[:200]) == [200]
    assert received.endswith(HUGE[-1000:])


# --- special requests ----------------------------------------------------------------------------------------------


def test_expect_100_continue(server: Served) -> None:
    sent = request("/a.txt", "Content-Length: 5", "Expect: 100-continue", method="POST")
    received = server.exchange(sent + b"hello" + GET)
    assert statuses(received)[-2:] == [405, 200]


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_upgrade_we_do_not_offer_is_a_plain_request(server: Served, protocol: str) -> None:
    received = server.exchange(request("/a.txt", "Connection: Upgrade", f"Upgrade: {protocol}") + GET)
    assert statuses(received)[:1] == [200]
    assert b"101 " not in received
    assert statuses(server.exchange(GET)) == [200]


# --- slow, stalled and half-closed clients -------------------------------------------------------------------------


def test_a_half_closed_client_still_gets_its_answer(server: Served) -> None:
    assert server.exchange(GET, half_close=True).endswith(b"alpha")
    assert server.exchange(request("/huge.bin"), half_close=True).endswith(HUGE[-1000:])
    received = server.exchange(request("/missing") + request("/b.txt", "Range: bytes=0-0"), half_close=True)
    assert statuses(received) == [404, 206]


def test_a_reader_that_is_slow_gets_everything_and_little_waits_for_it(tmp_path: Path) -> None:
    with served(tmp_path) as patient:
        patient.bind("demo", patient.blocks.folder({"huge.bin": HUGE}))
        with patient.socket(receive_buffer=4_096) as connection:
            connection.sendall(request("/huge.bin", "Connection: close"))
            first = connection.recv(1)
            reads = settled(lambda: patient.blocks.reads)
            assert reads < 12, "blocks were read for a client that takes nothing"
            received = first + read_all(connection, silence_seconds=5)
        assert received.endswith(HUGE[-1000:])
        assert len(received) > len(HUGE)


def test_pipelining_without_reading_does_not_pile_up_answers(tmp_path: Path) -> None:
    """300 requests for 1 MB each: what the client does not take must not be queued."""
    with served(tmp_path) as patient:
        patient.bind("demo", patient.blocks.folder({"big.bin": BIG}))
        patient.ask("demo.localhost", "/big.bin")
        with patient.socket(receive_buffer=4_096) as connection:
            connection.sendall(request("/big.bin") * 300)
            connection.recv(1)
            assert settled(lambda: sum(patient.gateway.counts.values())) < 40
        assert patient.ask("demo.localhost", "/big.bin").status == 200


def test_a_client_that_takes_nothing_is_cut_off(server: Served) -> None:
    until(lambda: not server.connections())
    for path in ("/huge.bin", "/big.bin"):
        with server.socket(receive_buffer=4_096) as connection:
            connection.sendall(request(path) * 8)
            connection.recv(1)
            until(lambda: server.connections() == 1)
            until(lambda: not server.connections())
            assert len(read_all(connection)) < 14_000_000


def test_a_head_that_never_ends_is_cut_off(server: Served) -> None:
    with server.socket() as connection:
        connection.sendall(b"GET /a.txt HTTP/1.1\r\nHost: demo")
        received = read_all(connection, silence_seconds=5)
    assert statuses(received) == [408]


def test_a_client_that_goes_away_stops_the_reading(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        running.bind("demo", running.blocks.folder({"huge.bin": HUGE}))
        with running.socket(receive_buffer=4_096) as connection:
            connection.sendall(request("/huge.bin"))
            connection.recv(100)
        for _ in range(20):
            assert running.ask("demo.localhost", "/nope").status == 404
        reads = running.blocks.reads
        for _ in range(20):
            running.ask("demo.localhost", "/nope")
        assert running.blocks.reads == reads < 14
