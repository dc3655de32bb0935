"""Requests made to confuse: hosts, paths, framing, and content that tries to run where it must not."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import deploy, host_of, raw, write
from tests.e2e.platform import Running, running

XSS = '"><img src=x onerror=alert(1)>.txt'


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture(scope="module")
def site(platform: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The host of a site whose files try things."""
    folder = write(
        tmp_path_factory.mktemp("files") / "evil",
        {
            "index.html": b"home",
            f"list/{XSS}": b"x",
            "list/javascript:alert(1)": b"x",
            "list/\u202eexe.txt": b"x",
            "list/a%2fb": b"percent",
            "list/?q#f": b"x",
            "back\\slash": b"backslash",
            "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "_redirects": b"/out //evil.example/ 302\n/crlf /x%0d%0aSet-Cookie:a=b 302\n/go/* :splat 302\n"
            b"/abs/* /t/:splat 301\n/loop /loop 200!\n/ping /pong 200!\n/pong /ping 200!\n/up /../../etc/passwd 200\n"
            b"/proxy http://169.254.169.254/latest 200\n/js javascript:alert(1) 302\n",
            "_headers": b"/*\n  Set-Cookie: __Host-af_session=x\n  Content-Length: 5\n  Transfer-Encoding: chunked\n"
            b"  X-Crlf: a\\r\\nSet-Cookie: b=c\n  X-Good: yes\n  Clear-Site-Data: \"cookies\"\n",
        },
    )  # fmt: skip
    return host_of(deploy(platform, folder)["site"]["url"])


# --- hosts -----------------------------------------------------------------------------------------------------------

FOREIGN = ["evil.example", "localhost.evil.example", "127.1", "2130706433", "0x7f000001", "localhost@evil", "xn--a", ""]


@pytest.mark.parametrize("host", FOREIGN)
def test_an_unknown_host_gets_no_page_and_no_cookie(platform: Running, host: str) -> None:
    """DNS rebinding: a stranger's name that leads to us."""
    for path in ("/", "/page/app.js", "/auth/link?token=x"):
        answer = raw(platform.port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert b" 404 " in answer[:20], answer[:300]
        assert b"set-cookie" not in answer.lower()
        assert b"<html" not in answer


FORWARDED = ["X-Forwarded-Host", "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Original-URL", "X-Rewrite-URL"]


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded_headers_change_nothing(platform: Running, name: str) -> None:
    value = {"Forwarded": "host=localhost;for=1.2.3.4"}.get(name, "/" if name.endswith("URL") else "localhost")
    head = f"GET / HTTP/1.1\r\nHost: evil.example\r\n{name}: {value}\r\nConnection: close\r\n\r\n"
    answer = raw(platform.port, head.encode())
    assert b" 404 " in answer[:20]
    assert b"<html" not in answer


def test_a_login_link_never_follows_the_host(platform: Running) -> None:
    reply = platform.request("/auth/link?token=x", host="127.0.0.1")
    assert reply.headers["location"].startswith(f"http://localhost:{platform.port}/auth/link?")


# --- framing ---------------------------------------------------------------------------------------------------------

SMUGGLED = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
        b"Content-Length: 0, 44\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: 0x0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n",
        b"X: a\r\n Content-Length: 44\r\n\r\n",
        b"X: a\nContent-Length: 0\n\n",
        b"X\0Y: a\r\n\r\n",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("host", [b"localhost", b"evil.localhost"])
def test_ambiguous_framing_is_refused_and_what_follows_is_not_answered(
    platform: Running, site: str, head: bytes, host: bytes
) -> None:
    answer = raw(platform.port, b"POST / HTTP/1.1\r\nHost: " + host + b"\r\n" + head + SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"ok"' not in answer


def test_a_refused_method_is_a_problem_like_any_other(platform: Running) -> None:
    for method, path in (("POST", "/auth/me"), ("DELETE", "/v1/projects/default/content/car"), ("PUT", "/")):
        reply = platform.request(path, method=method)
        assert reply.status == 405
        assert reply.headers["content-type"] == "application/problem+json", (path, reply.body)
        assert reply.headers["allow"]


# --- paths -----------------------------------------------------------------------------------------------------------

TRAVERSALS = [
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e%2fetc/passwd", "/a/..;/x",
    "/%c0%ae%c0%ae/etc/passwd", "/%e0%80%ae%e0%80%ae/x", "/..\\..\\etc\\passwd", "/..%5c..%5cetc%5cpasswd", "/%00",
    "/index.html%00.txt", "/%", "/%zz", "/%2", "//etc/passwd", "///evil.example", "/./.", "/%ff", "/.%2e/x",
    "/list/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/" + "a/" * 3_000, "/" + "%2e%2e/" * 500, "/%u002e%u002e/x",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS, ids=range(len(TRAVERSALS)))
@pytest.mark.parametrize("where", ["site", "main", "address", "service"])
def test_no_path_leads_out(platform: Running, site: str, path: str, where: str) -> None:
    host = {"site": site, "main": "localhost", "address": "127.0.0.1", "service": "gateway.localhost"}[where]
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = raw(platform.port, head.encode("latin-1"))
    status = int(answer[9:12])
    assert status in (301, 302, 308, 400, 404, 414), answer[:200]
    assert b"root:" not in answer
    location = re.search(rb"(?i)\r\nlocation: ([^\r]*)", answer)
    assert not location or not location[1].startswith(b"//"), location[1] if location else b""


def test_names_that_look_like_other_paths_are_found_only_as_themselves(platform: Running, site: str) -> None:
    assert platform.request("/list/a%252fb", host=site).body == b"percent"
    assert platform.request("/list/a%2fb", host=site).status in (400, 404)
    assert platform.request("/back%5cslash", host=site).body == b"backslash"
    assert platform.request("/back/slash", host=site).status == 404


# --- content that tries to run ---------------------------------------------------------------------------------------


def test_a_listing_escapes_names(platform: Running, site: str) -> None:
    root = platform.graphql('{site(where:{slug:"evil"}){currentDeployment{cid}}}')["site"]["currentDeployment"]["cid"]
    at = f"/ipfs/{root}/list/"
    reply = platform.request(at, host="127.0.0.1")
    assert reply.status == 200
    assert b"<img" not in reply.body
    assert b'href="javascript:' not in reply.body
    assert "\u202e".encode() not in reply.body
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    links = re.findall(rb'class="name"><a href="([^"]+)">(?!\.\.)', reply.body)
    assert len(links) == 5
    for link in links:
        assert link.startswith(at.encode())
        assert platform.request(link.decode(), host="127.0.0.1").status in (200, 400), link


def test_an_error_page_does_not_echo(platform: Running, site: str) -> None:
    for host in (site, "localhost", "127.0.0.1", "gateway.localhost", "<script>.localhost"):
        for path in ("/<script>alert(1)</script>", "/ipfs/<script>alert(1)</script>", "/?q=<script>"):
            answer = raw(
                platform.port,
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode(),
            )
            if b"content-type: text/html" in answer.lower():
                assert b"<script>alert" not in answer, (host, path)
            if b"<script>alert" in answer:
                assert b"application/problem+json" in answer or b"nosniff" in answer, (host, path)


def test_redirects_reach_only_what_the_file_says_and_carry_no_headers(platform: Running, site: str) -> None:
    for path in ("/go//evil.example", "/go/http://evil.example/", "/abs/%0d%0aSet-Cookie:%20a=b", "/abs/%00", "/crlf"):
        answer = raw(platform.port, f"GET {path} HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode())
        head = answer.split(b"\r\n\r\n")[0].lower()
        assert b"\r\nset-cookie" not in head, head
        location = re.search(rb"\r\nlocation: ([^\r]*)", head)
        assert not location or not re.match(rb"(//|https?:|/\\)", location[1]), (path, location[1] if location else b"")


def test_rules_that_loop_or_leave_do_not_work(platform: Running, site: str) -> None:
    for path in ("/loop", "/ping", "/up", "/proxy", "/js"):
        reply = platform.request(path, host=site)
        assert b"root:" not in reply.body
        assert reply.status < 500, (path, reply.status)
        assert not reply.headers.get("location", "").startswith("javascript")


def test_header_rules_cannot_frame_or_set_cookies(platform: Running, site: str) -> None:
    for _ in range(2):  # both lanes
        reply = platform.request("/index.html", host=site)
        assert (reply.status, reply.body) == (200, b"home")
        assert reply.headers["x-good"] == "yes"
        assert "set-cookie" not in reply.headers
        assert "transfer-encoding" not in reply.headers
        assert "clear-site-data" not in reply.headers


def test_user_content_never_runs_where_cookies_live(platform: Running, site: str, tmp_path: Path) -> None:
    cid = deploy(platform, write(tmp_path / "page", {"index.html": b"<script>alert(1)</script>"}))["deployment"]["cid"]
    for path in (f"/ipfs/{cid}/", f"/ipfs/{cid}/index.html", f"/ipfs/{cid}"):
        reply = platform.request(path)
        assert reply.status in (301, 302, 307, 308), path
        assert f"{cid}.ipfs.localhost" in reply.headers["location"]
        for service in ("app.localhost", "auth.localhost", "api.localhost", "uploads.localhost"):
            other = platform.request(path, host=service)
            assert b"<script>alert" not in other.body, service
    assert platform.request(f"/ipfs/{cid}/", host="127.0.0.1").status == 200


# --- many, slow, gone ------------------------------------------------------------------------------------------------


def test_idle_and_half_written_connections_do_not_keep_others_waiting(platform: Running, site: str) -> None:
    open_ones = []
    try:
        for number in range(400):
            connection = socket.create_connection(("127.0.0.1", platform.port), timeout=5)
            connection.sendall((b"GET / HTTP/1.1\r\nHost: ", b"", b"GET / HTTP/1.1\r\n")[number % 3])
            open_ones.append(connection)
        took = hostile.seconds_for(lambda: [platform.request("/", host=site) for _ in range(20)])
        assert took < 2
    finally:
        for connection in open_ones:
            connection.close()


def test_idle_clients_do_not_use_up_a_small_limit_of_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # inherited by what we start
    try:
        with running(tmp_path) as small, contextlib.ExitStack() as stack:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for _ in range(400):
                stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=5))
            assert small.request("/ready").status == 200
            hostile.deploy(small, write(tmp_path / "site", {"index.html": b"x"}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_caller_cannot_open_streams_without_end(platform: Running) -> None:
    token = platform.profile()["token"]
    head = f"GET /v1/projects/default/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        streams = []
        for _ in range(150):
            streams.append(stack.enter_context(socket.create_connection(("127.0.0.1", platform.port), timeout=10)))
            streams[-1].sendall(head.encode())
        statuses = {stream.recv(100)[9:12] for stream in streams}
    assert statuses == {b"200", b"429"}
