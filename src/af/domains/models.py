"""What the rest of the system sees of the host table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from af.core.ids import DeploymentId, ProjectId, SiteId

SITE_ZONE = "site"
"""Names under the sites domain: ``<slug>`` and ``<label>--<slug>``, stored without the domain."""
CUSTOM_ZONE = "custom"
"""Whole host names that users bring."""


@dataclass(frozen=True, slots=True)
class HostBinding:
    """What a name shall lead to. ``root`` is a CID as text; ``routes`` is ``{"redirects": [...], "headers": [...]}`` as
    `af.protocols.redirects` and `af.protocols.headers` write them."""

    zone: str
    name: str
    project_id: ProjectId
    site_id: SiteId
    deployment_id: DeploymentId
    root: str
    routes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A row of the table. Without ``root`` the name leads nowhere any more (a tombstone)."""

    zone: str
    name: str
    project_id: ProjectId
    site_id: SiteId
    deployment_id: DeploymentId
    root: str | None
    routes: Mapping[str, Any]
    suspended: bool
    change_no: int
