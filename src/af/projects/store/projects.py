"""Projects."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core import ids
from af.core.db import Timestamp, metadata
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects.models import Project

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("avatar", sa.Text),
    sa.Column("backup_storage_on_arweave", sa.Boolean, nullable=False),
    sa.Column("backup_storage_on_filecoin", sa.Boolean, nullable=False),
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), index=True),
    sa.Column("created_by", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Column("deleted_at", Timestamp(), index=True),
)
"""``organization_id`` is nullable for the sake of rows of the first release; migration 0003 filled it."""


async def insert(connection: AsyncConnection, project: Project) -> bool:
    """False when the slug is taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(projects).values(
        id=project.id,
        name=project.name,
        slug=project.slug,
        avatar=project.avatar,
        backup_storage_on_arweave=project.backup_storage_on_arweave,
        backup_storage_on_filecoin=project.backup_storage_on_filecoin,
        organization_id=project.organization_id,
        created_by=project.created_by,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )
    done = await connection.execute(statement.on_conflict_do_nothing(index_elements=["slug"]))
    return done.rowcount == 1


async def project(connection: AsyncConnection, id_or_slug: str) -> Project | None:
    """By id or slug, deleted ones too (by id)."""
    row = (await connection.execute(sa.select(projects).where(_named(id_or_slug)))).one_or_none()
    return project_from(row) if row else None


async def projects_by_id(connection: AsyncConnection, project_ids: Collection[ProjectId]) -> dict[ProjectId, Project]:
    """Whoever may see them; for the platform itself and for what was authorised."""
    query = sa.select(projects).where(projects.c.id.in_(project_ids), projects.c.deleted_at.is_(None))
    return {ProjectId(row.id): project_from(row) for row in await connection.execute(query)}


async def count_in(connection: AsyncConnection, organization_id: OrganizationId) -> int:
    """Those of the organization that were not deleted."""
    query = sa.select(sa.func.count()).where(
        projects.c.organization_id == organization_id, projects.c.deleted_at.is_(None)
    )
    return (await connection.execute(query)).scalar_one()


async def count_created(connection: AsyncConnection, user_id: UserId) -> int:
    query = sa.select(sa.func.count()).where(projects.c.created_by == user_id, projects.c.deleted_at.is_(None))
    return (await connection.execute(query)).scalar_one()


async def update(connection: AsyncConnection, project: Project) -> None:
    await connection.execute(
        sa.update(projects)
        .where(projects.c.id == project.id)
        .values(
            name=project.name,
            slug=project.slug,
            organization_id=project.organization_id,
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
    return [project_from(row) for row in await connection.execute(query.order_by(projects.c.id).limit(limit))]


def _named(id_or_slug: str) -> sa.ColumnElement[bool]:
    return projects.c.id == id_or_slug if ids.is_id(ids.PROJECT, id_or_slug) else projects.c.slug == id_or_slug


def project_from(row: Any) -> Project:
    """Of a row with the table's columns."""
    return Project(
        id=ProjectId(row.id),
        name=row.name,
        slug=row.slug,
        avatar=row.avatar,
        backup_storage_on_arweave=row.backup_storage_on_arweave,
        backup_storage_on_filecoin=row.backup_storage_on_filecoin,
        organization_id=OrganizationId(row.organization_id),
        created_by=UserId(row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )
