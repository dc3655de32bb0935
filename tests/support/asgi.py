"""A client for ASGI applications in this process: real requests and responses, no socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message

REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """A whole response; header names in lower case, several ``set-cookie`` joined by newlines."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Stream:
    """A response as it arrives."""

    status: int
    headers: Mapping[str, str]
    _parts: asyncio.Queue[bytes | None]
    text: str = field(default="")

    async def until(self, wanted: str, seconds: float = 10.0) -> str:
        """What has arrived once it contains ``wanted``; fails when it does not in time, or the response ends."""
        async with asyncio.timeout(seconds):
            while wanted not in self.text:
                part = await self._parts.get()
                assert part is not None, f"the response ended without {wanted!r}: {self.text!r}"
                self.text += part.decode()
        return self.text

    async def end(self, seconds: float = 10.0) -> str:
        """Everything, once the response has ended."""
        async with asyncio.timeout(seconds):
            while (part := await self._parts.get()) is not None:
                self.text += part.decode()
        return self.text


@dataclass
class AsgiClient:
    """Sends requests to ``app``. ``headers`` go with each; ``host`` is what the Host header says."""

    app: ASGIApp
    host: str = "localhost:8787"
    headers: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"

    def as_token(self, token: str) -> AsgiClient:
        return AsgiClient(self.app, self.host, {**self.headers, "authorization": f"Bearer {token}"}, self.address)

    def as_cookie(self, value: str, origin: str | None = "http://localhost:8787") -> AsgiClient:
        headers = {**self.headers, "cookie": f"__Host-af_session={value}"}
        if origin is not None:
            headers["origin"] = origin
        return AsgiClient(self.app, self.host, headers, self.address)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.request("GET", path, headers=_dashed(headers))

    async def post(self, path: str, body: bytes | str | dict[str, Any] | list[Any] = b"", **headers: str) -> Reply:
        return await self.request("POST", path, body=body, headers=_dashed(headers))

    async def graphql(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The response document of a GraphQL operation."""
        reply = await self.post("/graphql", {"query": query, "variables": variables or {}}, **headers)
        return reply.json()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str | dict[str, Any] | list[Any] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        async with asyncio.timeout(REQUEST_SECONDS):
            async with self.stream(method, path, body=body, headers=headers) as stream:
                text = bytearray()
                while (part := await stream._parts.get()) is not None:
                    text += part
        return Reply(stream.status, stream.headers, bytes(text))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str | dict[str, Any] | list[Any] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        """The response while it arrives; leaving the block is a client that goes away."""
        sent = {"host": self.host, **self.headers, **(headers or {})}
        if isinstance(body, (dict, list)):
            sent.setdefault("content-type", "application/json")
            body = json.dumps(body)
        content = body.encode() if isinstance(body, str) else body
        parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        started: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        gone = asyncio.Event()
        requests = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            if requests:
                return requests.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.set_result(message)
                return
            if message.get("body"):
                await parts.put(message["body"])
            if not message.get("more_body"):
                await parts.put(None)

        async def run() -> None:
            try:
                await self.app(self._scope(method, path, sent), receive, send)
            except BaseException as error:
                if not started.done():
                    started.set_exception(error)
                raise
            finally:
                await parts.put(None)

        task = asyncio.ensure_future(run())
        try:
            start = await started
            yield Stream(start["status"], _headers(start["headers"]), parts)
        finally:
            gone.set()
            done, _ = await asyncio.wait([task], timeout=5)
            if not done:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _scope(self, method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        plain, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": plain,
            "raw_path": quote(plain).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (self.address, 40000),
            "server": ("127.0.0.1", 8787),
        }


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key = name.decode().lower()
        found[key] = f"{found[key]}\n{value.decode()}" if key in found else value.decode()
    return found


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
