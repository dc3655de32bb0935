"""What names tell the rest of the platform. A name is written in base36 (``k51…``), as everywhere in the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from af.core.ids import IpnsRecordId, ProjectId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class IpnsName:
    """A name that a project keeps here, with its newest record."""

    id: IpnsRecordId
    project_id: ProjectId
    name: str
    label: str | None
    """What its owners call it; unique in the project."""

    site_id: SiteId | None
    """The site whose content it follows."""

    key_type: str
    """``ed25519`` …; empty where we hold only a record, signed elsewhere."""

    value: str
    """What it should lead to, ``/ipfs/…`` or ``/ipns/…``; empty before the first publication. The record says the same
    or will soon."""

    record: bytes | None
    sequence: int
    """Of the record; -1 for none."""

    valid_until: datetime | None
    """End of the record."""

    lifetime_seconds: int
    """How long a record is valid that is signed here."""

    ttl_seconds: float
    """How long readers may keep an answer."""

    due_at: datetime | None
    """When the next record is to be signed; `None`: not by itself."""

    announce_at: datetime | None
    """When the record is to be given to the Kubo node next, for the open network; `None`: there is none yet."""

    replaced_by: str | None
    """The name that took over when the key was rotated."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Where a name leads in the end: ``/ipfs/<cid>/…``. ``ttl_seconds``: how long that may be kept, `None` if nobody
    said."""

    path: str
    ttl_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsLink:
    """A DNS record for people to add to their zone: ``name TXT "value"``."""

    name: str
    value: str
