"""Pin requests: content by CID that the platform fetches from elsewhere and keeps. `Client.pin_requests`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from alternatefutures.errors import PinFailed, UsageError
from alternatefutures.transport import Transport, segment

Document = dict[str, Any]
STATES = ("queued", "pinning", "pinned", "failed")
LIST_MAX = 1000
_FINAL = ("pinned", "failed")
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


class PinRequests:
    """Answers are documents as the IPFS Pinning Service API has them (``PinStatus``)."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self, cid: str, *, name: str = "", origins: Sequence[str] = (), meta: Mapping[str, str] | None = None
    ) -> Document:
        """Ask for content to be fetched and kept. ``origins`` are multiaddrs or addresses of gateways that have it."""
        return self._send("POST", "/pins", _pin(cid, name, origins, meta))

    def replace(
        self,
        request_id: str,
        cid: str,
        *,
        name: str = "",
        origins: Sequence[str] = (),
        meta: Mapping[str, str] | None = None,
    ) -> Document:
        """Ask for something else in the place of an earlier request; answers with the new one."""
        return self._send("POST", f"/pins/{segment(request_id)}", _pin(cid, name, origins, meta))

    def get(self, request_id: str) -> Document:
        return dict(self._transport.request("GET", f"/pins/{segment(request_id)}").json())

    def list(
        self,
        *,
        states: Sequence[str] = STATES,
        cids: Sequence[str] = (),
        name: str | None = None,
        match: str = "exact",
        meta: Mapping[str, str] | None = None,
        limit: int = LIST_MAX,
    ) -> list[Document]:
        """The newest requests that match, at most ``limit``, which may be over one page."""
        query: dict[str, str] = {"status": ",".join(states)}
        if cids:
            query["cid"] = ",".join(cids)
        if name is not None:
            query |= {"name": name, "match": match}
        if meta:
            query["meta"] = json.dumps(dict(meta))
        found: list[Document] = []
        while len(found) < limit:
            page_query = query | {"limit": str(min(LIST_MAX, limit - len(found)))}
            if found:
                page_query["before"] = found[-1]["created"]
            page = self._transport.request("GET", f"/pins?{urlencode(page_query)}").json()
            found += page["results"]
            if not page["results"] or page["count"] <= len(page["results"]):
                break
        return found

    def remove(self, request_id: str) -> None:
        """Forget a request; the platform lets go what it kept."""
        self._transport.request("DELETE", f"/pins/{segment(request_id)}", idempotent=False)

    def wait(
        self, request_id: str, *, timeout_seconds: float = 3600.0, report: Callable[[Document], None] | None = None
    ) -> Document:
        """The request once its content is kept. ``report`` sees it now and then.

        :raises PinFailed: the platform gave up, or it takes longer than ``timeout_seconds``
        """
        if timeout_seconds <= 0:
            raise UsageError("The time to wait must be above zero.")
        deadline = time.monotonic() + timeout_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            found = self.get(request_id)
            if found["status"] == "failed":
                reason = str(found.get("info", {}).get("status_details", ""))
                raise PinFailed(f"{found['pin']['cid']} could not be pinned.", cause=reason)
            if found["status"] in _FINAL:
                return found
            if report is not None:
                report(found)
            if time.monotonic() + pause > deadline:
                raise PinFailed(
                    f"{found['pin']['cid']} is still {found['status']}.",
                    hint="The platform goes on with it: wait again.",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    def _send(self, method: str, path: str, pin: Document) -> Document:
        body = json.dumps(pin).encode()
        return dict(self._transport.request(method, path, body=body, idempotent=False).json())


def _pin(cid: str, name: str, origins: Sequence[str], meta: Mapping[str, str] | None) -> Document:
    pin: Document = {"cid": cid}
    if name:
        pin["name"] = name
    if origins:
        pin["origins"] = list(origins)
    if meta:
        pin["meta"] = dict(meta)
    return pin
