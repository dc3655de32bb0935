"""The RPC API of a Kubo node (https://docs.ipfs.tech/reference/kubo/rpc/), as far as the platform uses it.

The one client for Kubo: blocks (`kubo.KuboStore`), copies of public content and IPNS records (`service.network`),
content from other nodes (`service.retrieval`). The address is the operator's setting, so it may be private. What the
node answers is checked by whoever stores it: a node is not trusted with hashes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from af.core.errors import Error, Timeout, Upstream
from af.core.http import Client, Reply
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.storage.errors import BlockServiceFailed, KuboRefused, KuboUnauthorized, KuboUnreachable

ANSWER_SECONDS = 60.0
IMPORT_SECONDS = 3600.0
"""For a CAR to be sent, taken in, and its root pinned (the node walks all of it)."""
PROVIDE_SECONDS = 180.0
"""A walk through the DHT commonly takes one to two minutes."""
COLLECT_SECONDS = 1800.0
_CALLS_MAX = 16
_ANSWER_BYTES_MAX = 17 << 20
_PINS_BYTES_MAX = 1 << 30
_LINE_BYTES_MAX = 1 << 20
_HEADER = 'Content-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: application/octet-stream\r\n\r\n'
_START_HINT = "Start the node, or correct AF_KUBO_RPC_URL (its RPC API, commonly port 5001)."
_NOT_FOUND = (b"not found", b"could not find", b"context deadline exceeded")
Query = Sequence[tuple[str, str]]
Pieces = AbstractAsyncContextManager[AsyncIterator[bytes]]
T = TypeVar("T")


class _Named(msgspec.Struct, rename="pascal"):
    """The fields of several answers; absent ones keep their defaults."""

    version: str = ""
    key: str = ""
    message: str = ""
    cid: str = ""
    peers: list[msgspec.Raw] | None = None
    repo_size: int = 0
    storage_max: int = 0


class _Node(msgspec.Struct):
    id: str = msgspec.field(name="ID")
    agent: str = msgspec.field(name="AgentVersion", default="")
    addresses: list[str] | None = msgspec.field(name="Addresses", default=None)


class _Link(msgspec.Struct):
    target: str = msgspec.field(name="/")


class _Root(msgspec.Struct):
    cid: _Link = msgspec.field(name="Cid")
    error: str = msgspec.field(name="PinErrorMsg", default="")


class _Imported(msgspec.Struct):
    """One line of ``dag/import``: a root that was pinned or not, or figures, or an error in the middle."""

    root: _Root | None = msgspec.field(name="Root", default=None)
    message: str = msgspec.field(name="Message", default="")


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who the node is. ``addresses`` end in ``/p2p/<peer id>``; ``agent`` is such as ``kubo/0.40.1``."""

    peer_id: str
    agent: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepositoryUse:
    """Bytes that the node's repository takes, and may take before it collects garbage."""

    bytes: int
    bytes_max: int


class KuboRpc:
    """A node's RPC API at ``url`` (``http://host:port``, a path before ``/api/v0`` is kept). Bounded to 16 calls at a
    time, imports and exports apart.

    :raises KuboUnreachable: no answer. :raises KuboUnauthorized: it wants other credentials.
    :raises KuboRefused: it answered with an error. (All are `BlockServiceFailed`.)
    """

    def __init__(self, url: str, client: Client, *, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._calls = asyncio.Semaphore(_CALLS_MAX)

    # The node

    async def version(self, *, timeout_seconds: float = ANSWER_SECONDS) -> str:
        """Such as ``0.40.1``."""
        reply = await self._call("version", (), timeout_seconds=timeout_seconds)
        return _decoded("version", reply.body, _Named).version

    async def identity(self, *, timeout_seconds: float = ANSWER_SECONDS) -> NodeIdentity:
        found = _decoded("id", (await self._call("id", (), timeout_seconds=timeout_seconds)).body, _Node)
        return NodeIdentity(found.id, found.agent, tuple(found.addresses or ()))

    async def peers(self, *, timeout_seconds: float = ANSWER_SECONDS) -> int:
        """How many nodes it is connected to; none when it is offline."""
        reply = await self._call("swarm/peers", (), timeout_seconds=timeout_seconds, expected=[b"online mode"])
        return len(_decoded("swarm/peers", reply.body, _Named).peers or ())

    async def connect(self, address: str) -> None:
        """Connect the node to another: ``/ip4/…/tcp/…/p2p/<peer id>``."""
        await self._call("swarm/connect", [("arg", address)])

    async def repository(self) -> RepositoryUse:
        reply = await self._call("repo/stat", [("size-only", "true")])
        found = _decoded("repo/stat", reply.body, _Named)
        return RepositoryUse(bytes=found.repo_size, bytes_max=found.storage_max)

    async def collect_garbage(self) -> None:
        """Remove every block that is not pinned there, whoever put it. For a node that is ours alone."""
        await self._call("repo/gc", [("silent", "true")], timeout_seconds=COLLECT_SECONDS)

    # Whole DAGs

    async def import_car(self, parts: AsyncIterable[bytes], *, pin: bool = True) -> tuple[CID, ...]:
        """Send a CAR of any length; with ``pin`` its roots are then pinned with all that is below them. Returns the
        roots that the node named (those it pinned)."""
        boundary = secrets.token_hex(16)
        body = _Multipart(parts, boundary)
        query = [("pin-roots", str(pin).lower()), ("allow-big-block", "true"), ("silent", "false")]
        exchange = self._exchange(
            "dag/import",
            query,
            body=body.parts(),
            content_type=f"multipart/form-data; boundary={boundary}",
            limit_bytes=_ANSWER_BYTES_MAX,
            timeout_seconds=IMPORT_SECONDS,
        )
        try:
            async with exchange as pieces:
                lines = [_decoded("dag/import", line, _Imported) async for line in _lines(pieces)]
        except BlockServiceFailed:
            if body.failure is not None:  # the exchange broke because there was nothing more to send
                raise body.failure from None
            raise
        for line in lines:
            refusal = line.message or (line.root.error if line.root else "")
            if refusal:
                raise KuboRefused(f"The Kubo node did not keep the content: {refusal[:300]}.")
        return tuple(_parsed("dag/import", line.root.cid.target) for line in lines if line.root)

    def dag_export(self, cid: CID, *, limit_bytes: int, idle_seconds: float = ANSWER_SECONDS) -> Pieces:
        """``async with rpc.dag_export(cid, …) as pieces:`` the DAG as a CARv1, from the network if need be. A node that
        fails in the middle ends the CAR early and at a border of blocks: check that everything is there."""
        query = [("arg", cids.to_text(cid)), ("progress", "false")]
        return self._exchange("dag/export", query, limit_bytes=limit_bytes, timeout_seconds=idle_seconds)

    async def pin_add(self, cid: CID, *, timeout_seconds: float = IMPORT_SECONDS) -> None:
        """Pin with all that is below, fetching what the node lacks."""
        await self._call("pin/add", [("arg", cids.to_text(cid))], timeout_seconds=timeout_seconds)

    async def pin_rm(self, cid: CID) -> bool:
        """Whether it was pinned."""
        reply = await self._call("pin/rm", [("arg", cids.to_text(cid))], expected=[b"not pinned"])
        return reply.status == 200

    async def is_pinned(self, cid: CID) -> bool:
        """Whether it is pinned with all that is below."""
        query = [("arg", cids.to_text(cid)), ("type", "recursive")]
        return (await self._call("pin/ls", query, expected=[b"is not pinned"])).status == 200

    async def pins(self) -> AsyncIterator[CID]:
        """All that is pinned with what is below."""
        query = [("type", "recursive"), ("stream", "true"), ("quiet", "true")]
        async with self._exchange("pin/ls", query, limit_bytes=_PINS_BYTES_MAX) as pieces:
            async for line in _lines(pieces):
                found = _decoded("pin/ls", line, _Named)
                if found.message:
                    raise KuboRefused(f"The Kubo node could not list its pins: {found.message[:300]}.")
                yield _parsed("pin/ls", found.cid)

    async def provide(self, cid: CID) -> None:
        """Announce to the routing system that the node has this. :raises KuboRefused: also when nobody is connected."""
        await self._call("routing/provide", [("arg", cids.to_text(cid))], timeout_seconds=PROVIDE_SECONDS)

    async def put_ipns_record(self, name: str, record: bytes) -> None:
        """Publish a record that was made elsewhere. ``name`` is an IPNS name as text. A node without a
        network keeps it for itself, and does not check it."""
        boundary = secrets.token_hex(16)
        await self._call(
            "routing/put",
            [("arg", f"/ipns/{name}"), ("allow-offline", "true")],
            body=_part(boundary, "record") + record + _end(boundary),
            content_type=f"multipart/form-data; boundary={boundary}",
            timeout_seconds=PROVIDE_SECONDS,
        )

    # Blocks

    async def block_get(
        self,
        cid: CID,
        *,
        offline: bool = True,
        timeout_seconds: float = ANSWER_SECONDS,
        limit_bytes: int = _ANSWER_BYTES_MAX,
    ) -> bytes | None:
        """The block's bytes (not checked), or `None` if the node does not have it. ``offline=False`` asks the network,
        too, for ``timeout_seconds`` at most."""
        query = [("arg", cids.to_text(cid)), ("offline", str(offline).lower())]
        if not offline:
            query.append(("timeout", f"{max(1, timeout_seconds - 1):.0f}s"))  # it says so itself, just before we would
        reply = await self._call(
            "block/get", query, timeout_seconds=timeout_seconds, limit_bytes=limit_bytes, expected=_NOT_FOUND
        )
        return reply.body if reply.status == 200 else None

    async def block_put(self, blocks: Sequence[bytes], *, function: str) -> list[CID]:
        """Store blocks, unpinned, under the hash ``function`` (``sha2-256`` …); the CIDs that the node made (raw)."""
        boundary = secrets.token_hex(16)
        parts = [piece for data in blocks for piece in (_part(boundary, "b"), data, b"\r\n")]
        reply = await self._call(
            "block/put",
            [("cid-codec", "raw"), ("mhtype", function), ("allow-big-block", "true"), ("pin", "false")],
            body=b"".join((*parts, _end(boundary)[2:])),
            content_type=f"multipart/form-data; boundary={boundary}",
        )
        keys = [_decoded("block/put", line, _Named).key for line in reply.body.splitlines() if line]
        return [_parsed("block/put", key) for key in keys]

    async def block_rm(self, blocks: Sequence[CID]) -> None:
        """Remove blocks, absent ones too. They go in the address: a hundred at once."""
        await self._call(
            "block/rm", [("force", "true"), ("quiet", "true"), *(("arg", cids.to_text(c)) for c in blocks)]
        )

    # The exchange

    async def _call(
        self,
        command: str,
        query: Query,
        *,
        body: bytes | None = None,
        content_type: str = "",
        timeout_seconds: float = ANSWER_SECONDS,
        limit_bytes: int = _ANSWER_BYTES_MAX,
        expected: Sequence[bytes] = (),
    ) -> Reply:
        """One short exchange. An error whose text holds one of ``expected`` is a reply; any other raises."""
        headers = {**self._headers, **({"Content-Type": content_type} if body is not None else {})}
        try:
            async with self._calls:
                reply = await self._client.request(
                    "POST",
                    self._address(command, query),
                    headers=headers,
                    body=body,
                    limit_bytes=limit_bytes,
                    timeout_seconds=timeout_seconds,
                    allow_private=True,  # the address is the operator's setting
                    follow_redirects=False,  # the token is for this node
                )
        except (Upstream, Timeout) as error:
            raise _unreachable(error) from error
        if reply.status != 200 and not any(text in reply.body for text in expected):
            raise _refusal(command, reply.status, reply.body)
        return reply

    @asynccontextmanager
    async def _exchange(
        self,
        command: str,
        query: Query,
        *,
        body: AsyncIterable[bytes] | None = None,
        content_type: str = "",
        limit_bytes: int,
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """One exchange with a long body in either direction; ``timeout_seconds`` is until the answer begins, and the
        longest pause in it."""
        headers = {**self._headers, **({"Content-Type": content_type} if body is not None else {})}
        try:
            async with self._client.stream(
                "POST",
                self._address(command, query),
                headers=headers,
                body=body,
                limit_bytes=limit_bytes,
                timeout_seconds=timeout_seconds,
                idle_seconds=timeout_seconds,
                allow_private=True,
            ) as stream:
                if stream.status != 200:
                    raise _refusal(command, stream.status, b"".join([piece async for piece in stream.pieces]))
                yield stream.pieces
        except BlockServiceFailed:
            raise
        except (Upstream, Timeout) as error:
            raise _unreachable(error) from error

    def _address(self, command: str, query: Query) -> str:
        return f"{self.url}/api/v0/{command}" + (f"?{urlencode(query)}" if query else "")


def _unreachable(error: Upstream | Timeout) -> KuboUnreachable:
    return KuboUnreachable(f"The Kubo node does not answer: {error.message}", hint=_START_HINT, detail=error.detail)


def _refusal(command: str, status: int, body: bytes) -> KuboRefused | KuboUnauthorized:
    if status in (401, 403):
        return KuboUnauthorized(
            "The Kubo node refuses our credentials.",
            hint="Set AF_KUBO_RPC_TOKEN to the bearer secret of API.Authorizations in its configuration.",
            detail=body[:300].decode("utf-8", "replace"),
        )
    if status in (404, 405):
        return KuboRefused(
            f"AF_KUBO_RPC_URL does not lead to the RPC API of a Kubo node ({status} for {command}).", hint=_START_HINT
        )
    try:
        text = msgspec.json.decode(body, type=_Named).message
    except msgspec.MsgspecError:
        text = ""
    text = text or body.decode("utf-8", "replace").strip()
    return KuboRefused(f"The Kubo node refused {command}: {text[:300]}.", detail=f"status {status}")


def _decoded(command: str, text: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.MsgspecError as error:
        raise KuboRefused(f"The Kubo node answered {command} with something unexpected.", detail=str(error)) from error


def _parsed(command: str, text: str) -> CID:
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise KuboRefused(f"The Kubo node answered {command} without a CID.", detail=text[:100]) from error


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Newline-delimited JSON."""
    held = b""
    async for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(held) > _LINE_BYTES_MAX:
            raise KuboRefused("The Kubo node answered a line without end.")
    if held.strip():
        yield held


class _Multipart:
    """A body of one file that comes in parts; remembers why it ended early."""

    def __init__(self, content: AsyncIterable[bytes], boundary: str) -> None:
        self._content = content
        self._boundary = boundary
        self.failure: Error | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        yield _part(self._boundary, "root.car")
        try:
            async for part in self._content:
                yield part
        except Error as error:
            self.failure = error
            raise
        yield _end(self._boundary)


def _part(boundary: str, name: str) -> bytes:
    return f"--{boundary}\r\n{_HEADER.format('file', name)}".encode()


def _end(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode()
