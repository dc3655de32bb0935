"""Invitations by e-mail to an organization or a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import InvitationId, OrganizationId, ProjectId, UserId
from af.projects.models import Invitation, InvitationState

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id")),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("access_all_projects", sa.Boolean, nullable=False),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    sa.Column("invited_by", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False),
    sa.Column("sent_at", Timestamp(), nullable=False),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Index(None, "organization_id", "state"),
)
"""``role`` is an `OrganizationRole`, or with a ``project_id`` a `Role`. PENDING rows are EXPIRED after ``expires_at``,
whatever their column says."""


async def insert(connection: AsyncConnection, made: Invitation, token_hash: str) -> None:
    await connection.execute(
        invitations.insert().values(
            id=made.id,
            organization_id=made.organization_id,
            project_id=made.project_id,
            email=made.email,
            role=made.role,
            access_all_projects=made.access_all_projects,
            token_hash=token_hash,
            invited_by=made.invited_by,
            state=made.state.value,
            expires_at=made.expires_at,
            sent_at=made.sent_at,
            created_at=made.created_at,
        )
    )


async def invitation(connection: AsyncConnection, invitation_id: InvitationId) -> Invitation | None:
    """Locked until the commit."""
    query = sa.select(invitations).where(invitations.c.id == invitation_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return _invitation(row) if row else None


async def by_token(connection: AsyncConnection, token_hash: str, *, lock: bool = False) -> Invitation | None:
    query = sa.select(invitations).where(invitations.c.token_hash == token_hash)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return _invitation(row) if row else None


async def pending(
    connection: AsyncConnection,
    organization_id: OrganizationId,
    now: datetime,
    *,
    project_id: ProjectId | None = None,
    after: InvitationId | None = None,
    limit: int,
) -> list[Invitation]:
    """Those that can still be accepted, oldest first: the organization's, or only those to one project."""
    query = _pending(organization_id, now)
    if project_id is not None:
        query = query.where(invitations.c.project_id == project_id)
    if after is not None:
        query = query.where(invitations.c.id > after)
    return [_invitation(row) for row in await connection.execute(query.order_by(invitations.c.id).limit(limit))]


async def pending_for(
    connection: AsyncConnection,
    organization_id: OrganizationId,
    now: datetime,
    *,
    project_id: ProjectId | None,
    email: str,
) -> Invitation | None:
    """The one to this address, to the same thing."""
    same = invitations.c.project_id.is_(None) if project_id is None else invitations.c.project_id == project_id
    query = _pending(organization_id, now).where(same, invitations.c.email == email).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return _invitation(row) if row else None


async def count_pending(connection: AsyncConnection, organization_id: OrganizationId, now: datetime) -> int:
    query = _pending(organization_id, now).with_only_columns(sa.func.count())
    return (await connection.execute(query)).scalar_one()


async def set_state(connection: AsyncConnection, invitation_id: InvitationId, state: InvitationState) -> bool:
    """False when it was not pending any more: whoever is first wins."""
    done = await connection.execute(
        sa.update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.state == InvitationState.PENDING.value)
        .values(state=state.value)
    )
    return done.rowcount == 1


async def renew(connection: AsyncConnection, changed: Invitation, token_hash: str) -> None:
    """Another secret and another end; the old link is of no use any more."""
    await connection.execute(
        sa.update(invitations)
        .where(invitations.c.id == changed.id)
        .values(token_hash=token_hash, expires_at=changed.expires_at, sent_at=changed.sent_at)
    )


async def revoke_all(
    connection: AsyncConnection, *, organization_id: OrganizationId | None = None, project_id: ProjectId | None = None
) -> None:
    """Everything pending to an organization, or to a project that leaves it."""
    where = invitations.c.project_id == project_id if project_id else invitations.c.organization_id == organization_id
    await connection.execute(
        sa.update(invitations)
        .where(where, invitations.c.state == InvitationState.PENDING.value)
        .values(state=InvitationState.REVOKED.value)
    )


async def expire(connection: AsyncConnection, now: datetime) -> int:
    """Note the end of those whose time is over; returns how many."""
    done = await connection.execute(
        sa.update(invitations)
        .where(invitations.c.state == InvitationState.PENDING.value, invitations.c.expires_at <= now)
        .values(state=InvitationState.EXPIRED.value)
    )
    return done.rowcount


def _pending(organization_id: OrganizationId, now: datetime) -> sa.Select[Any]:
    return sa.select(invitations).where(
        invitations.c.organization_id == organization_id,
        invitations.c.state == InvitationState.PENDING.value,
        invitations.c.expires_at > now,
    )


def _invitation(row: Any) -> Invitation:
    return Invitation(
        id=InvitationId(row.id),
        organization_id=OrganizationId(row.organization_id),
        project_id=None if row.project_id is None else ProjectId(row.project_id),
        email=row.email,
        role=row.role,
        access_all_projects=row.access_all_projects,
        invited_by=UserId(row.invited_by),
        state=InvitationState(row.state),
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        created_at=row.created_at,
    )
