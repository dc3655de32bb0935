"""The guarded HTTP client: what it refuses to call, and what it does over real sockets."""

from __future__ import annotations

import asyncio
import gzip
from ipaddress import ip_address
from pathlib import Path

import pytest

from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import SYSTEM, Platform
from af.core.db import Database, async_url
from af.core.errors import Error, Timeout, TooLarge, Upstream
from af.core.http import REDIRECTS_MAX, AddressRefused, Client, Reply, is_public
from af.core.settings import load
from tests.conftest import NetworkForbidden
from tests.support.ports import free_port
from tests.support.wire import replying, server

PUBLIC = "93.184.216.34"


async def resolve_locally(host: str, port: int) -> list[str]:
    """For redirects to names: everything is this machine."""
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("100.127.255.255", False),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("192.0.0.1", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("198.51.100.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("239.255.255.255", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        (f"::ffff:{PUBLIC}", True),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:db8::1", False),
        ("100::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://LOCALHOST./",
        "https://localhost:8443/",
        "http://user@1.1.1.1/",
        "http://user:secret@1.1.1.1/",
        "http://1.1.1.1\\@127.0.0.1/",
        "http://1.1.1.1#@127.0.0.1:22/",
        "http://127.0.0.1#@1.1.1.1/",
        "http://1.1.1.1:22/",
        "http://1.1.1.1:6379/",
        "http://1.1.1.1:0/",
        "http://1.1.1.1:99999/",
        "http://1.1.1.1:a/",
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "gopher://1.1.1.1/",
        "//1.1.1.1/",
        "http://",
        "http:///path",
        "http://1.1.1.1/a b",
        "http://1.1.1.1/\r\nX: y",
        "http://[::1",
        "",
    ],
)
async def test_special_addresses_are_refused_however_they_are_written(url: str) -> None:
    if url == "http://1.1.1.1#@127.0.0.1:22/":  # names 1.1.1.1: must be dialled as that, or not at all
        with pytest.raises((NetworkForbidden, Error), match=r"1\.1\.1\.1"):
            await Client().request("GET", url)
        return
    with pytest.raises(AddressRefused):
        await Client().request("GET", url)


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC, "10.0.0.5"]

    with pytest.raises(AddressRefused):
        await Client(resolve=resolve).request("GET", "http://example.org/")


async def test_the_checked_address_is_dialled_whatever_the_name_says_later() -> None:
    """Rebinding: the second answer is this machine. It must never be asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    async with server(replying("200 OK")) as port:
        with pytest.raises((NetworkForbidden, Error), match=PUBLIC.replace(".", r"\.")) as tried:
            await Client(resolve=resolve).request("GET", f"http://rebind.example:{port}/")
    assert not isinstance(tried.value, AddressRefused)
    assert asked == ["rebind.example"]


class OneHop(Client):
    """Lets the first address pass, as a public one would; the guard is what it is for those after it."""

    def __init__(self) -> None:
        super().__init__(resolve=resolve_locally)
        self.hops = 0

    async def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit_bytes: int, allow_private: bool
    ) -> Reply:
        self.hops += 1
        return await super()._once(method, url, headers, body, limit_bytes, allow_private or self.hops == 1)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://inner.example/",
        "//[::1]/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "/again",
    ],
)
async def test_each_redirect_is_checked_anew(location: str) -> None:
    async with server(replying("302 Found", f"Location: {location}")) as port:
        client = OneHop()
        with pytest.raises(AddressRefused):
            await client.request("GET", f"http://a.example:{port}/")
        assert client.hops == 2


async def test_redirects_are_followed_and_private_names_are_for_our_own_settings_only() -> None:
    client = Client(resolve=resolve_locally)
    async with (
        server(replying("200 OK", body=b"inner")) as inner,
        server(replying("302 Found", f"Location: http://b.example:{inner}/")) as outer,
    ):
        reply = await client.request("GET", f"http://a.example:{outer}/", allow_private=True)
        assert (reply.status, reply.body, reply.url) == (200, b"inner", f"http://b.example:{inner}/")
        with pytest.raises(AddressRefused):
            await client.request("GET", f"http://a.example:{outer}/")


async def test_a_request_reaches_the_server_and_its_answer_comes_back() -> None:
    heads: list[bytes] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        await replying("404 Not Found", "X-Test: yes", body=b"absent")(head, writer)

    async with server(answer) as port:
        headers = {"X-Api-Key": "k"}
        url = f"http://127.0.0.1:{port}/p?q=1"
        reply = await Client().request("POST", url, headers=headers, body=b"{}", allow_private=True)
    assert (reply.status, reply.headers["x-test"], reply.body) == (404, "yes", b"absent")
    assert heads[0].startswith(b"POST /p?q=1 HTTP/1.1\r\n")
    assert b"X-Api-Key: k\r\n" in heads[0]


async def test_secrets_do_not_follow_a_redirect_to_another_origin() -> None:
    heads: list[bytes] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        await replying("200 OK")(head, writer)

    headers = {"Authorization": "Bearer s", "X-Api-Key": "s", "Cookie": "s=1", "Accept": "text/plain"}
    async with (
        server(answer) as inner,
        server(replying("307 Temporary Redirect", f"Location: http://127.0.0.1:{inner}/")) as outer,
    ):
        await Client().request("GET", f"http://127.0.0.1:{outer}/", headers=headers, allow_private=True)
    assert b"text/plain" in heads[0]
    for secret in (b"Bearer s", b"X-Api-Key", b"Cookie"):
        assert secret not in heads[0]


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_redirects_keep_or_change_the_method_as_http_says(status: int, method: str) -> None:
    methods: list[str] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        methods.append(head.split()[0].decode())
        first = len(methods) == 1
        await replying(f"{status} X" if first else "200 OK", *(["Location: /next"] if first else []))(head, writer)

    async with server(answer) as port:
        await Client().request("POST", f"http://127.0.0.1:{port}/", body=b"x", allow_private=True)
    assert methods == ["POST", method]


async def test_endless_redirects_end() -> None:
    hops = 0

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal hops
        hops += 1
        await replying("302 Found", "Location: /again")(head, writer)

    async with server(answer) as port:
        with pytest.raises(Upstream, match="redirects more than"):
            await Client().request("GET", f"http://127.0.0.1:{port}/", allow_private=True)
    assert hops == REDIRECTS_MAX + 1


async def test_a_body_over_the_limit_is_cut_off() -> None:
    async with server(replying("200 OK", body=b"x" * 1001)) as port:
        with pytest.raises(TooLarge):
            await Client().request("GET", f"http://127.0.0.1:{port}/", limit_bytes=1000, allow_private=True)
        reply = await Client().request("GET", f"http://127.0.0.1:{port}/", limit_bytes=1001, allow_private=True)
        assert len(reply.body) == 1001


async def test_an_endless_body_is_cut_off() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
            await writer.drain()

    async with server(answer) as port:
        with pytest.raises(TooLarge):
            await Client().request("GET", f"http://127.0.0.1:{port}/", limit_bytes=1 << 20, allow_private=True)


async def test_a_compressed_bomb_stays_compressed() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    async with server(replying("200 OK", "Content-Encoding: gzip", body=bomb)) as port:
        reply = await Client().request("GET", f"http://127.0.0.1:{port}/", limit_bytes=1 << 20, allow_private=True)
    assert reply.body == bomb


@pytest.mark.parametrize("stage", ["head", "body"])
async def test_a_slow_answer_times_out(stage: str) -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        if stage == "body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:  # a byte now and then, for ever
            writer.write(b"x" if stage == "body" else b"")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with server(answer) as port:
        with pytest.raises(Timeout):
            await Client().request("GET", f"http://127.0.0.1:{port}/", timeout_seconds=0.3, allow_private=True)


async def test_failures_of_the_other_side_are_upstream_errors_that_tell_no_secrets() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")

    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    closing = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    closed_port = closing.sockets[0].getsockname()[1]
    async with closing, server(answer) as port:
        for client, url in (
            (Client(), f"http://127.0.0.1:{port}/?token=secret"),
            (Client(), f"http://127.0.0.1:{free_port()}/?token=secret"),
            (Client(), f"https://127.0.0.1:{closed_port}/?token=secret"),
            (Client(resolve=nowhere), "http://absent.example/?token=secret"),
        ):
            with pytest.raises(Upstream) as failed:
                await client.request("GET", url, allow_private=True, timeout_seconds=20)
            assert "secret" not in failed.value.message


async def test_no_call_is_made_inside_a_transaction(tmp_path: Path) -> None:
    database, bell = Database(async_url("", tmp_path / "db.sqlite")), Bell(tmp_path / "bell")
    ctx = Platform(load({}, data=tmp_path), database, SystemClock(), bell).context(SYSTEM)
    async with server(replying("200 OK")) as port:
        async with ctx.transaction():
            with pytest.raises(AssertionError, match="transaction"):
                await Client().request("GET", f"http://127.0.0.1:{port}/", allow_private=True)
        await Client().request("GET", f"http://127.0.0.1:{port}/", allow_private=True)
    await database.close()
    bell.close()
