"""Private gateways of a project: `Client.gateways`."""

from __future__ import annotations

from typing import Any

from alternatefutures import operations_gateways as operations
from alternatefutures.errors import NotFoundHere
from alternatefutures.transport import Transport

Document = dict[str, Any]


class Gateways:
    """Answers are documents as the platform's GraphQL schema has them. A gateway is named by id, slug or name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[Document]:
        """All, oldest first."""
        return list(self._transport.graphql(operations.PRIVATE_GATEWAYS)["privateGateways"]["data"])

    def get(self, gateway: str) -> Document:
        """:raises NotFoundHere: none, or several of this name"""
        every = self.list()
        exact = [each for each in every if gateway in (each["id"], each["slug"])]
        found = exact or [each for each in every if each["name"] == gateway]
        if len(found) != 1:
            raise NotFoundHere(
                f"{'Several private gateways are' if found else 'No private gateway is'} called {gateway!r}.",
                hint="`af gateways list` shows their ids.",
            )
        return found[0]

    def create(self, name: str) -> Document:
        """A host of its own, at ``url``."""
        answer = self._transport.graphql(operations.CREATE_PRIVATE_GATEWAY, {"name": name}, idempotent=False)
        return dict(answer["createPrivateGateway"])

    def rename(self, gateway: str, name: str) -> Document:
        """Its host stays."""
        variables = {"id": self.get(gateway)["id"], "name": name}
        return dict(self._transport.graphql(operations.UPDATE_PRIVATE_GATEWAY, variables)["updatePrivateGateway"])

    def delete(self, gateway: str) -> Document:
        """With its zone. The content stays."""
        found = self.get(gateway)
        self._transport.graphql(operations.DELETE_PRIVATE_GATEWAY, {"id": found["id"]}, idempotent=False)
        self._transport.graphql(operations.DELETE_ZONE, {"id": found["zone"]["id"]}, idempotent=False)
        return found
