"""Organizations and their members, in the paths and bodies of the original's ``/organizations``."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.core.clock import iso
from af.core.errors import InvalidInput, Unauthenticated
from af.core.web import NO_STORE, context, json_body, json_response
from af.projects import service as projects
from af.projects.models import Organization, OrganizationMember, OrganizationRole

BODY_BYTES_MAX = 64 << 10
PAGE_MAX = 100


class OrganizationBody(msgspec.Struct, rename="camel"):
    name: str
    slug: str | None = None
    avatar_url: str | None = None


class ChangeBody(msgspec.Struct, rename="camel"):
    name: str | None = None
    avatar_url: str | None = None


class RoleBody(msgspec.Struct):
    role: OrganizationRole


class AccessBody(msgspec.Struct, rename="camel"):
    access_all_projects: bool
    project_ids: list[str] = []


class HeirBody(msgspec.Struct, rename="camel"):
    user_id: str


async def me(request: Request) -> Response:
    """``GET /auth/me``: ``{"user", "organizations": [{…, "role"}]}`` (at most 100; none while the account is leaving).
    :raises Unauthenticated: nobody."""
    ctx = context(request)
    user = await auth.me(ctx)
    if user is None:
        raise Unauthenticated("Sign in first.", hint="Run `af login`, or open the login link that `af up` prints.")
    may_list = auth.covers(ctx.actor.scopes, "organizations:read") and not ctx.actor.leaving
    found = await projects.list_organizations(ctx, first=PAGE_MAX) if may_list else []
    answer = {"user": auth.shown_user(user), "organizations": [_shown(made, role) for made, role in found]}
    return json_response(answer, headers=NO_STORE)


async def list_organizations(request: Request) -> Response:
    """``GET /organizations?after=``: ``{"success": true, "organizations": […], "endCursor"}``."""
    found = await projects.list_organizations(context(request), first=PAGE_MAX, after=request.query_params.get("after"))
    cursor = found[-1][0].id if len(found) == PAGE_MAX else None
    return _answer(organizations=[_shown(made, role) for made, role in found], endCursor=cursor)


async def create(request: Request) -> Response:
    """``POST /organizations`` ``{"name", "slug"?, "avatarUrl"?}``: 201 ``{"success": true, "organization"}``."""
    given = await json_body(request, OrganizationBody, BODY_BYTES_MAX)
    made = await projects.create_organization(
        context(request), given.name, slug=given.slug, avatar_url=given.avatar_url
    )
    return _answer(201, organization=_shown(made, OrganizationRole.OWNER))


async def show(request: Request) -> Response:
    """``GET /organizations/{organization}``: by id or slug."""
    return _answer(organization=_shown(await projects.get_organization(context(request), _organization(request))))


async def change(request: Request) -> Response:
    """``PATCH /organizations/{organization}`` ``{"name"?, "avatarUrl"?}`` (empty removes it)."""
    given = await json_body(request, ChangeBody, BODY_BYTES_MAX)
    changed = await projects.update_organization(
        context(request), _organization(request), name=given.name, avatar_url=given.avatar_url
    )
    return _answer(organization=_shown(changed))


async def delete(request: Request) -> Response:
    """``DELETE /organizations/{organization}``: without projects, by an owner who signed in just now."""
    await projects.delete_organization(context(request), _organization(request))
    return _answer()


async def list_members(request: Request) -> Response:
    """``GET /organizations/{organization}/members?after=``: ``{"success": true, "members": […], "endCursor"}``."""
    ctx = context(request)
    found = await projects.list_places(
        ctx, _organization(request), first=PAGE_MAX, after=request.query_params.get("after")
    )
    people = await auth.users_by_id(ctx, [member.user_id for member in found])
    listed = await projects.listed_projects(ctx, [(member.organization_id, member.user_id) for member in found])
    shown = []
    for member in found:
        user = people.get(member.user_id)
        shown.append(
            {
                **_shown_member(member),
                "username": user.username if user else None,
                "email": user.email if user else None,
                "displayName": user.display_name if user else None,
                "projectIds": listed.get((member.organization_id, member.user_id), []),
            }
        )
    return _answer(members=shown, endCursor=found[-1].user_id if len(found) == PAGE_MAX else None)


async def change_role(request: Request) -> Response:
    """``PATCH /organizations/{organization}/members/{user}`` ``{"role"}``."""
    given = await json_body(request, RoleBody, BODY_BYTES_MAX)
    changed = await projects.change_place(context(request), _organization(request), _user(request), given.role)
    return _answer(member=_shown_member(changed))


async def set_access(request: Request) -> Response:
    """``PUT /organizations/{organization}/members/{user}/access`` ``{"accessAllProjects", "projectIds"?}``."""
    given = await json_body(request, AccessBody, BODY_BYTES_MAX)
    changed = await projects.set_access(
        context(request),
        _organization(request),
        _user(request),
        access_all_projects=given.access_all_projects,
        project_ids=given.project_ids,
    )
    return _answer(member=_shown_member(changed))


async def remove_member(request: Request) -> Response:
    """``DELETE /organizations/{organization}/members/{user}``."""
    await projects.remove_place(context(request), _organization(request), _user(request))
    return _answer()


async def leave(request: Request) -> Response:
    """``POST /organizations/{organization}/leave``: for people, not for access tokens."""
    await projects.leave_organization(context(request), _organization(request))
    return _answer()


async def transfer(request: Request) -> Response:
    """``POST /organizations/{organization}/transfer`` ``{"userId"}``: the new owner's place; the caller is an admin."""
    given = await json_body(request, HeirBody, BODY_BYTES_MAX)
    made = await projects.transfer_ownership(context(request), _organization(request), given.user_id)
    return _answer(member=_shown_member(made))


def _organization(request: Request) -> str:
    return str(request.path_params["organization"])


def _user(request: Request) -> str:
    user_id = str(request.path_params["user"])
    if len(user_id) > 60:
        raise InvalidInput("That is no user's id.", field="user")
    return user_id


def _answer(status: int = 200, **fields: Any) -> Response:
    return json_response({"success": True, **fields}, status, headers=NO_STORE)


def _shown(organization: Organization, role: OrganizationRole | None = None) -> dict[str, object]:
    return {
        "id": organization.id,
        "slug": organization.slug,
        "name": organization.name,
        "avatarUrl": organization.avatar_url,
        "personal": organization.personal_of is not None,
        "createdAt": iso(organization.created_at),
        **({} if role is None else {"role": role.value}),
    }


def _shown_member(member: OrganizationMember) -> dict[str, object]:
    return {
        "userId": member.user_id,
        "role": member.role.value,
        "accessAllProjects": member.access_all_projects,
        "createdAt": iso(member.created_at),
    }


_ONE = "/organizations/{organization}"
routes = [
    Route("/auth/me", me, methods=["GET"]),
    Route("/organizations", list_organizations, methods=["GET"]),
    Route("/organizations", create, methods=["POST"]),
    Route(_ONE, show, methods=["GET"]),
    Route(_ONE, change, methods=["PATCH"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route(f"{_ONE}/members", list_members, methods=["GET"]),
    Route(f"{_ONE}/members/{{user}}", change_role, methods=["PATCH"]),
    Route(f"{_ONE}/members/{{user}}", remove_member, methods=["DELETE"]),
    Route(f"{_ONE}/members/{{user}}/access", set_access, methods=["PUT"]),
    Route(f"{_ONE}/leave", leave, methods=["POST"]),
    Route(f"{_ONE}/transfer", transfer, methods=["POST"]),
]
