"""What a line of `authz_table` is made of: an operation, or a request with what it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.authz_world import World
from tests.support.asgi import AsgiClient, Reply


@dataclass(frozen=True)
class Op:
    """``call`` is the root field with its arguments, values of the `World` in braces."""

    who: str
    call: str
    kind: str = "query"
    instead: str | None = None
    """The error that whoever may gets here, because this world has no such backend."""


Q, M, S = "query", "mutation", "subscription"

Call = Callable[[AsgiClient, World], Any]


@dataclass(frozen=True)
class Rest:
    """``call`` sends the request and returns its `Reply`."""

    who: str
    call: Call
    changes: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def get(path: str) -> Call:
    return lambda client, world: client.get(filled(path, world))


def send(method: str, path: str, body: Callable[[World], bytes], kind: str) -> Call:
    async def call(client: AsgiClient, world: World) -> Reply:
        return await client.request(method, filled(path, world), body=body(world), headers={"content-type": kind})

    return call


def first_event(path: str) -> Call:
    async def call(client: AsgiClient, world: World) -> Reply:
        async with client.stream("GET", filled(path, world)) as stream:
            text = await (stream.until("id: ") if stream.status == 200 else stream.end())
            return Reply(stream.status, stream.headers, text.encode())

    return call


def filled(text: str, world: World) -> str:
    for name in World.__dataclass_fields__:
        text = text.replace(f"<{name}>", str(getattr(world, name)))
    return text
