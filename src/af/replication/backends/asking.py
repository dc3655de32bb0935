"""Requests to a provider with its token, its answers and failures in our words. The addresses are the operator's."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from af.core.errors import Error
from af.core.http import Client, Reply
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication.errors import NotReadable, ProviderFailed, ProviderRefused
from af.replication.models import Source

BLOCK_BYTES_MAX = 4 << 20
ANSWER_BYTES_MAX = 1 << 20
SECONDS = 30.0
UPLOAD_BYTES_PER_SECOND_MIN = 200_000
"""An upload slower than this is given up."""


class Asked:
    """One provider."""

    def __init__(self, client: Client, name: str, token: str) -> None:
        self._client = client
        self._name = name
        self._token = token

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        missing: bool = False,
    ) -> Reply:
        """A reply with a status of success, or 404 if ``missing`` is an answer, too."""
        try:
            reply = await self._client.request(
                method,
                url,
                headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
                body=body,
                limit_bytes=ANSWER_BYTES_MAX,
                timeout_seconds=SECONDS,
                allow_private=True,
                follow_redirects=False,
            )
        except Error as error:
            raise ProviderFailed(f"{self._name}: {error.message}", detail=error.detail) from error
        self._check(reply.status, reply.body, missing)
        return reply

    async def upload(self, url: str, source: Source, fields: dict[str, str]) -> Reply:
        """The CAR as a form's file, streamed."""
        boundary = secrets.token_hex(16)
        before = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        )
        file_name = f"{cids.to_text(source.root)}.car"
        before += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            "Content-Type: application/vnd.ipld.car\r\n\r\n"
        ).encode()
        after = f"\r\n--{boundary}--\r\n".encode()

        async def form() -> AsyncIterator[bytes]:
            yield before
            async for piece in source.car():
                yield piece
            yield after

        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(before) + source.car_bytes + len(after)),
        }
        seconds = SECONDS + source.car_bytes / UPLOAD_BYTES_PER_SECOND_MIN
        try:
            async with self._client.stream(
                "POST",
                url,
                headers=headers,
                body=form(),
                limit_bytes=ANSWER_BYTES_MAX,
                timeout_seconds=seconds,
                allow_private=True,
            ) as answer:
                body = b"".join([piece async for piece in answer.pieces])
        except ProviderRefused:
            raise
        except Error as error:
            raise ProviderFailed(f"{self._name}: {error.message}", detail=error.detail) from error
        self._check(answer.status, body, missing=False)
        return Reply(answer.status, answer.headers, body, url)

    async def block(self, gateway: str, cid: CID) -> bytes:
        """A block from the provider's gateway, without the token: what everybody gets."""
        if not gateway:
            raise NotReadable(f"{self._name} has no gateway that we know of, so its copy cannot be read back.")
        try:
            reply = await self._client.request(
                "GET",
                f"{gateway}/ipfs/{cids.to_text(cid)}?format=raw",
                headers={"Accept": "application/vnd.ipld.raw"},
                limit_bytes=BLOCK_BYTES_MAX,
                timeout_seconds=SECONDS,
                allow_private=True,
            )
        except Error as error:
            raise ProviderFailed(f"{self._name}'s gateway: {error.message}", detail=error.detail) from error
        if reply.status != 200:
            raise ProviderFailed(f"{self._name}'s gateway answered {reply.status}.")
        return reply.body

    def _check(self, status: int, body: bytes, missing: bool) -> None:
        if status < 300 or (missing and status == 404):
            return
        shown = body[:200].decode("utf-8", "replace")
        if status in (401, 403):
            raise ProviderRefused(f"{self._name} does not accept our token.", detail=shown)
        if status in (402, 409, 413) or (400 <= status < 500 and status not in (404, 408, 425, 429)):
            raise ProviderRefused(f"{self._name} refused the content (HTTP {status}).", detail=shown)
        raise ProviderFailed(f"{self._name} answered with HTTP {status}.", detail=shown)


def object_of(reply: Reply, name: str) -> dict[str, Any]:
    """The JSON object that a reply is. :raises ProviderFailed: it is none."""
    return read_object(reply.body, name)


def read_object(body: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProviderFailed(f"{name} answered with something that is no JSON.") from error
    if not isinstance(found, dict):
        raise ProviderFailed(f"{name} answered with something that is no object.")
    return found
