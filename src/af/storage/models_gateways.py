"""What a private gateway is: a host of a project that gives out its content, the private one too, to those who show a
token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from af.core.ids import PrivateGatewayId, ProjectId, ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The place where a private gateway is set up: the original platform made it first, and the gateway in it."""

    id: ZoneId
    project_id: ProjectId
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateGateway:
    """``slug`` is the first label of its host, ``<slug>.gateway.<domain>``."""

    id: PrivateGatewayId
    project_id: ProjectId
    zone_id: ZoneId
    name: str
    slug: str
    created_at: datetime
    updated_at: datetime
