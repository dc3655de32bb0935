"""Pinning services: any that speaks the Pinning Service API 1.0.0, Pinata, and Filebase.

The API only names a CID and leaves the fetching to the service, so our content must be on the network (`af up --kubo`).
Pinata and Filebase take the CAR itself. Shapes of the last two are from their published clients; no account of theirs
was at hand when this was written, so the tests hold us to recorded contracts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

from af.core.errors import Error
from af.core.http import Client, Reply
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication.errors import NotReadable, ProviderFailed, ProviderNotConfigured, ProviderRefused
from af.replication.models import CopyState, Cost, Receipt, Source

BLOCK_BYTES_MAX = 4 << 20
ANSWER_BYTES_MAX = 1 << 20
SECONDS = 30.0
UPLOAD_BYTES_PER_SECOND_MIN = 200_000
"""An upload slower than this is given up."""
_STATES = {
    "queued": CopyState.WAITING,
    "pinning": CopyState.WAITING,
    "pinned": CopyState.STORED,
    "failed": CopyState.FAILED,
}


class PinningService:
    """A service at ``endpoint`` (without ``/pins``); ``gateway`` is where its content is read, if it has such."""

    def __init__(self, client: Client, *, name: str, endpoint: str, token: str, gateway: str = "") -> None:
        self.name = name
        self._asked = _Asked(client, name, token)
        self._endpoint = endpoint.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        query = urlencode({"cid": text, "status": "queued,pinning,pinned", "limit": "1"})
        listed = _object(await self._asked("GET", f"{self._endpoint}/pins?{query}"), self.name)
        if found := listed.get("results"):
            return self._receipt(found[0])
        body = json.dumps({"cid": text, "name": source.name[:255]}).encode()
        headers = {"Content-Type": "application/json"}
        return self._receipt(
            _object(await self._asked("POST", f"{self._endpoint}/pins", body=body, headers=headers), self.name)
        )

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("GET", f"{self._endpoint}/pins/{quote(ref, safe='')}", missing=True)
        if reply.status == 404:
            return Receipt(ref=ref, state=CopyState.LOST, detail="the service has no such pin")
        return self._receipt(_object(reply, self.name))

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        return await self._asked.block(self._gateway, cid)

    async def remove(self, root: CID, ref: str) -> None:
        await self._asked("DELETE", f"{self._endpoint}/pins/{quote(ref, safe='')}", missing=True)

    def _receipt(self, status: Any) -> Receipt:
        try:
            state, ref, cid = _STATES[status["status"]], str(status["requestid"]), str(status["pin"]["cid"])
        except (KeyError, TypeError) as error:
            raise ProviderFailed(f"{self.name} answered with something that is no pin status.") from error
        told = status.get("info") or {}
        detail = str(told.get("status_details") or told.get("reason") or "")[:200] if isinstance(told, dict) else ""
        return Receipt(ref=ref, state=state, url=f"{self._gateway}/ipfs/{cid}" if self._gateway else "", detail=detail)


class Pinata:
    """https://docs.pinata.cloud: uploads of its v3 API; ``ref`` is its file id."""

    name = "pinata"

    def __init__(self, client: Client, *, token: str, upload_url: str, api_url: str, gateway: str) -> None:
        self._asked = _Asked(client, self.name, token)
        self._upload_url = upload_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        found = _object(
            await self._asked("GET", f"{self._api_url}/v3/files/public?{urlencode({'cid': text})}"), self.name
        )
        files = (found.get("data") or {}).get("files") or []
        if not files:
            fields = {"network": "public", "name": source.name[:50] or text, "car": "true"}
            reply = await self._asked.upload(f"{self._upload_url}/v3/files", source, fields)
            files = [_object(reply, self.name).get("data") or {}]
        if files[0].get("cid") != text:
            raise ProviderFailed(f"Pinata stored something else than {text}.")
        return self._receipt(files[0])

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("GET", f"{self._api_url}/v3/files/public/{quote(ref, safe='')}", missing=True)
        if reply.status == 404:
            return Receipt(ref=ref, state=CopyState.LOST, detail="Pinata has no such file")
        return self._receipt(_object(reply, self.name).get("data") or {})

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        return await self._asked.block(self._gateway, cid)

    async def remove(self, root: CID, ref: str) -> None:
        await self._asked("DELETE", f"{self._api_url}/v3/files/public/{quote(ref, safe='')}", missing=True)

    def _receipt(self, file: Any) -> Receipt:
        if not file.get("id"):
            raise ProviderFailed("Pinata answered without the id of the file.")
        return Receipt(ref=str(file["id"]), state=CopyState.STORED, url=f"{self._gateway}/ipfs/{file.get('cid', '')}")


class Filebase:
    """https://docs.filebase.com: its RPC, which is Kubo's; ``ref`` is the CID."""

    name = "filebase"

    def __init__(self, client: Client, *, token: str, rpc_url: str, gateway: str) -> None:
        self._asked = _Asked(client, self.name, token)
        self._rpc_url = rpc_url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        reply = await self._asked.upload(f"{self._rpc_url}/api/v0/dag/import?pin-roots=true", source, {})
        for line in reply.body.splitlines():
            root = _json(line, self.name).get("Root") or {}
            if (root.get("Cid") or {}).get("/") == text and not root.get("PinErrorMsg"):
                return Receipt(ref=text, state=CopyState.STORED, url=f"{self._gateway}/ipfs/{text}")
        raise ProviderFailed(
            "Filebase did not say that it has pinned the content.", detail=reply.body[:200].decode("latin-1")
        )

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("POST", f"{self._rpc_url}/api/v0/pin/ls?{urlencode({'arg': ref})}", missing=True)
        kept = reply.status == 200 and ref in (_object(reply, self.name).get("Keys") or {})
        state = CopyState.STORED if kept else CopyState.LOST
        return Receipt(ref=ref, state=state, url=f"{self._gateway}/ipfs/{ref}")

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        return await self._asked.block(self._gateway, cid)

    async def remove(self, root: CID, ref: str) -> None:
        await self._asked("POST", f"{self._rpc_url}/api/v0/pin/rm?{urlencode({'arg': ref})}", missing=True)


def open_pinata(settings: Settings, client: Client) -> Pinata:
    """:raises ProviderNotConfigured:"""
    if not settings.pinata_jwt:
        raise ProviderNotConfigured("Pinata has no key here.", hint="Set AF_PINATA_JWT to an API key's JWT.")
    return Pinata(
        client,
        token=settings.pinata_jwt,
        upload_url=settings.pinata_upload_url,
        api_url=settings.pinata_api_url,
        gateway=settings.pinata_gateway,
    )


def open_filebase(settings: Settings, client: Client) -> Filebase:
    """:raises ProviderNotConfigured:"""
    if not settings.filebase_token:
        raise ProviderNotConfigured(
            "Filebase has no token here.", hint="Set AF_FILEBASE_TOKEN to the IPFS RPC token of a bucket."
        )
    return Filebase(
        client, token=settings.filebase_token, rpc_url=settings.filebase_rpc_url, gateway=settings.filebase_gateway
    )


# --- asking ----------------------------------------------------------------------------------------------------------


class _Asked:
    """Requests to one provider, with its token; failures in our words. The addresses are the operator's."""

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


def _object(reply: Reply, name: str) -> dict[str, Any]:
    return _json(reply.body, name)


def _json(body: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProviderFailed(f"{name} answered with something that is no JSON.") from error
    if not isinstance(found, dict):
        raise ProviderFailed(f"{name} answered with something that is no object.")
    return found
