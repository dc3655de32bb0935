"""Invitations: sent by admins, read and accepted by those who have the link."""

from __future__ import annotations

from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType

from af.projects import service as projects
from af.projects.graphql.shared import PAGE_DEFAULT, Given, Info, ctx_of, loaders_of, page_of, page_size
from af.projects.models import Invitation, InvitationState, Organization, Project, ShownInvitation

query = QueryType()
mutation = MutationType()
organization_type = ObjectType("Organization")
project_type = ObjectType("Project")
invitation_type = ObjectType("Invitation")
shown_type = ObjectType("ShownInvitation")
state_type = EnumType("InvitationState", InvitationState)


@query.field("invitation")
async def resolve_invitation(_: None, info: Info, where: Given) -> ShownInvitation:
    return await projects.read_invitation(ctx_of(info), where["token"])


@mutation.field("inviteToOrganization")
async def resolve_invite(_: None, info: Info, where: Given, data: Given) -> Invitation:
    return await projects.invite(
        ctx_of(info),
        where["id"],
        email=data["email"],
        role=data["role"],
        access_all_projects=data.get("accessAllProjects", True) is not False,
    )


@mutation.field("inviteToProject")
async def resolve_invite_to_project(_: None, info: Info, where: Given, data: Given) -> Invitation:
    return await projects.invite_to_project(ctx_of(info), where["id"], email=data["email"], role=data["role"])


@mutation.field("revokeInvitation")
async def resolve_revoke(_: None, info: Info, where: Given) -> Invitation:
    return await projects.revoke_invitation(ctx_of(info), where["id"])


@mutation.field("resendInvitation")
async def resolve_resend(_: None, info: Info, where: Given) -> Invitation:
    return await projects.resend_invitation(ctx_of(info), where["id"])


@mutation.field("acceptInvitation")
async def resolve_accept(_: None, info: Info, where: Given) -> Invitation:
    return await projects.accept_invitation(ctx_of(info), where["token"])


@organization_type.field("invitations")
async def resolve_invitations(
    organization: Organization, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first)
    found = await projects.list_invitations(ctx_of(info), organization.id, first=size + 1, after=after)
    return page_of(found, size)


@project_type.field("invitations")
async def resolve_project_invitations(
    project: Project, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first)
    found = await projects.list_project_invitations(ctx_of(info), project.id, first=size + 1, after=after)
    return page_of(found, size)


@invitation_type.field("invitedBy")
def resolve_inviter(invitation: Invitation, info: Info) -> Any:
    return loaders_of(info).user.load(invitation.invited_by)


for _type, _fields in {
    invitation_type: ("organization_id", "project_id", "expires_at", "sent_at", "created_at"),
    shown_type: ("invited_by", "masked_email", "expires_at"),
}.items():
    for _field in _fields:
        _head, *_tail = _field.split("_")
        _type.set_alias(_head + "".join(part.capitalize() for part in _tail), _field)

bindables = [query, mutation, organization_type, project_type, invitation_type, shown_type, state_type]
