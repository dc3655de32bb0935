"""What ENS records tell the rest of the platform. Addresses and hashes are text (0x…), amounts wei."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from af.core.ids import EnsRecordId, IpnsRecordId, ProjectId, SiteId


class EnsStatus(StrEnum):
    """What the chain says, and nothing else."""

    CREATED = "CREATED"
    """Wanted here; the chain does not have it, and no transaction is known."""
    PENDING = "PENDING"
    """A transaction is known and not mined yet."""
    ACTIVE = "ACTIVE"
    """The chain has it."""
    ERROR = "ERROR"
    """It cannot be so: not registered, no resolver, refused, or changed to something else since. `reason` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsRecord:
    """The wish that a name of ENS points at some content, and how far it has come."""

    id: EnsRecordId
    project_id: ProjectId
    name: str
    """Normalised."""
    site_id: SiteId | None
    ipns_record_id: IpnsRecordId | None
    content: str
    """What it should point at: ``ipns://k51…``, ``ipfs://bafy…``."""
    status: EnsStatus
    reason: str
    """Why it is not ACTIVE, for people; empty when it is."""
    seen: str
    """What it pointed at when the chain was last asked; empty for nothing."""
    owner: str
    """The name's owner at that time; empty for nobody."""
    verified_at: datetime | None
    """When the chain last confirmed it."""
    checked_at: datetime | None
    """When the chain was last asked."""
    transaction: str
    """Hash of the transaction that is to bring it about; empty when none is known."""
    sender: str | None
    """Our account, while a transaction of ours is not mined; with its `nonce`, fees and signed bytes."""
    nonce: int | None
    max_fee: int | None
    tip: int | None
    signed: bytes | None
    created_at: datetime
    updated_at: datetime

    @property
    def offer(self) -> tuple[int, int] | None:
        """(most, tip) that our waiting transaction offers for a unit of gas; `None` when none waits."""
        return None if self.max_fee is None or self.tip is None else (self.max_fee, self.tip)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedTransaction:
    """What the owner's wallet or multisig has to sign. ``gas`` is the node's estimate for ``sender``."""

    chain_id: int
    sender: str
    to: str
    data: str
    value: int
    gas: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsResolution:
    """A name as the chain has it now. ``content`` is empty when it points at nothing."""

    name: str
    chain_id: int
    owner: str
    resolver: str
    content: str
