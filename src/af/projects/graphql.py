"""The GraphQL edge of projects: projects, members, the audit log, tokens that name a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from ariadne import EnumType, MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af import auth
from af.core.audit import AuditEntry
from af.core.batch import Batch
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import ProjectId, UserId
from af.projects import service as projects
from af.projects.models import Member, Project, Role

type_defs = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8")

PAGE_DEFAULT = 50
PAGE_MAX = 100
Info = GraphQLResolveInfo
Given = dict[str, Any]

query = QueryType()
mutation = MutationType()
user_type = ObjectType("User")
project_type = ObjectType("Project")
member_type = ObjectType("Member")
audit_type = ObjectType("AuditEntry")
created_type = ObjectType("PersonalAccessTokenCreated")
role_type = EnumType("Role", Role)


class _Loaders:
    """The batch loaders of one request."""

    def __init__(self, ctx: Context) -> None:
        self.user: Batch[UserId, auth.User] = Batch(lambda keys: auth.users_by_id(ctx, keys))
        self.role: Batch[ProjectId, Role] = Batch(lambda keys: projects.roles_in(ctx, keys))


class _Identified(Protocol):
    @property
    def id(self) -> object: ...


# --- queries --------------------------------------------------------------------------------------------------------


@query.field("project")
async def resolve_project(_: None, info: Info, where: Given | None = None, id: str | None = None) -> Project:
    return await projects.get_project(_ctx(info), _one_id(id, where))


@query.field("projects")
@user_type.field("projects")
async def resolve_projects(
    user: auth.User | None, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Any:
    ctx, size = _ctx(info), _page_size(first)
    if info.parent_type.name != "User":
        return _page(await projects.list_projects(ctx, first=size + 1, after=after), size)
    is_me = user is not None and user.id == ctx.actor.user_id
    return await projects.list_projects(ctx, first=size) if is_me else []


# --- mutations ------------------------------------------------------------------------------------------------------


@mutation.field("createProject")
async def resolve_create_project(_: None, info: Info, data: Given) -> Project:
    return await projects.create_project(_ctx(info), data["name"], slug=data.get("slug"))


@mutation.field("updateProject")
async def resolve_update_project(_: None, info: Info, where: Given, data: Given) -> Project:
    return await projects.update_project(
        _ctx(info),
        where["id"],
        name=data.get("name"),
        avatar=data["avatar"] or "" if "avatar" in data else None,
        backup_storage_on_arweave=data.get("backupStorageOnArweave"),
        backup_storage_on_filecoin=data.get("backupStorageOnFilecoin"),
    )


@mutation.field("deleteProject")
async def resolve_delete_project(_: None, info: Info, where: Given | None = None, id: str | None = None) -> bool:
    await projects.delete_project(_ctx(info), _one_id(id, where))
    return True


@mutation.field("addMember")
async def resolve_add_member(_: None, info: Info, where: Given, data: Given) -> Member:
    return await projects.add_member(_ctx(info), where["projectId"], user=data["user"], role=data["role"])


@mutation.field("updateMember")
async def resolve_update_member(_: None, info: Info, where: Given, data: Given) -> Member:
    return await projects.change_role(_ctx(info), where["projectId"], where["userId"], data["role"])


@mutation.field("removeMember")
async def resolve_remove_member(_: None, info: Info, where: Given) -> Member:
    return await projects.remove_member(_ctx(info), where["projectId"], where["userId"])


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
    return await projects.create_token(_ctx(info), name, scopes=scopes, project_id=project_id, expires_at=expires_at)


@mutation.field("loginWithPersonalAccessToken")
async def resolve_login(_: None, info: Info, data: Given) -> str:
    return await projects.login_with_token(_ctx(info), data["personalAccessToken"], data.get("projectId"))


# --- fields ---------------------------------------------------------------------------------------------------------


@project_type.field("user")
def resolve_project_user(project: Project, info: Info) -> Any:
    return _loaders(info).user.load(project.created_by)


@project_type.field("role")
def resolve_role(project: Project, info: Info) -> Any:
    return _loaders(info).role.load(project.id)


@project_type.field("members")
async def resolve_members(
    project: Project, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    size = _page_size(first)
    found = await projects.list_members(_ctx(info), project.id, first=size + 1, after=after)
    page = found[:size]
    cursor = page[-1].user_id if page else None
    return {"data": page, "pageInfo": {"endCursor": cursor, "hasNextPage": len(found) > size}}


@project_type.field("auditLog")
async def resolve_audit(
    project: Project, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> Given:
    if after is not None and (not after.isdigit() or len(after) > 18):
        raise InvalidInput("after must be the endCursor of a page.", field="after")
    size = _page_size(first)
    found = await projects.list_audit(_ctx(info), project.id, first=size + 1, after=int(after) if after else None)
    page = found[:size]
    cursor = str(page[-1].sequence) if page else None
    return {"data": page, "pageInfo": {"endCursor": cursor, "hasNextPage": len(found) > size}}


@member_type.field("user")
@audit_type.field("user")
def resolve_user(row: Member | AuditEntry, info: Info) -> Any:
    return None if row.user_id is None else _loaders(info).user.load(row.user_id)


for _field in ("id", "name", "expires_at", "last_used_at", "created_at", "scopes", "project_id"):
    _head, *_tail = _field.split("_")
    _camel = _head + "".join(part.capitalize() for part in _tail)
    created_type.set_alias(_camel, f"token.{_field}")
created_type.set_alias("token", "text")
created_type.set_alias("updatedAt", "token.created_at")


@created_type.field("scopes")
def resolve_created_scopes(created: auth.CreatedToken, _: Info) -> Sequence[str]:
    return ["all"] if created.token.scopes is None else sorted(created.token.scopes)


# --- what resolvers share -------------------------------------------------------------------------------------------


def _ctx(info: Info) -> Context:
    ctx: Context = info.context["ctx"]
    return ctx


def _loaders(info: Info) -> _Loaders:
    return cast(_Loaders, info.context["loaders"].get("projects", lambda: _Loaders(_ctx(info))))


def _one_id(id: str | None, where: Given | None) -> str:
    given = [name for name in (id, (where or {}).get("id")) if name]
    if len(given) != 1:
        raise InvalidInput("Give exactly one of id and where.id.", field="id")
    return cast(str, given[0])


def _page_size(first: int | None) -> int:
    first = PAGE_DEFAULT if first is None else first
    if not 1 <= first <= PAGE_MAX:
        raise InvalidInput(f"first must be between 1 and {PAGE_MAX}.", field="first")
    return first


def _page(found: Sequence[_Identified], size: int) -> Given:
    """The first ``size`` of ``found``, which has one more when there is a next page."""
    page = found[:size]
    cursor = str(page[-1].id) if page else None
    return {"data": page, "pageInfo": {"endCursor": cursor, "hasNextPage": len(found) > size}}


for _type, _aliases in {
    project_type: {
        "backupStorageOnArweave": "backup_storage_on_arweave",
        "backupStorageOnFilecoin": "backup_storage_on_filecoin",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
    },
    member_type: {"createdAt": "created_at"},
    audit_type: {"createdAt": "created_at", "tokenId": "token_id", "requestId": "request_id"},
}.items():
    for _name, _attribute in _aliases.items():
        _type.set_alias(_name, _attribute)

bindables = [query, mutation, user_type, project_type, member_type, audit_type, created_type, role_type]
