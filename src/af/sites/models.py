"""What the rest of the system sees of sites and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from af.core.ids import DeploymentId, ProjectId, SiteId, UserId
from af.protocols.sitefiles import Rejected


class DeploymentStatus(Enum):
    """Where a deployment stands. The names are the original platform's, and CANCELED."""

    PENDING = "PENDING"
    """Accepted and stored; the worker has not begun."""
    BUILDING = "BUILDING"
    UPLOADING = "UPLOADING"
    """Its content is being read into the block store."""
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class DeploymentSource(Enum):
    """How a deployment came to be."""

    UPLOAD = "upload"
    """The client sent blocks and named the root."""
    ARCHIVE = "archive"
    """The client sent a tar or zip that the worker unpacks."""
    ROLLBACK = "rollback"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class Site:
    """``slug`` is unique on the whole platform: it is the host name. ``current_deployment_id`` is what visitors see."""

    id: SiteId
    project_id: ProjectId
    name: str
    slug: str
    current_deployment_id: DeploymentId | None
    created_by: UserId | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """One immutable version of a site. Only an archive's row changes, and only until its status is final.

    ``cid`` is empty until the content is known. ``bytes`` and ``files`` count the site's files.
    ``restores`` is the deployment whose content a rollback or promotion repeats; ``rolled_back_from`` is what was
    current before a rollback. ``error_code`` is an error's ``code``.
    """

    id: DeploymentId
    site_id: SiteId
    project_id: ProjectId
    cid: str
    status: DeploymentStatus
    production: bool
    source: DeploymentSource
    files: int
    bytes: int
    error_code: str
    error_message: str
    message: str
    created_by: UserId | None
    created_at: datetime
    updated_at: datetime
    ready_at: datetime | None
    restores: DeploymentId | None
    rolled_back_from: DeploymentId | None


@dataclass(frozen=True, slots=True)
class Routes:
    """The rules of a deployment's ``_redirects`` and ``_headers`` in the form that the gateway reads, and every line
    of theirs that has no effect (``file`` is the name of the file)."""

    routes: Mapping[str, Any]
    rejected: tuple[RejectedRule, ...]


@dataclass(frozen=True, slots=True)
class RejectedRule:
    file: str
    line: int
    text: str
    reason: str

    @classmethod
    def of(cls, file: str, rejected: Rejected) -> RejectedRule:
        return cls(file, rejected.line, rejected.text, rejected.reason)


@dataclass(frozen=True, slots=True)
class DiffFile:
    """A file that only one of two deployments has."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class DiffChange:
    """A file that both deployments have, with different content."""

    path: str
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class DeploymentDiff:
    """What changed between two deployments. Rules are shown as the lines that would say them; ``truncated`` means that
    there are more files than listed."""

    before: DeploymentId
    after: DeploymentId
    added: tuple[DiffFile, ...]
    removed: tuple[DiffFile, ...]
    changed: tuple[DiffChange, ...]
    redirects_added: tuple[str, ...]
    redirects_removed: tuple[str, ...]
    headers_added: tuple[str, ...]
    headers_removed: tuple[str, ...]
    truncated: bool
