"""Pinning services: any that speaks the Pinning Service API 1.0.0, Pinata, and Filebase.

The API only names a CID and leaves the fetching to the service, so our content must be on the network (`af up --kubo`).
Pinata and Filebase take the CAR itself. Shapes of the last two are from their published clients; no account of theirs
was at hand when this was written, so the tests hold us to recorded contracts.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from af.core.http import Client
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.replication.backends.asking import Asked, object_of, read_object
from af.replication.errors import ProviderFailed, ProviderNotConfigured
from af.replication.models import CopyState, Cost, Receipt, Source

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
        self._asked = Asked(client, name, token)
        self._endpoint = endpoint.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        query = urlencode({"cid": text, "status": "queued,pinning,pinned", "limit": "1"})
        listed = object_of(await self._asked("GET", f"{self._endpoint}/pins?{query}"), self.name)
        if found := listed.get("results"):
            return self._receipt(found[0])
        body = json.dumps({"cid": text, "name": source.name[:255]}).encode()
        headers = {"Content-Type": "application/json"}
        return self._receipt(
            object_of(await self._asked("POST", f"{self._endpoint}/pins", body=body, headers=headers), self.name)
        )

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("GET", f"{self._endpoint}/pins/{quote(ref, safe='')}", missing=True)
        if reply.status == 404:
            return Receipt(ref=ref, state=CopyState.LOST, detail="the service has no such pin")
        return self._receipt(object_of(reply, self.name))

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
        self._asked = Asked(client, self.name, token)
        self._upload_url = upload_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        found = object_of(
            await self._asked("GET", f"{self._api_url}/v3/files/public?{urlencode({'cid': text})}"), self.name
        )
        files = (found.get("data") or {}).get("files") or []
        if not files:
            fields = {"network": "public", "name": source.name[:50] or text, "car": "true"}
            reply = await self._asked.upload(f"{self._upload_url}/v3/files", source, fields)
            files = [object_of(reply, self.name).get("data") or {}]
        if files[0].get("cid") != text:
            raise ProviderFailed(f"Pinata stored something else than {text}.")
        return self._receipt(files[0])

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("GET", f"{self._api_url}/v3/files/public/{quote(ref, safe='')}", missing=True)
        if reply.status == 404:
            return Receipt(ref=ref, state=CopyState.LOST, detail="Pinata has no such file")
        return self._receipt(object_of(reply, self.name).get("data") or {})

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
        self._asked = Asked(client, self.name, token)
        self._rpc_url = rpc_url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        reply = await self._asked.upload(f"{self._rpc_url}/api/v0/dag/import?pin-roots=true", source, {})
        for line in reply.body.splitlines():
            root = read_object(line, self.name).get("Root") or {}
            if (root.get("Cid") or {}).get("/") == text and not root.get("PinErrorMsg"):
                return Receipt(ref=text, state=CopyState.STORED, url=f"{self._gateway}/ipfs/{text}")
        raise ProviderFailed(
            "Filebase did not say that it has pinned the content.", detail=reply.body[:200].decode("latin-1")
        )

    async def status(self, root: CID, ref: str) -> Receipt:
        reply = await self._asked("POST", f"{self._rpc_url}/api/v0/pin/ls?{urlencode({'arg': ref})}", missing=True)
        kept = reply.status == 200 and ref in (object_of(reply, self.name).get("Keys") or {})
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
