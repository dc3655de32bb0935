"""Projects: what everything else belongs to, and who may do what in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from af.auth import User
from af.core.ids import ProjectId, UserId


class Role(Enum):
    """What a member may do; each includes those before it."""

    VIEWER = "VIEWER"
    MEMBER = "MEMBER"
    ADMIN = "ADMIN"
    OWNER = "OWNER"


@dataclass(frozen=True, slots=True)
class Project:
    """A project. ``created_by`` is its first owner."""

    id: ProjectId
    name: str
    slug: str
    avatar: str | None
    backup_storage_on_arweave: bool
    backup_storage_on_filecoin: bool
    created_by: UserId
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """A user's place in a project."""

    project_id: ProjectId
    user_id: UserId
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The owner of the platform, a project of theirs, and the text of their token if it was made just now."""

    user: User
    project: Project
    token: str | None
