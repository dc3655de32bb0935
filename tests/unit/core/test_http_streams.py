"""The guarded HTTP client with bodies that do not fit in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from af.core.errors import Timeout, TooLarge
from af.core.http import AddressRefused, Client
from tests.support.wire import replying, server


async def pieces_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_stream_gives_the_body_in_pieces_and_sends_one_in_pieces() -> None:
    received = bytearray()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        received.extend(head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await writer.drain()
        writer.write(b"def")

    async with server(answer) as port:
        body = pieces_of(b"one", b"two")
        url = f"http://127.0.0.1:{port}/"
        async with Client().stream("POST", url, body=body, limit_bytes=6, allow_private=True) as reply:
            assert (reply.status, b"".join([piece async for piece in reply.pieces])) == (200, b"abcdef")
    assert b"Transfer-Encoding: chunked" in received


async def test_a_stream_ends_at_its_limit() -> None:
    async with (
        server(replying("200 OK", body=b"x" * 100)) as port,
        Client().stream("GET", f"http://127.0.0.1:{port}/", limit_bytes=99, allow_private=True) as reply,
    ):
        with pytest.raises(TooLarge):
            [piece async for piece in reply.pieces]


async def test_a_stream_that_falls_silent_is_given_up() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(60)

    async with server(answer) as port:
        url = f"http://127.0.0.1:{port}/"
        async with Client().stream("GET", url, limit_bytes=9, idle_seconds=0.05, allow_private=True) as reply:
            with pytest.raises(Timeout):
                [piece async for piece in reply.pieces]


async def test_a_stream_goes_to_public_addresses_only() -> None:
    with pytest.raises(AddressRefused):
        async with Client().stream("GET", "http://127.0.0.1:80/", limit_bytes=9):
            raise AssertionError("it was opened")
