"""What a user may do where: the direct role in a project and what the organization gives, read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core import ids
from af.core.ids import ProjectId, UserId
from af.projects import rules
from af.projects.models import OrganizationRole, Project, Role
from af.projects.store.members import members
from af.projects.store.organizations import organization_members as places
from af.projects.store.organizations import organization_project_access as lists
from af.projects.store.projects import project_from, projects

_USER: sa.BindParameter[str] = sa.bindparam("user", type_=sa.Text)

_WITH_PLACES = (
    sa.select(
        projects,
        members.c.role.label("own_role"),
        places.c.role.label("organization_role"),
        places.c.access_all_projects,
        lists.c.project_id.label("listed"),
    )
    .outerjoin(members, sa.and_(members.c.project_id == projects.c.id, members.c.user_id == _USER))
    .outerjoin(places, sa.and_(places.c.organization_id == projects.c.organization_id, places.c.user_id == _USER))
    .outerjoin(
        lists,
        sa.and_(
            lists.c.organization_id == projects.c.organization_id,
            lists.c.user_id == _USER,
            lists.c.project_id == projects.c.id,
        ),
    )
    .where(projects.c.deleted_at.is_(None))
)
_BY_ID = _WITH_PLACES.where(projects.c.id == sa.bindparam("project"))
_BY_SLUG = _WITH_PLACES.where(projects.c.slug == sa.bindparam("project"))
_BY_IDS = _WITH_PLACES.where(projects.c.id.in_(sa.bindparam("projects", expanding=True)))

_SEES_ALL = sa.or_(
    places.c.role.in_([role.value for role, gives in rules.GIVES.items() if gives.everywhere]),
    sa.and_(
        places.c.role.in_([role.value for role, gives in rules.GIVES.items() if gives.role is not None]),
        places.c.access_all_projects,
    ),
)
_LISTS = [role.value for role, gives in rules.GIVES.items() if gives.role is not None]
_MINE = (
    sa.select(members.c.project_id)
    .where(members.c.user_id == _USER)
    .union(
        sa.select(projects.c.id)
        .join(places, places.c.organization_id == projects.c.organization_id)
        .where(places.c.user_id == _USER, _SEES_ALL),
        sa.select(lists.c.project_id)
        .join(
            places,
            sa.and_(places.c.organization_id == lists.c.organization_id, places.c.user_id == lists.c.user_id),
        )
        .join(
            projects,
            sa.and_(projects.c.id == lists.c.project_id, projects.c.organization_id == lists.c.organization_id),
        )
        .where(lists.c.user_id == _USER, places.c.role.in_(_LISTS)),
    )
)
"""The ids of the projects in which the user has any role: the same rule as `rules.effective_role`, as a query."""


async def project_and_role(
    connection: AsyncConnection, id_or_slug: str, user_id: UserId
) -> tuple[Project, Role] | None:
    """The project with the user's effective role in it; `None` if either is missing or the project was deleted."""
    query = _BY_ID if ids.is_id(ids.PROJECT, id_or_slug) else _BY_SLUG
    row = (await connection.execute(query, {"project": id_or_slug, "user": user_id})).one_or_none()
    role = _role(row) if row else None
    return (project_from(row), role) if role else None


async def projects_and_roles(
    connection: AsyncConnection, project_ids: Sequence[ProjectId], user_id: UserId
) -> Mapping[ProjectId, tuple[Project, Role]]:
    """Those of the projects in which the user has a role."""
    found: dict[ProjectId, tuple[Project, Role]] = {}
    for row in await connection.execute(_BY_IDS, {"projects": list(project_ids), "user": user_id}):
        role = _role(row)
        if role is not None:
            found[ProjectId(row.id)] = (project_from(row), role)
    return found


async def projects_of(
    connection: AsyncConnection,
    user_id: UserId,
    *,
    after: ProjectId | None,
    limit: int,
    only: ProjectId | None = None,
    organization_id: str | None = None,
) -> list[Project]:
    """The projects in which the user has a role, oldest first; ``after`` is the last id of the page before."""
    query = sa.select(projects).where(projects.c.id.in_(_MINE), projects.c.deleted_at.is_(None))
    if after is not None:
        query = query.where(projects.c.id > after)
    if only is not None:
        query = query.where(projects.c.id == only)
    if organization_id is not None:
        query = query.where(projects.c.organization_id == organization_id)
    found = await connection.execute(query.order_by(projects.c.id).limit(limit), {"user": user_id})
    return [project_from(row) for row in found]


def _role(row: Any) -> Role | None:
    return rules.effective_role(
        None if row.own_role is None else Role(row.own_role),
        None if row.organization_role is None else OrganizationRole(row.organization_role),
        sees_project=bool(row.access_all_projects) or row.listed is not None,
    )
