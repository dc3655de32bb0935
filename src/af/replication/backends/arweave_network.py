"""The two HTTP services that Arweave is reached by: a gateway, which is or fronts a node, and an upload service.

The gateway's API is https://docs.arweave.org/developers/arweave-node-server/http-api with GraphQL beside it; the upload
service's is Turbo's (https://github.com/ardriveapp/turbo-upload-service). Both are named by the operator's settings, so
their addresses may be private; what they redirect to may not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from af.core.errors import Error, Timeout, TooLarge, Upstream
from af.core.http import AddressRefused, Client, Reply, Stream
from af.protocols.arweave.encoding import InvalidEncoding, from_base64url, is_id
from af.protocols.arweave.transactions import ANCHOR_BYTES_MAX, Tag
from af.replication.backends.arweave_errors import NotPaid
from af.replication.errors import ProviderFailed, ProviderRefused

READ_BYTES_MAX = 1 << 36
_ANSWER_BYTES_MAX = 1 << 20
_SECONDS = 30.0
_FOUND_MAX = 10
_REDIRECTS_MAX = 3
_UNREACHED = (AddressRefused, Timeout, TooLarge, Upstream)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SLOWEST_BYTES_A_SECOND = 64 << 10
_SHOWN_CHARACTERS = 200
_FIND = """
query ($owner: String!, $tags: [TagFilter!], $first: Int!) {
  transactions(owners: [$owner], tags: $tags, first: $first, sort: HEIGHT_DESC) {
    edges { node { id data { size } block { height } } }
  }
}
"""
_LOOK_UP = "query ($id: ID!) { transaction(id: $id) { id data { size } block { height } } }"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a transaction stands: waiting for a block, or in one that so many blocks confirm."""

    mined: bool
    confirmations: int = 0


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index knows of a transaction or item; ``height`` is `None` before it is in a block."""

    id: str
    data_bytes: int
    height: int | None


@dataclass(frozen=True, slots=True)
class ItemStanding:
    """What the upload service says of an item: ``state`` is new, pending, permanent or failed."""

    state: str
    bundle: str
    reason: str


class Gateway:
    """A gateway at ``base``."""

    def __init__(self, client: Client, base: str) -> None:
        self._client = client
        self.base = base.rstrip("/")

    async def price(self, size_bytes: int) -> int:
        """Winston for a transaction with that much data. :raises ProviderFailed:"""
        return _number((await self._get(f"/price/{size_bytes}")).body, "a price")

    async def anchor(self) -> bytes:
        """What a transaction that is made now names as ``last_tx``. :raises ProviderFailed:"""
        text = (await self._get("/tx_anchor")).body.decode("ascii", "replace").strip()
        try:
            anchor = from_base64url(text)
        except InvalidEncoding as error:
            raise ProviderFailed("Arweave's gateway answered with something that is not an anchor.") from error
        if len(anchor) > ANCHOR_BYTES_MAX:
            raise ProviderFailed("Arweave's gateway answered with something that is not an anchor.")
        return anchor

    async def height(self) -> int:
        """Of the newest block. :raises ProviderFailed:"""
        found = _json((await self._get("/info")).body).get("height")
        if not isinstance(found, int):
            raise ProviderFailed("Arweave's gateway does not tell the height of its chain.")
        return found

    async def standing(self, transaction: str) -> Standing | None:
        """`None`: the gateway does not know it. :raises ProviderFailed:"""
        reply = await self._ask("GET", f"/tx/{transaction}/status")
        if reply.status == 404:
            return None
        if reply.status == 202 or reply.body.strip().lower() == b"pending":
            return Standing(mined=False)
        found = _json(reply.body).get("number_of_confirmations") if reply.status == 200 else None
        if not isinstance(found, int) or found < 0:
            raise _unexpected(reply, "the status of a transaction")
        return Standing(mined=True, confirmations=found)

    async def post(self, transaction: dict[str, Any]) -> None:
        """Hand in a signed transaction. :raises ProviderRefused, ProviderFailed:"""
        reply = await self._ask("POST", "/tx", msgspec.json.encode(transaction))
        if reply.status in (402, 410):
            raise NotPaid("The Arweave wallet has not enough AR for this upload.", detail=_shown(reply))
        if reply.status not in (200, 202, 208):  # 208: it has it already
            raise ProviderRefused("Arweave's gateway refused the transaction.", detail=_shown(reply))

    async def post_chunk(self, chunk: dict[str, str]) -> None:
        """Hand in one chunk of a transaction's data. :raises ProviderRefused, ProviderFailed:"""
        reply = await self._ask("POST", "/chunk", msgspec.json.encode(chunk))
        if reply.status not in (200, 202, 208, 303):  # 303: taken, and passed on
            raise ProviderRefused("Arweave's gateway refused a chunk of the data.", detail=_shown(reply))

    async def find(self, owner: str, tags: Sequence[Tag]) -> tuple[Indexed, ...]:
        """What this wallet has sent with all of these tags, newest first; empty where the gateway has no index.

        :raises ProviderFailed:
        """
        filters = [{"name": tag.name.decode(), "values": [tag.value.decode()]} for tag in tags]
        data = await self._graphql(_FIND, {"owner": owner, "tags": filters, "first": _FOUND_MAX})
        edges = data.get("transactions", {}).get("edges") if isinstance(data.get("transactions"), dict) else None
        nodes = [edge.get("node") for edge in edges or () if isinstance(edge, dict)]
        return tuple(found for node in nodes[:_FOUND_MAX] if (found := _indexed(node)))

    async def look_up(self, id: str) -> Indexed | None:
        """A transaction or item by its id, if the index knows it. :raises ProviderFailed:"""
        return _indexed((await self._graphql(_LOOK_UP, {"id": id})).get("transaction"))

    @asynccontextmanager
    async def open(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        """The data of a transaction or item, or its bytes from ``start`` to ``end`` (exclusive), as pieces.

        :raises ProviderFailed: it is not there, or does not come whole
        """
        headers = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        url = f"{self.base}/{id}"
        for _ in range(_REDIRECTS_MAX + 1):
            ours = urlsplit(url)[:2] == urlsplit(self.base)[:2]
            opening = self._client.stream(
                "GET", url, headers=headers, limit_bytes=READ_BYTES_MAX, timeout_seconds=_SECONDS, allow_private=ours
            )
            async with _opened(opening) as answer:
                if answer.status in _REDIRECTS and "location" in answer.headers:
                    url = urljoin(url, answer.headers["location"])
                    continue
                if answer.status not in (200, 206):
                    raise ProviderFailed(f"Arweave's gateway does not have {id} (HTTP {answer.status}).")
                skipped = start if answer.status == 200 else 0
                yield _part(answer, skipped, None if end is None else end - start)
                return
        raise ProviderFailed("Arweave's gateway redirects without end.")

    async def _graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        reply = await self._ask("POST", "/graphql", msgspec.json.encode({"query": query, "variables": variables}))
        if reply.status in (404, 405, 501):
            return {}
        if reply.status != 200:
            raise _unexpected(reply, "a query of its index")
        data = _json(reply.body).get("data")
        return data if isinstance(data, dict) else {}

    async def _get(self, path: str) -> Reply:
        reply = await self._ask("GET", path)
        if reply.status != 200:
            raise _unexpected(reply, path.split("/")[1])
        return reply

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        return await _asked(self._client, method, self.base + path, body=body)


class UploadService:
    """Turbo, or another service with its API: it takes signed items, bundles them, and sees them into blocks."""

    def __init__(self, client: Client, base: str, payment: str) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._payment = payment.rstrip("/")

    async def price(self, size_bytes: int) -> int:
        """Winston credits for an item of that size, head included. :raises ProviderFailed:"""
        reply = await _asked(self._client, "GET", f"{self._payment}/price/bytes/{size_bytes}")
        if reply.status != 200:
            raise _unexpected(reply, "a price", "The payment service")
        return _number(str(_json(reply.body).get("winc", "")).encode(), "a price")

    async def standing(self, item: str) -> ItemStanding | None:
        """`None`: the service does not know it. :raises ProviderFailed:"""
        reply = await _asked(self._client, "GET", f"{self._base}/tx/{item}/status")
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise _unexpected(reply, "the status of an item", "The upload service")
        found = _json(reply.body)
        state = "permanent" if found.get("status") == "FINALIZED" else str(found.get("info", "")).lower()
        if found.get("status") == "FAILED":
            state = "failed"
        return ItemStanding(state, str(found.get("bundleId") or ""), str(found.get("reason") or ""))

    async def send(self, id: str, pieces: AsyncIterator[bytes], size_bytes: int) -> None:
        """Hand in an item, ``size_bytes`` with its head. Doing so twice is harmless.

        :raises NotPaid: no credit. :raises ProviderRefused, ProviderFailed:
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        opening = self._client.stream(
            "POST",
            f"{self._base}/tx",
            headers=headers,
            body=pieces,
            limit_bytes=_ANSWER_BYTES_MAX,
            timeout_seconds=120 + size_bytes / _SLOWEST_BYTES_A_SECOND,
            allow_private=True,
        )
        async with _opened(opening) as answer:
            body = b"".join([piece async for piece in answer.pieces])
            reply = Reply(answer.status, answer.headers, body, self._base)
        if reply.status == 202:
            return  # it has this item
        if reply.status in (401, 402):
            raise NotPaid(
                "The upload service has no credit of the Arweave wallet for this upload.", detail=_shown(reply)
            )
        if reply.status in (429, *range(500, 600)):
            raise _unexpected(reply, "an upload", "The upload service")
        if reply.status not in (200, 201):
            raise ProviderRefused("The upload service refused the item.", detail=_shown(reply))
        if _json(reply.body).get("id") != id:
            raise ProviderFailed("The upload service took something else than was sent.", detail=_shown(reply))


async def _asked(client: Client, method: str, url: str, *, body: bytes | None = None) -> Reply:
    try:
        reply = await client.request(
            method,
            url,
            headers={"Content-Type": "application/json"} if body is not None else None,
            body=body,
            limit_bytes=_ANSWER_BYTES_MAX,
            timeout_seconds=_SECONDS,
            allow_private=True,
            follow_redirects=False,
        )
    except _UNREACHED as error:
        raise _failed(error) from error
    if reply.status == 429 or reply.status >= 500:
        raise _unexpected(reply, "a request")
    return reply


@asynccontextmanager
async def _opened(opening: Any) -> AsyncGenerator[Stream, None]:
    """A streamed exchange whose failures are the provider's. What the caller raises inside passes as it is."""
    try:
        async with opening as answer:
            yield answer
    except _UNREACHED as error:
        if isinstance(error, ProviderFailed):
            raise
        raise _failed(error) from error


async def _part(answer: Stream, skip: int, size: int | None) -> AsyncIterator[bytes]:
    """The pieces of an answer without its first ``skip`` bytes, ``size`` bytes of them."""
    left = size
    async for piece in answer.pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        piece, skip = piece[skip:], 0
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            yield piece
        if left == 0:
            return
    if left:
        raise ProviderFailed(f"Arweave's gateway sent {left} bytes too few.")


def _indexed(node: object) -> Indexed | None:
    if not isinstance(node, dict) or not is_id(str(node.get("id"))):
        return None
    block, data = node.get("block"), node.get("data")
    height = block.get("height") if isinstance(block, dict) else None
    size = str(data.get("size")) if isinstance(data, dict) else ""
    return Indexed(str(node["id"]), int(size) if size.isdecimal() else -1, height if isinstance(height, int) else None)


def _number(text: bytes, what: str) -> int:
    shown = text.decode("ascii", "replace").strip()
    if not shown.isdecimal() or len(shown) > 30:
        raise ProviderFailed(f"Arweave's gateway answered with something that is not {what}.")
    return int(shown)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ProviderFailed("Arweave's gateway answered with something that is not JSON.") from error
    if not isinstance(found, dict):
        raise ProviderFailed("Arweave's gateway answered with JSON that is not an object.")
    return found


def _unexpected(reply: Reply, what: str, who: str = "Arweave's gateway") -> ProviderFailed:
    return ProviderFailed(f"{who} answered {what} with HTTP {reply.status}.", detail=_shown(reply))


def _failed(error: Error) -> ProviderFailed:
    return ProviderFailed(f"Arweave cannot be reached: {error.message}", detail=error.detail)


def _shown(reply: Reply) -> str:
    """What a service said, for the log."""
    return f"HTTP {reply.status}: {reply.body[:_SHOWN_CHARACTERS].decode('utf-8', 'replace')}"
