"""Organizations, members, invitations and the audit log: `Client.teams`.

What is about members, invitations or the audit log is about an organization (id or slug) when one is named, else about
a project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from alternatefutures import operations_teams as operations
from alternatefutures.errors import NotFoundHere
from alternatefutures.models import whole
from alternatefutures.transport import Transport

Document = dict[str, Any]
_PAGES_MAX = 100
_VERIFY_CALLS_MAX = 1_000


class Teams:
    """Answers are documents as the platform's GraphQL schema has them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    # Organizations

    def organizations(self) -> list[Document]:
        found: list[Document] = []
        after = None
        for _ in range(_PAGES_MAX):
            page = self._transport.graphql(operations.ORGANIZATIONS, {"after": after})["organizations"]
            found += page["data"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        return found

    def organization(self, name: str) -> Document:
        """The organization with this id or slug. :raises NotFoundHere: you are in none that is called so."""
        for found in self.organizations():
            if name in (found["id"], found["slug"]):
                return found
        raise NotFoundHere(f"There is no organization {name!r}.", hint="`af organizations list` shows yours.")

    def create_organization(self, name: str) -> Document:
        answer = self._transport.graphql(operations.CREATE_ORGANIZATION, {"name": name}, idempotent=False)
        return dict(answer["createOrganization"])

    def rename_organization(self, organization: str, name: str) -> Document:
        answer = self._transport.graphql(operations.RENAME_ORGANIZATION, {"id": organization, "name": name})
        return dict(answer["updateOrganization"])

    def delete_organization(self, organization: str) -> None:
        self._transport.graphql(operations.DELETE_ORGANIZATION, {"id": organization}, idempotent=False)

    def leave_organization(self, organization: str) -> None:
        self._transport.graphql(operations.LEAVE_ORGANIZATION, {"id": organization}, idempotent=False)

    def transfer_ownership(self, organization: str, user_id: str) -> None:
        """Make a member an owner and become an admin."""
        variables = {"id": organization, "userId": user_id}
        self._transport.graphql(operations.TRANSFER_OWNERSHIP, variables, idempotent=False)

    def transfer_project(self, project: str, organization: str) -> None:
        self._transport.graphql(operations.TRANSFER_PROJECT, {"id": project, "organizationId": organization})

    # Members

    def members(self, *, project: str | None = None, organization: str | None = None) -> list[Document]:
        if organization:
            answer = self._transport.graphql(operations.ORGANIZATION_MEMBERS, {"id": organization})["organization"]
        else:
            answer = self._transport.graphql(operations.PROJECT_MEMBERS, {"id": project})["project"]
        return list(answer["members"]["data"])

    def set_role(self, user_id: str, role: str, *, project: str | None = None, organization: str | None = None) -> None:
        document = operations.SET_ORGANIZATION_ROLE if organization else operations.SET_PROJECT_ROLE
        self._transport.graphql(document, {"id": organization or project, "userId": user_id, "role": role})

    def remove(self, user_id: str, *, project: str | None = None, organization: str | None = None) -> None:
        document = operations.REMOVE_ORGANIZATION_MEMBER if organization else operations.REMOVE_PROJECT_MEMBER
        self._transport.graphql(document, {"id": organization or project, "userId": user_id}, idempotent=False)

    # Invitations

    def invite(self, email: str, role: str, *, project: str | None = None, organization: str | None = None) -> Document:
        document = operations.INVITE_TO_ORGANIZATION if organization else operations.INVITE_TO_PROJECT
        variables = {"id": organization or project, "email": email, "role": role}
        answer = self._transport.graphql(document, variables, idempotent=False)
        return dict(answer["inviteToOrganization" if organization else "inviteToProject"])

    def invitations(self, *, project: str | None = None, organization: str | None = None) -> list[Document]:
        """Those that wait for an answer."""
        if organization:
            answer = self._transport.graphql(operations.ORGANIZATION_INVITATIONS, {"id": organization})["organization"]
        else:
            answer = self._transport.graphql(operations.PROJECT_INVITATIONS, {"id": project})["project"]
        return list(answer["invitations"]["data"])

    def revoke_invitation(self, invitation_id: str) -> None:
        self._transport.graphql(operations.REVOKE_INVITATION, {"id": invitation_id}, idempotent=False)

    def resend_invitation(self, invitation_id: str) -> None:
        self._transport.graphql(operations.RESEND_INVITATION, {"id": invitation_id}, idempotent=False)

    # The audit log

    def audit(
        self,
        wanted: Mapping[str, str],
        *,
        first: int = 50,
        project: str | None = None,
        organization: str | None = None,
    ) -> list[Document]:
        """The newest entries that fit ``wanted`` (`AuditLogWhereInput`), at most 100."""
        variables = {"id": organization or project, "first": first, "where": dict(wanted)}
        document = operations.ORGANIZATION_AUDIT if organization else operations.PROJECT_AUDIT
        answer = self._transport.graphql(document, variables)["organization" if organization else "project"]
        return list(answer["auditLog"]["data"])

    def verify_audit(self, *, project: str | None = None, organization: str | None = None) -> Document:
        """Whether the audit log is as it was written: ``entries``, ``head``, ``brokenAt`` (`None` if it holds)."""
        document = operations.ORGANIZATION_VERIFICATION if organization else operations.PROJECT_VERIFICATION
        kind, after, entries = "organization" if organization else "project", 0, 0
        for _ in range(_VERIFY_CALLS_MAX):
            answer = self._transport.graphql(document, {"id": organization or project, "after": after})
            found: Document = whole(answer[kind]["auditVerification"])
            entries, after = entries + found["entries"], found["last"]
            if found["complete"]:
                break
        return {**found, "entries": entries}

    def export_audit(
        self,
        wanted: Mapping[str, str],
        *,
        kind: str = "jsonl",
        project: str | None = None,
        organization: str | None = None,
    ) -> Iterator[bytes]:
        """The whole log, oldest first, as JSON Lines or ``csv``; ``wanted`` as `audit`."""
        what = f"organizations/{organization}" if organization else f"projects/{project}"
        query = {"format": kind, **{"user" if name == "userId" else name: value for name, value in wanted.items()}}
        yield from self._transport.download(f"/v1/{what}/audit?{urlencode(query)}")
