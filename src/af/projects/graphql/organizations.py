"""Organizations and who is in them."""

from __future__ import annotations

from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType

from af.core.ids import OrganizationId
from af.projects import service as projects
from af.projects.graphql.shared import PAGE_DEFAULT, Given, Info, ctx_of, loaders_of, page_of, page_size
from af.projects.models import Organization, OrganizationMember, OrganizationRole

query = QueryType()
mutation = MutationType()
organization_type = ObjectType("Organization")
member_type = ObjectType("OrganizationMember")
role_type = EnumType("OrganizationRole", OrganizationRole)


@query.field("organization")
async def resolve_organization(_: None, info: Info, where: Given) -> Organization:
    return await projects.get_organization(ctx_of(info), where["id"])


@query.field("organizations")
async def resolve_organizations(
    _: None, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first)
    found = await projects.list_organizations(ctx_of(info), first=size + 1, after=after)
    return page_of([organization for organization, _ in found], size)


@mutation.field("createOrganization")
async def resolve_create(_: None, info: Info, data: Given) -> Organization:
    return await projects.create_organization(
        ctx_of(info), data["name"], slug=data.get("slug"), avatar_url=data.get("avatarUrl")
    )


@mutation.field("updateOrganization")
async def resolve_update(_: None, info: Info, where: Given, data: Given) -> Organization:
    avatar = data["avatarUrl"] or "" if "avatarUrl" in data else None
    return await projects.update_organization(ctx_of(info), where["id"], name=data.get("name"), avatar_url=avatar)


@mutation.field("deleteOrganization")
async def resolve_delete(_: None, info: Info, where: Given) -> bool:
    await projects.delete_organization(ctx_of(info), where["id"])
    return True


@mutation.field("updateOrganizationMember")
async def resolve_change_place(_: None, info: Info, where: Given, data: Given) -> OrganizationMember:
    return await projects.change_place(ctx_of(info), where["organizationId"], where["userId"], data["role"])


@mutation.field("setOrganizationAccess")
async def resolve_set_access(_: None, info: Info, where: Given, data: Given) -> OrganizationMember:
    return await projects.set_access(
        ctx_of(info),
        where["organizationId"],
        where["userId"],
        access_all_projects=data["accessAllProjects"],
        project_ids=data.get("projectIds") or (),
    )


@mutation.field("removeOrganizationMember")
async def resolve_remove_place(_: None, info: Info, where: Given) -> OrganizationMember:
    return await projects.remove_place(ctx_of(info), where["organizationId"], where["userId"])


@mutation.field("leaveOrganization")
async def resolve_leave(_: None, info: Info, where: Given) -> bool:
    await projects.leave_organization(ctx_of(info), where["id"])
    return True


@mutation.field("transferOwnership")
async def resolve_transfer(_: None, info: Info, where: Given) -> OrganizationMember:
    return await projects.transfer_ownership(ctx_of(info), where["organizationId"], where["userId"])


# --- fields ---------------------------------------------------------------------------------------------------------


@organization_type.field("personal")
def resolve_personal(organization: Organization, _: Info) -> bool:
    return organization.personal_of is not None


@organization_type.field("role")
async def resolve_role(organization: Organization, info: Info) -> OrganizationRole | None:
    return await loaders_of(info).place.load(organization.id)


@organization_type.field("members")
async def resolve_members(
    organization: Organization, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first)
    found = await projects.list_places(ctx_of(info), organization.id, first=size + 1, after=after)
    return page_of(found, size, "user_id")


@organization_type.field("projects")
async def resolve_projects(
    organization: Organization, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size, key = page_size(first), OrganizationId(organization.id)
    found = await projects.list_projects(ctx_of(info), first=size + 1, after=after, organization_id=key)
    return page_of(found, size)


@member_type.field("user")
def resolve_user(member: OrganizationMember, info: Info) -> Any:
    return loaders_of(info).user.load(member.user_id)


@member_type.field("projectIds")
async def resolve_project_ids(member: OrganizationMember, info: Info) -> Any:
    found = await loaders_of(info).listed.load((member.organization_id, member.user_id))
    return found or []


for _name, _attribute in {
    "avatarUrl": "avatar_url",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}.items():
    organization_type.set_alias(_name, _attribute)
member_type.set_alias("accessAllProjects", "access_all_projects")
member_type.set_alias("createdAt", "created_at")

bindables = [query, mutation, organization_type, member_type, role_type]
