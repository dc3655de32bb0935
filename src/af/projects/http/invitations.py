"""Invitations. No answer has a link's secret: it is in the message only."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.core.clock import iso
from af.core.web import NO_STORE, context, json_body, json_response
from af.projects import service as projects
from af.projects.models import Invitation, OrganizationRole

BODY_BYTES_MAX = 4096
PAGE_MAX = 100


class InviteBody(msgspec.Struct, rename="camel"):
    email: str
    role: OrganizationRole
    access_all_projects: bool = True


async def list_invitations(request: Request) -> Response:
    """``GET /organizations/{organization}/invitations?after=``: ``{"success", "invitations": […], "endCursor"}``."""
    after = request.query_params.get("after")
    found = await projects.list_invitations(context(request), _organization(request), first=PAGE_MAX, after=after)
    cursor = found[-1].id if len(found) == PAGE_MAX else None
    return _answer(invitations=[_shown(invitation) for invitation in found], endCursor=cursor)


async def invite(request: Request) -> Response:
    """``POST /organizations/{organization}/invitations`` ``{"email", "role", "accessAllProjects"?}``: 201."""
    given = await json_body(request, InviteBody, BODY_BYTES_MAX)
    made = await projects.invite(
        context(request),
        _organization(request),
        email=given.email,
        role=given.role,
        access_all_projects=given.access_all_projects,
    )
    return _answer(201, invitation=_shown(made))


async def revoke(request: Request) -> Response:
    """``DELETE /organizations/invitations/{invitation}``."""
    gone = await projects.revoke_invitation(context(request), request.path_params["invitation"])
    return _answer(invitation=_shown(gone))


async def resend(request: Request) -> Response:
    """``POST /organizations/invitations/{invitation}/resend``: a new link; the old one is of no use any more."""
    renewed = await projects.resend_invitation(context(request), request.path_params["invitation"])
    return _answer(invitation=_shown(renewed))


async def read(request: Request) -> Response:
    """``GET /organizations/invitations/{token}``: what the link shows to whoever has it."""
    shown = await projects.read_invitation(context(request), request.path_params["token"])
    return _answer(
        invitation={
            "organization": shown.organization,
            "project": shown.project,
            "role": shown.role,
            "invitedBy": shown.invited_by,
            "maskedEmail": shown.masked_email,
            "expiresAt": iso(shown.expires_at),
        }
    )


async def accept(request: Request) -> Response:
    """``POST /organizations/invitations/{token}/accept``: the caller, whose proven address it is, becomes a member."""
    accepted = await projects.accept_invitation(context(request), request.path_params["token"])
    return _answer(invitation=_shown(accepted))


def _organization(request: Request) -> str:
    return str(request.path_params["organization"])


def _answer(status: int = 200, **fields: Any) -> Response:
    return json_response({"success": True, **fields}, status, headers=NO_STORE)


def _shown(invitation: Invitation) -> dict[str, object]:
    return {
        "id": invitation.id,
        "organizationId": invitation.organization_id,
        "projectId": invitation.project_id,
        "email": invitation.email,
        "role": invitation.role,
        "status": invitation.state.value,
        "expiresAt": iso(invitation.expires_at),
        "createdAt": iso(invitation.created_at),
    }


_ONE = "/organizations/invitations"
routes = [
    Route("/organizations/{organization}/invitations", list_invitations, methods=["GET"]),
    Route("/organizations/{organization}/invitations", invite, methods=["POST"]),
    Route(f"{_ONE}/{{token}}", read, methods=["GET"]),
    Route(f"{_ONE}/{{token}}/accept", accept, methods=["POST"]),
    Route(f"{_ONE}/{{invitation}}", revoke, methods=["DELETE"]),
    Route(f"{_ONE}/{{invitation}}/resend", resend, methods=["POST"]),
]
