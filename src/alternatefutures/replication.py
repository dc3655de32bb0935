"""Copies of content at other providers: `Client.replication`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alternatefutures import operations_replication as operations
from alternatefutures.transport import Transport

Document = dict[str, Any]
_PAGES_MAX = 1_000


class Replication:
    """Answers are documents as the platform's GraphQL schema has them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def providers(self) -> list[Document]:
        return list(self._transport.graphql(operations.STORAGE_PROVIDERS)["storageProviders"]["data"])

    def policies(self) -> list[Document]:
        """The project's own first, then those of its sites."""
        return list(self._transport.graphql(operations.POLICIES)["replicationPolicies"]["data"])

    def set_policy(self, providers: Sequence[str], *, site_id: str | None = None) -> Document:
        """Keep copies at exactly these providers."""
        variables = {"providers": list(providers), "site": site_id}
        return dict(self._transport.graphql(operations.SET_POLICY, variables)["setReplicationPolicy"])

    def delete_policy(self, *, site_id: str | None = None) -> None:
        self._transport.graphql(operations.DELETE_POLICY, {"site": site_id}, idempotent=False)

    def copies(self, cid: str | None = None) -> Iterator[Document]:
        """The project's copies, oldest first; with ``cid`` only those of that content."""
        after: str | None = None
        for _ in range(_PAGES_MAX):
            page = self._transport.graphql(operations.REPLICAS, {"cid": cid, "after": after})["replicas"]
            yield from page["data"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def check(self, cid: str) -> int:
        """Look at the copies of a content now; how many there are."""
        return int(self._transport.graphql(operations.CHECK_REPLICAS, {"cid": cid})["checkReplicas"])

    def verify(self, cid: str) -> list[Document]:
        """Ask every place that should have the content, and hash what it gives."""
        return list(self._transport.graphql(operations.VERIFY, {"cid": cid})["verifyContent"]["data"])
