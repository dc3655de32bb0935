"""IPNS names of a project: `Client.ipns`."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from alternatefutures import operations_ipns as operations
from alternatefutures.transport import Transport, segment

Document = dict[str, Any]
RECORD_TYPE = "application/vnd.ipfs.ipns-record"
_PAGES_MAX = 100


class Ipns:
    """Answers are documents as the platform's GraphQL schema has them. ``name``: a name (k51…), its label or its id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def names(self) -> Iterator[Document]:
        """The project's names, oldest first."""
        after: str | None = None
        for _ in range(_PAGES_MAX):
            page = self._transport.graphql(operations.IPNS_NAMES, {"after": after})["ipnsRecords"]
            yield from page["data"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def name(self, name: str) -> Document:
        return dict(self._transport.graphql(operations.IPNS_NAME, {"name": name})["ipnsRecord"])

    def create(self, label: str | None = None) -> Document:
        """A new key and its name."""
        answer = self._transport.graphql(operations.CREATE_IPNS, {"label": label}, idempotent=False)
        return dict(answer["createIpnsRecord"])

    def for_site(self, site_id: str) -> Document:
        """The name that follows a site, made at the first call."""
        return dict(
            self._transport.graphql(operations.CREATE_IPNS_FOR_SITE, {"site": site_id})["createIpnsRecordForSite"]
        )

    def publish(
        self,
        name: str,
        value: str,
        *,
        lifetime_seconds: float | None = None,
        ttl_seconds: float | None = None,
        sequence: int | None = None,
    ) -> Document:
        """Lead the name to a CID or path, from now on."""
        data = {"hash": value, "lifetime": lifetime_seconds, "ttl": ttl_seconds, "sequence": sequence}
        answer = self._transport.graphql(operations.PUBLISH_IPNS, {"id": name, "data": data}, idempotent=False)
        return dict(answer["publishIpnsRecord"])

    def put(self, project: str, name: str, record: bytes) -> Document:
        """Have a record kept that was signed elsewhere; returns what is kept now."""
        reply = self._transport.request("PUT", _record(project, name), body=record, content_type=RECORD_TYPE)
        return dict(reply.json())

    def get(self, project: str, name: str) -> bytes:
        """The newest record of one of the project's names."""
        return b"".join(self._transport.download(_record(project, name)))

    def resolve(self, name: str) -> str:
        """The ``/ipfs/`` path that a name or domain leads to."""
        return str(self._transport.graphql(operations.RESOLVE_IPNS, {"name": name})["resolveIpnsName"])

    def import_key(self, key: bytes, label: str | None = None) -> Document:
        """``key`` as ``ipfs key export`` writes it, in either format."""
        data = {"key": base64.b64encode(key).decode(), "label": label}
        answer = self._transport.graphql(operations.IMPORT_IPNS_KEY, {"data": data}, idempotent=False)
        return dict(answer["importIpnsKey"])

    def export_key(self, name: str, key_format: str | None = None) -> tuple[str, bytes]:
        """The name and its private key, as ``ipfs key export`` writes it."""
        answer = self._transport.graphql(operations.EXPORT_IPNS_KEY, {"id": name, "format": key_format})
        return answer["exportIpnsKey"]["name"], base64.b64decode(answer["exportIpnsKey"]["key"])

    def rotate(self, name: str) -> Document:
        """A new key takes over; the old name leads to the new one, which is returned."""
        answer = self._transport.graphql(operations.ROTATE_IPNS, {"id": name}, idempotent=False)
        return dict(answer["rotateIpnsRecord"])

    def delete(self, name: str) -> Document:
        """Forget the name, its record and its key."""
        return dict(self._transport.graphql(operations.DELETE_IPNS, {"id": name}, idempotent=False)["deleteIpnsRecord"])

    def dnslink(self, site_id: str, host: str | None = None) -> Document | None:
        """The TXT record that leads ``host`` to a site; `None` while there is nothing to lead to."""
        answer = self._transport.graphql(operations.SITE_DNSLINK, {"id": site_id, "host": host})
        return None if answer["site"]["dnslink"] is None else dict(answer["site"]["dnslink"])


def _record(project: str, name: str) -> str:
    return f"/v1/projects/{segment(project)}/ipns/{segment(name)}"
