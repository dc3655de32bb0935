"""The REST routes of organizations, invitations and the audit log."""

from __future__ import annotations

from typing import Any

from af.server.openapi_shapes import FLAG, JSON, TEXT, Operation, list_of, object_of

_MAYBE = {"type": ["string", "null"]}
_ORGANIZATION = object_of(id=TEXT, slug=TEXT, name=TEXT, avatarUrl=_MAYBE, personal=FLAG, createdAt=TEXT)
_ROLE = {"enum": ["BILLING", "VIEWER", "MEMBER", "ADMIN", "OWNER"]}
_MEMBER = object_of(userId=TEXT, role=_ROLE, accessAllProjects=FLAG, createdAt=TEXT)
_INVITATION = object_of(
    id=TEXT,
    organizationId=TEXT,
    projectId=_MAYBE,
    email=TEXT,
    role=TEXT,
    status={"enum": ["PENDING", "ACCEPTED", "REVOKED", "EXPIRED"]},
    expiresAt=TEXT,
    createdAt=TEXT,
)
_SHOWN = object_of(organization=TEXT, project=_MAYBE, role=TEXT, invitedBy=TEXT, maskedEmail=TEXT, expiresAt=TEXT)
_USER = object_of(id=TEXT, username=TEXT, email=_MAYBE)
_ACCESS: dict[str, Any] = {
    "type": "object",
    "properties": {"accessAllProjects": FLAG, "projectIds": list_of(TEXT)},
    "required": ["accessAllProjects"],
}
_NEW: dict[str, Any] = {
    "type": "object",
    "properties": {"name": TEXT, "slug": TEXT, "avatarUrl": TEXT},
    "required": ["name"],
}
_CHANGE: dict[str, Any] = {"type": "object", "properties": {"name": TEXT, "avatarUrl": TEXT}}
_INVITE: dict[str, Any] = {
    "type": "object",
    "properties": {"email": TEXT, "role": _ROLE, "accessAllProjects": FLAG},
    "required": ["email", "role"],
}
_ONE = "/organizations/{organization}"
_INVITATIONS = "/organizations/invitations"
_AFTER = (("after", "The endCursor of the page before."),)
_FILTER = (
    ("format", "jsonl (the default) or csv."),
    ("action", "The beginning of an action, member. for example."),
    ("user", "Id of who did it."),
    ("target", "Id of what it was done to."),
    ("since", "A time with its zone."),
    ("until", "A time with its zone."),
)


def _gives(status: int = 200, **fields: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    return status, JSON, object_of(success=FLAG, **fields)


def _audit(path: str, summary: str) -> Operation:
    return Operation("GET", path, "audit", summary, gives=(200, "application/jsonl", TEXT), query=_FILTER)


def _route(method: str, path: str, summary: str, **more: Any) -> Operation:
    return Operation(method, path, "organizations", summary, **{"gives": _gives(), **more})


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/auth/me",
        "auth",
        "Who the credentials belong to, and the organizations that they are a member of.",
        gives=(200, JSON, object_of(user=_USER, organizations=list_of(_ORGANIZATION))),
    ),
    _route(
        "GET",
        "/organizations",
        "Those that you are a member of; your personal one is among them.",
        gives=_gives(organizations=list_of(_ORGANIZATION), endCursor=_MAYBE),
        query=_AFTER,
    ),
    _route(
        "POST",
        "/organizations",
        "You become its owner.",
        takes=(JSON, _NEW),
        gives=_gives(201, organization=_ORGANIZATION),
    ),
    _route("GET", _ONE, "By id or slug.", gives=_gives(organization=_ORGANIZATION)),
    _route("PATCH", _ONE, "Rename it.", takes=(JSON, _CHANGE), gives=_gives(organization=_ORGANIZATION)),
    _route("DELETE", _ONE, "Without projects only, by an owner who signed in just now."),
    _route(
        "GET",
        f"{_ONE}/members",
        "Who is in it.",
        gives=_gives(members=list_of(_MEMBER), endCursor=_MAYBE),
        query=_AFTER,
    ),
    _route(
        "PATCH",
        f"{_ONE}/members/{{user}}",
        "Another role, not above your own.",
        takes=(JSON, object_of(role=_ROLE)),
        gives=_gives(member=_MEMBER),
    ),
    _route("DELETE", f"{_ONE}/members/{{user}}", "Remove a member, and its places in the organization's projects."),
    _route(
        "PUT",
        f"{_ONE}/members/{{user}}/access",
        "Which projects a MEMBER or VIEWER sees.",
        takes=(JSON, _ACCESS),
        gives=_gives(member=_MEMBER),
    ),
    _route("POST", f"{_ONE}/leave", "Leave it; for people, not for access tokens."),
    _route(
        "POST",
        f"{_ONE}/transfer",
        "Make a member an owner and become an admin; by an owner who signed in just now.",
        takes=(JSON, object_of(userId=TEXT)),
        gives=_gives(member=_MEMBER),
    ),
    _route(
        "GET",
        f"{_ONE}/invitations",
        "Those that wait for an answer.",
        gives=_gives(invitations=list_of(_INVITATION), endCursor=_MAYBE),
        query=_AFTER,
    ),
    _route(
        "POST",
        f"{_ONE}/invitations",
        "Send an invitation by e-mail, good for seven days.",
        takes=(JSON, _INVITE),
        gives=_gives(201, invitation=_INVITATION),
    ),
    _route(
        "GET",
        f"{_INVITATIONS}/{{token}}",
        "What an invitation's link shows.",
        gives=_gives(invitation=_SHOWN),
        open=True,
    ),
    _route(
        "POST",
        f"{_INVITATIONS}/{{token}}/accept",
        "Become a member; for whoever has proven the invited address.",
        gives=_gives(invitation=_INVITATION),
    ),
    _route("DELETE", f"{_INVITATIONS}/{{invitation}}", "Revoke it.", gives=_gives(invitation=_INVITATION)),
    _route(
        "POST",
        f"{_INVITATIONS}/{{invitation}}/resend",
        "Send a new link; the old one is of no use any more.",
        gives=_gives(invitation=_INVITATION),
    ),
    _audit("/v1/projects/{project}/audit", "A project's audit log, oldest first."),
    _audit("/v1/organizations/{organization}/audit", "An organization's audit log, oldest first."),
    _audit("/account/audit", "What happened to your own account, oldest first."),
)
