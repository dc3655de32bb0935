"""Direct members of projects. What organizations give beside that is in `access`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects.models import Member, Role
from af.projects.store.projects import projects

members = sa.Table(
    "members",
    metadata,
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
)


async def insert(connection: AsyncConnection, member: Member) -> bool:
    """False when the user is a member already."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(members).values(
        project_id=member.project_id, user_id=member.user_id, role=member.role.value, created_at=member.created_at
    )
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def locked(connection: AsyncConnection, project_id: ProjectId) -> dict[UserId, Member]:
    """All members, locked until the commit, so that two owners cannot both leave at once."""
    query = sa.select(members).where(members.c.project_id == project_id).with_for_update()
    return {UserId(row.user_id): _member(row) for row in await connection.execute(query)}


async def one(connection: AsyncConnection, project_id: ProjectId, user_id: UserId) -> Member | None:
    query = sa.select(members).where(members.c.project_id == project_id, members.c.user_id == user_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _member(row)


async def members_of(
    connection: AsyncConnection, project_id: ProjectId, *, after: UserId | None, limit: int
) -> list[Member]:
    """In the order of user ids; ``after`` is the last user id of the page before."""
    query = sa.select(members).where(members.c.project_id == project_id)
    if after is not None:
        query = query.where(members.c.user_id > after)
    return [_member(row) for row in await connection.execute(query.order_by(members.c.user_id).limit(limit))]


async def in_organization(connection: AsyncConnection, organization_id: OrganizationId, *, but: UserId) -> list[Member]:
    """The direct members of all its projects that are not deleted, but one."""
    query = (
        sa.select(members)
        .join(projects, projects.c.id == members.c.project_id)
        .where(projects.c.organization_id == organization_id, projects.c.deleted_at.is_(None))
        .where(members.c.user_id != but)
        .order_by(members.c.project_id, members.c.user_id)
    )
    return [_member(row) for row in await connection.execute(query)]


async def directly_owned(connection: AsyncConnection, user_id: UserId) -> defaultdict[OrganizationId, set[ProjectId]]:
    """The projects, not deleted, that this user owns as a direct member, by their organizations."""
    query = (
        sa.select(projects.c.organization_id, projects.c.id)
        .join(members, members.c.project_id == projects.c.id)
        .where(members.c.user_id == user_id, members.c.role == Role.OWNER.value, projects.c.deleted_at.is_(None))
    )
    found: defaultdict[OrganizationId, set[ProjectId]] = defaultdict(set)
    for row in await connection.execute(query):
        found[OrganizationId(row.organization_id)].add(ProjectId(row.id))
    return found


async def set_role(connection: AsyncConnection, project_id: ProjectId, user_id: UserId, role: Role) -> None:
    await connection.execute(
        sa.update(members)
        .where(members.c.project_id == project_id, members.c.user_id == user_id)
        .values(role=role.value)
    )


async def delete(connection: AsyncConnection, project_id: ProjectId, user_id: UserId) -> None:
    await connection.execute(sa.delete(members).where(members.c.project_id == project_id, members.c.user_id == user_id))


async def delete_everywhere(connection: AsyncConnection, organization_id: OrganizationId, user_id: UserId) -> None:
    """In all projects of the organization: who leaves it keeps no way in."""
    mine = sa.select(projects.c.id).where(projects.c.organization_id == organization_id)
    await connection.execute(sa.delete(members).where(members.c.user_id == user_id, members.c.project_id.in_(mine)))


def _member(row: Any) -> Member:
    return Member(ProjectId(row.project_id), UserId(row.user_id), Role(row.role), row.created_at)
