"""Projects and members: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core import ids
from af.core.db import Timestamp, metadata
from af.core.ids import ProjectId, UserId
from af.projects.models import Member, Project, Role

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("avatar", sa.Text),
    sa.Column("backup_storage_on_arweave", sa.Boolean, nullable=False),
    sa.Column("backup_storage_on_filecoin", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Column("deleted_at", Timestamp(), index=True),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
)


# --- projects -------------------------------------------------------------------------------------------------------


async def insert_project(connection: AsyncConnection, project: Project) -> bool:
    """False when the slug is taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(projects).values(
        id=project.id,
        name=project.name,
        slug=project.slug,
        avatar=project.avatar,
        backup_storage_on_arweave=project.backup_storage_on_arweave,
        backup_storage_on_filecoin=project.backup_storage_on_filecoin,
        created_by=project.created_by,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )
    done = await connection.execute(statement.on_conflict_do_nothing(index_elements=["slug"]))
    return done.rowcount == 1


async def project(connection: AsyncConnection, id_or_slug: str) -> Project | None:
    """By id or slug, deleted ones too (by id)."""
    row = (await connection.execute(sa.select(projects).where(_named(id_or_slug)))).one_or_none()
    return _project(row) if row else None


async def project_and_role(
    connection: AsyncConnection, id_or_slug: str, user_id: UserId
) -> tuple[Project, Role] | None:
    """The project with the user's role in it; `None` if either is missing or the project was deleted."""
    by_id = ids.is_id(ids.PROJECT, id_or_slug)
    row = (
        await connection.execute(_ROLE_BY_ID if by_id else _ROLE_BY_SLUG, {"project": id_or_slug, "user": user_id})
    ).one_or_none()
    return (_project(row), Role(row.role)) if row else None


async def projects_of(
    connection: AsyncConnection, user_id: UserId, *, after: ProjectId | None, limit: int, only: ProjectId | None = None
) -> list[Project]:
    """The projects that the user is a member of, oldest first; ``after`` is the last id of the page before."""
    query = sa.select(projects).join(members).where(members.c.user_id == user_id, projects.c.deleted_at.is_(None))
    if after is not None:
        query = query.where(projects.c.id > after)
    if only is not None:
        query = query.where(projects.c.id == only)
    return [_project(row) for row in await connection.execute(query.order_by(projects.c.id).limit(limit))]


async def projects_by_id(
    connection: AsyncConnection, project_ids: Sequence[ProjectId], user_id: UserId | None
) -> dict[ProjectId, Project]:
    """Projects by id, as far as ``user_id`` is a member (`None`: all)."""
    query = sa.select(projects).where(projects.c.id.in_(project_ids), projects.c.deleted_at.is_(None))
    if user_id is not None:
        query = query.join(members).where(members.c.user_id == user_id)
    return {ProjectId(row.id): _project(row) for row in await connection.execute(query)}


async def count_created(connection: AsyncConnection, user_id: UserId) -> int:
    query = sa.select(sa.func.count()).where(projects.c.created_by == user_id, projects.c.deleted_at.is_(None))
    return (await connection.execute(query)).scalar_one()


async def update_project(connection: AsyncConnection, project: Project) -> None:
    await connection.execute(
        sa.update(projects)
        .where(projects.c.id == project.id)
        .values(
            name=project.name,
            slug=project.slug,
            avatar=project.avatar,
            backup_storage_on_arweave=project.backup_storage_on_arweave,
            backup_storage_on_filecoin=project.backup_storage_on_filecoin,
            updated_at=project.updated_at,
            deleted_at=project.deleted_at,
        )
    )


async def deleted_projects(connection: AsyncConnection, *, after: ProjectId | None, limit: int) -> list[Project]:
    query = sa.select(projects).where(projects.c.deleted_at.is_not(None))
    if after is not None:
        query = query.where(projects.c.id > after)
    return [_project(row) for row in await connection.execute(query.order_by(projects.c.id).limit(limit))]


def _named(id_or_slug: str) -> sa.ColumnElement[bool]:
    return projects.c.id == id_or_slug if ids.is_id(ids.PROJECT, id_or_slug) else projects.c.slug == id_or_slug


_WITH_ROLE = (
    sa.select(projects, members.c.role)
    .join(members)
    .where(members.c.user_id == sa.bindparam("user"), projects.c.deleted_at.is_(None))
)
_ROLE_BY_ID = _WITH_ROLE.where(projects.c.id == sa.bindparam("project"))
_ROLE_BY_SLUG = _WITH_ROLE.where(projects.c.slug == sa.bindparam("project"))


def _project(row: Any) -> Project:
    return Project(
        id=ProjectId(row.id),
        name=row.name,
        slug=row.slug,
        avatar=row.avatar,
        backup_storage_on_arweave=row.backup_storage_on_arweave,
        backup_storage_on_filecoin=row.backup_storage_on_filecoin,
        created_by=UserId(row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


# --- members --------------------------------------------------------------------------------------------------------


async def insert_member(connection: AsyncConnection, member: Member) -> bool:
    """False when the user is a member already."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(members).values(
        project_id=member.project_id, user_id=member.user_id, role=member.role.value, created_at=member.created_at
    )
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def member(connection: AsyncConnection, project_id: ProjectId, user_id: UserId) -> Member | None:
    query = sa.select(members).where(members.c.project_id == project_id, members.c.user_id == user_id)
    row = (await connection.execute(query)).one_or_none()
    return _member(row) if row else None


async def locked_members(connection: AsyncConnection, project_id: ProjectId) -> dict[UserId, Member]:
    """All members, locked until the commit, so that two owners cannot both leave at once."""
    query = sa.select(members).where(members.c.project_id == project_id).with_for_update()
    return {UserId(row.user_id): _member(row) for row in await connection.execute(query)}


async def members_of(
    connection: AsyncConnection, project_id: ProjectId, *, after: UserId | None, limit: int
) -> list[Member]:
    """In the order of user ids; ``after`` is the last user id of the page before."""
    query = sa.select(members).where(members.c.project_id == project_id)
    if after is not None:
        query = query.where(members.c.user_id > after)
    return [_member(row) for row in await connection.execute(query.order_by(members.c.user_id).limit(limit))]


async def roles_of(
    connection: AsyncConnection, project_ids: Sequence[ProjectId], user_id: UserId
) -> dict[ProjectId, Role]:
    query = sa.select(members).where(members.c.project_id.in_(project_ids), members.c.user_id == user_id)
    return {ProjectId(row.project_id): Role(row.role) for row in await connection.execute(query)}


async def set_role(connection: AsyncConnection, project_id: ProjectId, user_id: UserId, role: Role) -> None:
    await connection.execute(
        sa.update(members)
        .where(members.c.project_id == project_id, members.c.user_id == user_id)
        .values(role=role.value)
    )


async def delete_member(connection: AsyncConnection, project_id: ProjectId, user_id: UserId) -> None:
    await connection.execute(sa.delete(members).where(members.c.project_id == project_id, members.c.user_id == user_id))


def _member(row: Any) -> Member:
    return Member(ProjectId(row.project_id), UserId(row.user_id), Role(row.role), row.created_at)
