"""Service accounts and trust rules of a project: `Client.machines`."""

from __future__ import annotations

from typing import Any

from alternatefutures import operations_machines as operations
from alternatefutures.errors import NotFoundHere
from alternatefutures.transport import Transport

Document = dict[str, Any]


class Machines:
    """Answers are documents as the platform's GraphQL schema has them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def accounts(self, project: str) -> list[Document]:
        return list(
            self._transport.graphql(operations.SERVICE_ACCOUNTS, {"project": project})["serviceAccounts"]["data"]
        )

    def account(self, project: str, name: str) -> Document:
        """The service account with this id, name or user name. :raises NotFoundHere: the project has none."""
        for found in self.accounts(project):
            if name in (found["id"], found["name"], found["username"]):
                return found
        raise NotFoundHere(
            f"The project has no service account {name!r}.", hint="`af service-accounts list` shows those it has."
        )

    def create_account(self, project: str, name: str, role: str) -> Document:
        variables = {"project": project, "name": name, "role": role}
        answer = self._transport.graphql(operations.CREATE_SERVICE_ACCOUNT, variables, idempotent=False)
        return dict(answer["createServiceAccount"])

    def delete_account(self, project: str, account: str) -> None:
        variables = {"project": project, "id": account}
        self._transport.graphql(operations.DELETE_SERVICE_ACCOUNT, variables, idempotent=False)

    def create_token(
        self, project: str, account: str, name: str, *, scopes: list[str] | None, expires_at: str | None
    ) -> Document:
        """With ``token``, the only time that it is shown."""
        data = {"name": name, "scopes": scopes, "expiresAt": expires_at}
        variables = {"project": project, "id": account, "data": data}
        answer = self._transport.graphql(operations.CREATE_SERVICE_TOKEN, variables, idempotent=False)
        return dict(answer["createServiceAccountToken"])

    def revoke_token(self, project: str, account: str, token: str) -> None:
        variables = {"project": project, "id": account, "token": token}
        self._transport.graphql(operations.REVOKE_SERVICE_TOKEN, variables, idempotent=False)

    def rules(self, project: str) -> list[Document]:
        return list(self._transport.graphql(operations.TRUST_RULES, {"project": project})["trustRules"]["data"])

    def add_rule(self, project: str, **data: Any) -> Document:
        """``data`` as the schema's CreateTrustRuleDataInput."""
        variables = {"project": project, "data": data}
        answer = self._transport.graphql(operations.CREATE_TRUST_RULE, variables, idempotent=False)
        return dict(answer["createTrustRule"])

    def remove_rule(self, project: str, rule: str) -> None:
        variables = {"project": project, "id": rule}
        self._transport.graphql(operations.DELETE_TRUST_RULE, variables, idempotent=False)
