"""SMS by Twilio's Programmable Messaging, or by any gateway that takes a small JSON body.

Twilio: ``POST /2010-04-01/Accounts/{sid}/Messages.json``, a form with To, From (or MessagingServiceSid) and Body; 201
is success, errors are ``{"code", "message", "status"}`` (twilio.com/docs/api/errors).
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

from af.core.errors import Error
from af.core.http import Client, Reply
from af.core.messages.errors import DeliveryDelayed, DeliveryRefused

TWILIO = "https://api.twilio.com"
SEND_SECONDS = 20.0
ANSWER_BYTES_MAX = 64 << 10
REASON_CHARS_MAX = 200
RETRY_AFTER_SECONDS_MAX = 3600.0
_OURS = frozenset({401, 403, 404, 408, 425, 429})
"""Statuses that say nothing about the message: our credentials, our address, or "later"."""
_DIGITS = re.compile(r"\+?\d[\d ().-]{5,}\d")


class TwilioTexter:
    """A `Texter`. ``sender`` is a number, a name (where countries allow it) or a Messaging Service (``MG…``)."""

    def __init__(
        self,
        client: Client,
        *,
        account_sid: str,
        auth_token: str,
        sender: str,
        base_url: str = TWILIO,
        allow_private: bool = False,
    ) -> None:
        self._client = client
        self._url = f"{base_url}/2010-04-01/Accounts/{quote(account_sid, safe='')}/Messages.json"
        self._authorization = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._sender = {"MessagingServiceSid" if re.fullmatch("MG[0-9a-f]{32}", sender) else "From": sender}
        self._allow_private = allow_private

    async def send(self, to: str, text: str) -> None:
        """See `Texter`."""
        reply = await _post(
            self._client,
            self._url,
            urlencode({"To": to, **self._sender, "Body": text}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Authorization": self._authorization},
            allow_private=self._allow_private,
        )
        if reply.status in (200, 201):
            return
        answer = _json(reply.body)
        said = _DIGITS.sub("[number]", " ".join(str(answer.get("message", "")).split()))
        raise _failure("Twilio", reply, f"{str(answer.get('code', ''))[:10]} {said[:REASON_CHARS_MAX]}")


class GatewayTexter:
    """A `Texter` for any service: ``POST url`` with ``{"to", "text"}`` and the token as Bearer; 2xx means taken."""

    def __init__(self, client: Client, *, url: str, token: str) -> None:
        self._client = client
        self._url = url
        self._token = token

    async def send(self, to: str, text: str) -> None:
        """See `Texter`."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = json.dumps({"to": to, "text": text}).encode()
        reply = await _post(self._client, self._url, body, headers, allow_private=True)  # the operator's own address
        if not 200 <= reply.status < 300:
            raise _failure("The SMS gateway", reply, "")


async def _post(client: Client, url: str, body: bytes, headers: dict[str, str], *, allow_private: bool) -> Reply:
    try:
        return await client.request(
            "POST",
            url,
            headers={"Accept": "application/json", **headers},
            body=body,
            limit_bytes=ANSWER_BYTES_MAX,
            timeout_seconds=SEND_SECONDS,
            allow_private=allow_private,
        )
    except Error as error:  # not reached, not whole, or not an address
        raise DeliveryDelayed("The SMS service could not be used.", detail=error.message) from error


def _failure(service: str, reply: Reply, said: str) -> DeliveryRefused | DeliveryDelayed:
    detail = f"{reply.status} {said}".strip()
    if 400 <= reply.status < 500 and reply.status not in _OURS:
        return DeliveryRefused(f"{service} refused the message.", detail=detail)
    return DeliveryDelayed(
        f"{service} did not take the message.", detail=detail, retry_after_seconds=_retry_after(reply)
    )


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if re.fullmatch(r"\d{1,6}", text) else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
