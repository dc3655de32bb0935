"""Lighthouse (https://docs.lighthouse.storage): keeps CARs on IPFS and makes deals for them on Filecoin.

Shapes are those of its published client (@lighthouse-web3/sdk 0.4.7) and documents; no account was at hand when this
was written, so the tests hold us to recorded contracts. Deals are for aggregates that Lighthouse puts together, so
their piece CIDs are not those of our CARs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from af.core.http import Client, Reply
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.replication.backends.asking import Asked, object_of, read_object
from af.replication.errors import ProviderFailed, ProviderNotConfigured
from af.replication.models import CopyState, Cost, Receipt, Source

DEALS_MAX = 100
LIST_PAGES_MAX = 50
_DEAL = re.compile(r"\bdeal (\d{1,20})\b")
_PROVED = re.compile(r"\b(proving|active)\b", re.IGNORECASE)
"""``dealStatus`` is the storage provider's word: ``Sealing: Proving`` when the sector is sealed and proved."""


class Lighthouse:
    """The provider ``lighthouse``; ``ref`` is the CID, by which it finds everything but what it deletes."""

    name = "lighthouse"

    def __init__(self, client: Client, *, token: str, api_url: str, upload_url: str, gateway: str) -> None:
        self._asked = Asked(client, self.name, token)
        self._api_url = api_url.rstrip("/")
        self._upload_url = upload_url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None  # a plan: so much storage

    async def store(self, source: Source) -> Receipt:
        text = cids.to_text(source.root)
        if await self._file_ids(source.root):
            return await self.status(source.root, text)
        reply = await self._asked.upload(f"{self._upload_url}/api/v0/dag/import", source, {})
        if source.root not in _roots(reply, self.name):
            raise ProviderFailed(
                f"Lighthouse did not say that it has {text}.", detail=reply.body[:200].decode("latin-1")
            )
        return self._receipt(text, CopyState.STORED, "no deal yet")

    async def status(self, root: CID, ref: str) -> Receipt:
        """FINAL once a storage provider proves a sector with the content in it."""
        text = cids.to_text(root)
        query = urlencode({"cid": text})
        info = await self._asked("GET", f"{self._api_url}/api/lighthouse/file_info?{query}", missing=True)
        if info.status == 404:
            return self._receipt(text, CopyState.LOST, "Lighthouse has no such file")
        if not _same(object_of(info, self.name).get("cid"), root):
            raise ProviderFailed("Lighthouse answered about another file.")
        reply = await self._asked("GET", f"{self._api_url}/api/lighthouse/deal_status?{query}", missing=True)
        deals = _deals(reply, self.name) if reply.status == 200 else []
        if not deals:
            return self._receipt(text, CopyState.STORED, "no deal yet")
        proved = [deal for deal in deals if _number(deal, "chainDealID", "dealId")]
        proved = [deal for deal in proved if _PROVED.search(str(deal.get("dealStatus")))]
        state = CopyState.FINAL if proved else CopyState.STORED
        return self._receipt(text, state, "; ".join(map(_told, proved or deals)))

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        return await self._asked.block(self._gateway, cid)

    async def remove(self, root: CID, ref: str) -> None:
        """Lighthouse forgets the file; deals that are made run until their end."""
        for file_id in await self._file_ids(root):
            url = f"{self._api_url}/api/user/delete_file?id={quote(file_id, safe='')}"
            await self._asked("DELETE", url, missing=True)

    async def _file_ids(self, root: CID) -> list[str]:
        """The account's files with this content; it may hold one several times."""
        found: list[str] = []
        last = "null"
        for _ in range(LIST_PAGES_MAX):
            query = urlencode({"lastKey": last, "fileType": "all"})
            page = object_of(await self._asked("GET", f"{self._api_url}/api/user/files_uploaded?{query}"), self.name)
            files = page.get("fileList")
            if not isinstance(files, list):
                raise ProviderFailed("Lighthouse answered with something that is no list of files.")
            files = [file for file in files if isinstance(file, Mapping) and file.get("id")]
            found += [str(file["id"]) for file in files if _same(file.get("cid"), root)]
            if not files or str(files[-1]["id"]) == last:
                break
            last = str(files[-1]["id"])
        return found

    def _receipt(self, text: str, state: CopyState, detail: str) -> Receipt:
        return Receipt(ref=text, state=state, url=f"{self._gateway}/ipfs/{text}", detail=detail[:500])


def open_lighthouse(settings: Settings, client: Client) -> Lighthouse:
    """:raises ProviderNotConfigured:"""
    if not settings.lighthouse_api_key:
        raise ProviderNotConfigured(
            "Lighthouse has no key here.", hint="Set AF_LIGHTHOUSE_API_KEY to an API key of files.lighthouse.storage."
        )
    return Lighthouse(
        client,
        token=settings.lighthouse_api_key,
        api_url=settings.lighthouse_api_url,
        upload_url=settings.lighthouse_upload_url,
        gateway=settings.lighthouse_gateway_url,
    )


def deal_ids(detail: str) -> list[str]:
    """The deals that a receipt's detail names."""
    return _DEAL.findall(detail)


def _told(deal: Mapping[str, Any]) -> str:
    number = _number(deal, "chainDealID", "dealId")
    where = str(deal.get("storageProvider") or deal.get("miner") or "")[:20]
    parts = [f"deal {number}" if number else "deal in the making", f"at {where}" if where else ""]
    end = _number(deal, "endEpoch")
    return " ".join(part for part in [*parts, f"until epoch {end}" if end else ""] if part)


def _number(deal: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a positive number; 0 if none is."""
    values = (deal.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and 0 < value < 10**18), 0)


def _deals(reply: Reply, name: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(reply.body)
    except ValueError as error:
        raise ProviderFailed(f"{name} answered with something that is no JSON.") from error
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ProviderFailed(f"{name} answered with something that is no list of deals.")
    return [deal for deal in found[:DEALS_MAX] if isinstance(deal, Mapping)]


def _roots(reply: Reply, name: str) -> list[CID]:
    """What an import kept: ``{"Hash"}`` as Lighthouse writes it, or ``{"Root": {"Cid": {"/"}}}`` as Kubo does."""
    texts: list[Any] = []
    for line in reply.body.splitlines():
        told = read_object(line, name)
        data = told.get("data")
        told = data if isinstance(data, dict) else told
        root = told.get("Root")
        if isinstance(root, Mapping) and not root.get("PinErrorMsg"):
            link = root.get("Cid")
            texts.append(link.get("/") if isinstance(link, Mapping) else None)
        texts += [told.get("Hash"), told.get("cid")]
    return [root for root in map(_parsed, texts) if root is not None]


def _same(text: Any, root: CID) -> bool:
    return _parsed(text) == cids.as_v1(root)


def _parsed(text: Any) -> CID | None:
    try:
        return cids.as_v1(cids.parse(text)) if isinstance(text, str) else None
    except InvalidCid:
        return None
