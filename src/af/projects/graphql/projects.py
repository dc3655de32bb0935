"""Projects, their members, tokens that name a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType

from af import auth
from af.projects import service as projects
from af.projects.graphql.shared import PAGE_DEFAULT, Given, Info, ctx_of, loaders_of, one_id, page_of, page_size
from af.projects.models import Member, Project, Role

query = QueryType()
mutation = MutationType()
user_type = ObjectType("User")
project_type = ObjectType("Project")
member_type = ObjectType("Member")
created_type = ObjectType("PersonalAccessTokenCreated")
role_type = EnumType("Role", Role)


# --- queries --------------------------------------------------------------------------------------------------------


@query.field("project")
async def resolve_project(_: None, info: Info, where: Given | None = None, id: str | None = None) -> Project:
    return await projects.get_project(ctx_of(info), one_id(id, where))


@query.field("projects")
@user_type.field("projects")
async def resolve_projects(
    user: auth.User | None, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Any:
    ctx, size = ctx_of(info), page_size(first)
    if info.parent_type.name != "User":
        return page_of(await projects.list_projects(ctx, first=size + 1, after=after), size)
    is_me = user is not None and user.id == ctx.actor.user_id
    return await projects.list_projects(ctx, first=size) if is_me else []


# --- mutations ------------------------------------------------------------------------------------------------------


@mutation.field("createProject")
async def resolve_create_project(_: None, info: Info, data: Given) -> Project:
    return await projects.create_project(
        ctx_of(info), data["name"], slug=data.get("slug"), organization_id=data.get("organizationId")
    )


@mutation.field("updateProject")
async def resolve_update_project(_: None, info: Info, where: Given, data: Given) -> Project:
    return await projects.update_project(
        ctx_of(info),
        where["id"],
        name=data.get("name"),
        avatar=data["avatar"] or "" if "avatar" in data else None,
        backup_storage_on_arweave=data.get("backupStorageOnArweave"),
        backup_storage_on_filecoin=data.get("backupStorageOnFilecoin"),
    )


@mutation.field("deleteProject")
async def resolve_delete_project(_: None, info: Info, where: Given | None = None, id: str | None = None) -> bool:
    await projects.delete_project(ctx_of(info), one_id(id, where))
    return True


@mutation.field("transferProject")
async def resolve_transfer_project(_: None, info: Info, where: Given, data: Given) -> Project:
    return await projects.transfer_project(ctx_of(info), where["id"], data["organizationId"])


@mutation.field("addMember")
async def resolve_add_member(_: None, info: Info, where: Given, data: Given) -> Member:
    return await projects.add_member(ctx_of(info), where["projectId"], user=data["user"], role=data["role"])


@mutation.field("updateMember")
async def resolve_update_member(_: None, info: Info, where: Given, data: Given) -> Member:
    return await projects.change_role(ctx_of(info), where["projectId"], where["userId"], data["role"])


@mutation.field("removeMember")
async def resolve_remove_member(_: None, info: Info, where: Given) -> Member:
    return await projects.remove_member(ctx_of(info), where["projectId"], where["userId"])


@mutation.field("createPersonalAccessToken")
async def resolve_create_token(
    _: None,
    info: Info,
    *,
    name: str,
    scopes: list[str] | None = None,
    **given: Any,
) -> auth.CreatedToken:
    expires_at, project_id = given.get("expiresAt"), given.get("projectId")
    return await projects.create_token(ctx_of(info), name, scopes=scopes, project_id=project_id, expires_at=expires_at)


@mutation.field("loginWithPersonalAccessToken")
async def resolve_login(_: None, info: Info, data: Given) -> str:
    return await projects.login_with_token(ctx_of(info), data["personalAccessToken"], data.get("projectId"))


# --- fields ---------------------------------------------------------------------------------------------------------


@project_type.field("user")
def resolve_project_user(project: Project, info: Info) -> Any:
    return loaders_of(info).user.load(project.created_by)


@project_type.field("organization")
def resolve_organization(project: Project, info: Info) -> Any:
    return loaders_of(info).organization.load(project.organization_id)


@project_type.field("role")
def resolve_role(project: Project, info: Info) -> Any:
    return loaders_of(info).role.load(project.id)


@project_type.field("members")
async def resolve_members(
    project: Project, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = page_size(first)
    found = await projects.list_members(ctx_of(info), project.id, first=size + 1, after=after)
    return page_of(found, size, "user_id")


@member_type.field("user")
def resolve_user(row: Member, info: Info) -> Any:
    return loaders_of(info).user.load(row.user_id)


for _field in ("id", "name", "expires_at", "last_used_at", "created_at", "scopes", "project_id"):
    _head, *_tail = _field.split("_")
    _camel = _head + "".join(part.capitalize() for part in _tail)
    created_type.set_alias(_camel, f"token.{_field}")
created_type.set_alias("token", "text")
created_type.set_alias("updatedAt", "token.created_at")


@created_type.field("scopes")
def resolve_created_scopes(created: auth.CreatedToken, _: Info) -> Sequence[str]:
    return ["all"] if created.token.scopes is None else sorted(created.token.scopes)


for _type, _aliases in {
    project_type: {
        "backupStorageOnArweave": "backup_storage_on_arweave",
        "backupStorageOnFilecoin": "backup_storage_on_filecoin",
        "organizationId": "organization_id",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
    },
    member_type: {"createdAt": "created_at"},
}.items():
    for _name, _attribute in _aliases.items():
        _type.set_alias(_name, _attribute)

bindables = [query, mutation, user_type, project_type, member_type, created_type, role_type]
