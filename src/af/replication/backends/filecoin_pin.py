"""Filecoin Pin (https://github.com/filecoin-project/filecoin-pin): a daemon of the operator's that stores on Filecoin
with proofs of possession (PDP) and speaks the Pinning Service API.

Read from its 0.13: it takes any Bearer token (keep it on loopback), finds a pin's content over IPFS (`af up --kubo`),
and has peculiarities that a plain pinning service has not, which this adapter knows:

- ``status`` in a list is compared as one word, so a filter by several finds nothing;
- a pin is "pinned" although blocks could not be found: ``info.missing_blocks`` says so;
- pins are kept in memory: after a restart none is known, though what is on Filecoin stays there, and is paid for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from af.core.http import Client
from af.core.settings import Settings
from af.protocols import filecoin
from af.protocols.filecoin import InvalidPieceCid
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.replication.backends.asking import Asked, object_of
from af.replication.errors import ProviderFailed, ProviderNotConfigured
from af.replication.models import CopyState, Cost, Receipt, Source

_STATES = {
    "queued": CopyState.WAITING,
    "pinning": CopyState.WAITING,
    "pinned": CopyState.FINAL,
    "failed": CopyState.FAILED,
}
_REF = re.compile(r"(?P<pin>[A-Za-z0-9-]{1,100})(?:@(?P<piece>bafkzcib[a-z2-7]{50,80}))?")


class FilecoinPin:
    """The provider ``filecoin-pin``; ``ref`` is the pin's id and, once it is stored, ``@`` and its piece CID."""

    name = "filecoin-pin"

    def __init__(self, client: Client, *, url: str, token: str, gateway: str) -> None:
        self._asked = Asked(client, self.name, token)
        self._url = url.rstrip("/")
        self._gateway = gateway.rstrip("/")

    async def estimate(self, source: Source) -> Cost | None:
        return None  # the daemon does not say; it refuses when its wallet cannot pay

    async def store(self, source: Source) -> Receipt:
        """Asks for what is there first, since every pin is paid for anew."""
        text = cids.to_text(source.root)
        listed = object_of(await self._asked("GET", f"{self._url}/pins?{urlencode({'cid': text})}"), self.name)
        results = listed.get("results")
        known = [self._receipt(pin, source.root) for pin in results] if isinstance(results, list) else []
        for state in (CopyState.FINAL, CopyState.WAITING):
            for receipt in known:
                if receipt.state is state:
                    return receipt
        body = json.dumps({"cid": text, "name": source.name[:255]}).encode()
        headers = {"Content-Type": "application/json"}
        reply = await self._asked("POST", f"{self._url}/pins", body=body, headers=headers)
        return self._receipt(object_of(reply, self.name), source.root)

    async def status(self, root: CID, ref: str) -> Receipt:
        matched = _REF.fullmatch(ref)
        if matched is None:
            raise ProviderFailed("That is no pin of Filecoin Pin.")
        reply = await self._asked("GET", f"{self._url}/pins/{quote(matched['pin'], safe='')}", missing=True)
        if reply.status != 404:
            return self._receipt(object_of(reply, self.name), root)
        if matched["piece"]:
            detail = f"the daemon was started anew and tells nothing of piece {matched['piece']}"
            return Receipt(ref=ref, state=CopyState.STORED, url=self._address(root), detail=detail)
        return Receipt(ref=ref, state=CopyState.LOST, detail="the daemon was started anew before it had stored it")

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        return await self._asked.block(self._gateway, cid)

    async def remove(self, root: CID, ref: str) -> None:
        """The daemon forgets the pin. Payments for what is stored end in the operator's wallet (Filecoin Pay)."""
        if matched := _REF.fullmatch(ref):
            await self._asked("DELETE", f"{self._url}/pins/{quote(matched['pin'], safe='')}", missing=True)

    def _address(self, root: CID) -> str:
        return f"{self._gateway}/ipfs/{cids.to_text(root)}" if self._gateway else ""

    def _receipt(self, pin: Any, root: CID) -> Receipt:
        try:
            state, ref, text = _STATES[pin["status"]], str(pin["requestid"]), pin["pin"]["cid"]
            is_ours = cids.as_v1(cids.parse(text)) == cids.as_v1(root)
        except (KeyError, TypeError, AttributeError, InvalidCid) as error:
            raise ProviderFailed("filecoin-pin answered with something that is no pin status.") from error
        if not is_ours or not _REF.fullmatch(ref):
            raise ProviderFailed("filecoin-pin answered about another pin.")
        told = pin.get("info")
        info: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        if state is CopyState.FINAL:
            missing = str(info.get("missing_blocks", "0"))
            if missing != "0":
                detail = f"stored without {missing[:10]} blocks that it could not find: is our Kubo node reachable?"
                return Receipt(ref=ref, state=CopyState.FAILED, detail=detail)
            piece = _piece(info.get("synapse_piece_cid"))
            detail = f"piece {piece}, data set {str(info.get('synapse_data_set_id', ''))[:30]}"
            return Receipt(ref=f"{ref}@{piece}", state=state, url=self._address(root), detail=detail)
        return Receipt(ref=ref, state=state, detail=str(info.get("error") or "")[:300])


def open_filecoin_pin(settings: Settings, client: Client) -> FilecoinPin:
    """:raises ProviderNotConfigured:"""
    if not settings.filecoin_pin_url:
        raise ProviderNotConfigured(
            "There is no Filecoin Pin daemon here.",
            hint="Start `PRIVATE_KEY=0x… npx filecoin-pin server` and set AF_FILECOIN_PIN_URL to its address.",
        )
    return FilecoinPin(
        client,
        url=settings.filecoin_pin_url,
        token=settings.filecoin_pin_token or "none",
        gateway=settings.filecoin_pin_gateway_url,
    )


def _piece(text: Any) -> str:
    """The piece CID that the daemon names, in our writing. :raises ProviderFailed: it names none."""
    try:
        cid = cids.parse(text) if isinstance(text, str) else CID(b"")
        filecoin.read_cid_v2(cid)
    except (InvalidCid, InvalidPieceCid) as error:
        raise ProviderFailed("filecoin-pin says that it has stored the content, but not as which piece.") from error
    return cids.to_text(cid)
