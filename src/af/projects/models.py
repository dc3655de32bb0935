"""Organizations and projects: what everything else belongs to, who is in them, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from af.auth import User
from af.core.ids import InvitationId, OrganizationId, ProjectId, UserId


class Role(Enum):
    """A place in a project, weakest first; each may do what those before it may."""

    VIEWER = "VIEWER"
    MEMBER = "MEMBER"
    ADMIN = "ADMIN"
    OWNER = "OWNER"


class OrganizationRole(Enum):
    """A place in an organization. BILLING sees and pays bills, and nothing of what is in the projects."""

    BILLING = "BILLING"
    VIEWER = "VIEWER"
    MEMBER = "MEMBER"
    ADMIN = "ADMIN"
    OWNER = "OWNER"


@dataclass(frozen=True, slots=True)
class Organization:
    """People who own projects together. ``personal_of`` is the person whose own it is: made by itself when first
    needed, never deleted while its person is there."""

    id: OrganizationId
    name: str
    slug: str
    avatar_url: str | None
    personal_of: UserId | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrganizationMember:
    """A user's place in an organization. A MEMBER or VIEWER without ``access_all_projects`` sees those listed for
    them (and those that they are a direct member of)."""

    organization_id: OrganizationId
    user_id: UserId
    role: OrganizationRole
    access_all_projects: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project of an organization. ``created_by`` is its first owner."""

    id: ProjectId
    name: str
    slug: str
    avatar: str | None
    backup_storage_on_arweave: bool
    backup_storage_on_filecoin: bool
    organization_id: OrganizationId
    created_by: UserId
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """A user's place in a project, beside what the organization gives."""

    project_id: ProjectId
    user_id: UserId
    role: Role
    created_at: datetime


class InvitationState(Enum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whoever proves ``email`` before ``expires_at`` may become a member. ``role`` is the name of an
    `OrganizationRole`, or of a `Role` when the invitation is to one project. Its secret is only in the message."""

    id: InvitationId
    organization_id: OrganizationId
    project_id: ProjectId | None
    email: str
    role: str
    access_all_projects: bool
    invited_by: UserId
    state: InvitationState
    expires_at: datetime
    sent_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ShownInvitation:
    """What the link of an invitation shows to whoever has it."""

    organization: str
    project: str | None
    role: str
    invited_by: str
    masked_email: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The owner of the platform, a project of theirs, and the text of their token if it was made just now."""

    user: User
    project: Project
    token: str | None
