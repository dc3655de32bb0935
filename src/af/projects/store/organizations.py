"""Organizations, their members, and the projects that members without access to all may see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core import ids
from af.core.db import Timestamp, metadata
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects.models import Organization, OrganizationMember, OrganizationRole

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("avatar_url", sa.Text),
    sa.Column("personal_of", sa.Text, sa.ForeignKey("users.id"), unique=True),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Column("deleted_at", Timestamp()),
)

organization_members = sa.Table(
    "organization_members",
    metadata,
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("access_all_projects", sa.Boolean, nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
)

organization_project_access = sa.Table(
    "organization_project_access",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), primary_key=True, index=True),
    sa.ForeignKeyConstraint(
        ["organization_id", "user_id"],
        ["organization_members.organization_id", "organization_members.user_id"],
        ondelete="CASCADE",
    ),
)

_dialects = {"sqlite": sqlite, "postgresql": postgresql}


# --- organizations --------------------------------------------------------------------------------------------------


async def insert(connection: AsyncConnection, made: Organization) -> bool:
    """False when the slug is taken, or the person has a personal organization already."""
    values = {name: getattr(made, name) for name in Organization.__dataclass_fields__}
    statement = _dialects[connection.dialect.name].insert(organizations).values(values)
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def personal(connection: AsyncConnection, user_id: UserId) -> Organization | None:
    row = (
        await connection.execute(sa.select(organizations).where(organizations.c.personal_of == user_id))
    ).one_or_none()
    return _organization(row) if row else None


async def organization(connection: AsyncConnection, id_or_slug: str) -> Organization | None:
    """By id or slug; not a deleted one."""
    query = sa.select(organizations).where(_named(id_or_slug), organizations.c.deleted_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    return _organization(row) if row else None


async def locked(connection: AsyncConnection, organization_id: OrganizationId) -> Organization | None:
    """The organization, locked until the commit; `None` if it was deleted meanwhile."""
    query = sa.select(organizations).where(organizations.c.id == organization_id, organizations.c.deleted_at.is_(None))
    row = (await connection.execute(query.with_for_update())).one_or_none()
    return _organization(row) if row else None


async def organization_and_member(
    connection: AsyncConnection, id_or_slug: str, user_id: UserId
) -> tuple[Organization, OrganizationMember] | None:
    """The organization and the user's place in it, in one query; `None` if either is missing or it was deleted."""
    place = organization_members.c
    query = (
        sa.select(organizations, place.user_id, place.role, place.access_all_projects, place.created_at.label("since"))
        .join(organization_members, place.organization_id == organizations.c.id)
        .where(_named(id_or_slug), place.user_id == user_id, organizations.c.deleted_at.is_(None))
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    organization = _organization(row)
    role = OrganizationRole(row.role)
    return organization, OrganizationMember(organization.id, user_id, role, row.access_all_projects, row.since)


async def organizations_of(
    connection: AsyncConnection, user_id: UserId, *, after: OrganizationId | None, limit: int
) -> list[tuple[Organization, OrganizationRole]]:
    """With the user's role in each, oldest first."""
    query = (
        sa.select(organizations, organization_members.c.role)
        .join(organization_members, organization_members.c.organization_id == organizations.c.id)
        .where(organization_members.c.user_id == user_id, organizations.c.deleted_at.is_(None))
    )
    if after is not None:
        query = query.where(organizations.c.id > after)
    found = await connection.execute(query.order_by(organizations.c.id).limit(limit))
    return [(_organization(row), OrganizationRole(row.role)) for row in found]


async def roles_of(
    connection: AsyncConnection, organization_ids: Sequence[OrganizationId], user_id: UserId
) -> dict[OrganizationId, OrganizationRole]:
    place = organization_members.c
    query = sa.select(place.organization_id, place.role).where(
        place.organization_id.in_(organization_ids), place.user_id == user_id
    )
    return {OrganizationId(row.organization_id): OrganizationRole(row.role) for row in await connection.execute(query)}


async def count_owned(connection: AsyncConnection, user_id: UserId) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(organization_members.join(organizations))
        .where(
            organization_members.c.user_id == user_id,
            organization_members.c.role == OrganizationRole.OWNER.value,
            organizations.c.deleted_at.is_(None),
        )
    )
    return (await connection.execute(query)).scalar_one()


async def organizations_by_id(
    connection: AsyncConnection, organization_ids: Sequence[OrganizationId], user_id: UserId | None
) -> dict[OrganizationId, Organization]:
    """By id, as far as ``user_id`` is a member (`None`: all)."""
    query = sa.select(organizations).where(
        organizations.c.id.in_(organization_ids), organizations.c.deleted_at.is_(None)
    )
    if user_id is not None:
        query = query.join(organization_members).where(organization_members.c.user_id == user_id)
    return {OrganizationId(row.id): _organization(row) for row in await connection.execute(query)}


async def update(connection: AsyncConnection, changed: Organization) -> None:
    await connection.execute(
        sa.update(organizations)
        .where(organizations.c.id == changed.id)
        .values(
            name=changed.name,
            slug=changed.slug,
            avatar_url=changed.avatar_url,
            updated_at=changed.updated_at,
            deleted_at=changed.deleted_at,
        )
    )


def _named(id_or_slug: str) -> sa.ColumnElement[bool]:
    is_id = ids.is_id(ids.ORGANIZATION, id_or_slug)
    return organizations.c.id == id_or_slug if is_id else organizations.c.slug == id_or_slug


def _organization(row: Any) -> Organization:
    return Organization(
        id=OrganizationId(row.id),
        name=row.name,
        slug=row.slug,
        avatar_url=row.avatar_url,
        personal_of=None if row.personal_of is None else UserId(row.personal_of),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


# --- their members --------------------------------------------------------------------------------------------------


async def insert_member(connection: AsyncConnection, member: OrganizationMember) -> bool:
    """False when the user is a member already."""
    statement = (
        _dialects[connection.dialect.name]
        .insert(organization_members)
        .values(
            organization_id=member.organization_id,
            user_id=member.user_id,
            role=member.role.value,
            access_all_projects=member.access_all_projects,
            created_at=member.created_at,
        )
    )
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def locked_members(
    connection: AsyncConnection, organization_id: OrganizationId
) -> dict[UserId, OrganizationMember]:
    """All members. The organization's row is locked until the commit first, so that two owners cannot both leave at
    once, nor a member join while the last places go."""
    await locked(connection, organization_id)
    query = sa.select(organization_members).where(organization_members.c.organization_id == organization_id)
    return {UserId(row.user_id): _member(row) for row in await connection.execute(query)}


async def members_of(
    connection: AsyncConnection, organization_id: OrganizationId, *, after: UserId | None, limit: int
) -> list[OrganizationMember]:
    """In the order of user ids; ``after`` is the last user id of the page before."""
    query = sa.select(organization_members).where(organization_members.c.organization_id == organization_id)
    if after is not None:
        query = query.where(organization_members.c.user_id > after)
    found = await connection.execute(query.order_by(organization_members.c.user_id).limit(limit))
    return [_member(row) for row in found]


async def update_member(connection: AsyncConnection, member: OrganizationMember) -> None:
    await connection.execute(
        sa.update(organization_members)
        .where(_place(member.organization_id, member.user_id))
        .values(role=member.role.value, access_all_projects=member.access_all_projects)
    )


async def delete_member(connection: AsyncConnection, organization_id: OrganizationId, user_id: UserId) -> None:
    await set_project_access(connection, organization_id, user_id, ())
    await connection.execute(sa.delete(organization_members).where(_place(organization_id, user_id)))


def _place(organization_id: OrganizationId, user_id: UserId) -> sa.ColumnElement[bool]:
    place = organization_members.c
    return sa.and_(place.organization_id == organization_id, place.user_id == user_id)


def _member(row: Any) -> OrganizationMember:
    return OrganizationMember(
        OrganizationId(row.organization_id),
        UserId(row.user_id),
        OrganizationRole(row.role),
        row.access_all_projects,
        row.created_at,
    )


# --- which projects a member may see --------------------------------------------------------------------------------


async def project_access(
    connection: AsyncConnection, organization_id: OrganizationId, user_ids: Sequence[UserId]
) -> dict[UserId, list[ProjectId]]:
    """The projects that are listed for each of these members."""
    table = organization_project_access
    query = sa.select(table).where(table.c.organization_id == organization_id, table.c.user_id.in_(user_ids))
    found: dict[UserId, list[ProjectId]] = {}
    for row in await connection.execute(query.order_by(table.c.project_id)):
        found.setdefault(UserId(row.user_id), []).append(ProjectId(row.project_id))
    return found


async def set_project_access(
    connection: AsyncConnection, organization_id: OrganizationId, user_id: UserId, project_ids: Collection[ProjectId]
) -> None:
    """Exactly these projects are listed for the member."""
    table = organization_project_access
    await connection.execute(
        sa.delete(table).where(table.c.organization_id == organization_id, table.c.user_id == user_id)
    )
    if project_ids:
        rows = [
            {"organization_id": organization_id, "user_id": user_id, "project_id": project_id}
            for project_id in sorted(project_ids)
        ]
        await connection.execute(table.insert(), rows)


async def forget_project(connection: AsyncConnection, project_id: ProjectId) -> None:
    """The project went to another organization: nobody's list has it any more."""
    table = organization_project_access
    await connection.execute(sa.delete(table).where(table.c.project_id == project_id))
