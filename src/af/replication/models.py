"""What a copy of content elsewhere is. Sizes are bytes; money is in the provider's smallest unit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from af.core.ids import CopyId, ProjectId, SiteId
from af.protocols.ipfs.cid import CID


class CopyState(StrEnum):
    """Where a copy is. `WANTED` → `WAITING` → `STORED` → `FINAL`; `LOST` and `FAILED` want a new attempt."""

    WANTED = "wanted"
    """Not begun."""
    WAITING = "waiting"
    """Taken by the provider, not yet there for everybody (queued, pending, in a deal that is being made)."""
    STORED = "stored"
    """There, and can be read back."""
    FINAL = "final"
    """There for as long as the network promises: confirmed often enough, or in a sealed deal."""
    LOST = "lost"
    """The provider no longer has it."""
    FAILED = "failed"
    """The provider refused it or gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The content to copy: everything below ``root``. ``car`` opens its CARv1 anew each time, exactly ``car_bytes``
    long, parents first, each block once."""

    root: CID
    name: str
    car_bytes: int
    car: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate before anything is paid: ``amount`` in ``unit`` (``winc``, ``attofil``, ``microusd``), once, or for
    each month when ``monthly``."""

    amount: int
    unit: str
    monthly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the provider gave for a copy: ``ref`` finds it again (a request id, a transaction id), ``url`` shows it to
    people, ``detail`` says more in words (a deal, a block height)."""

    ref: str
    state: CopyState
    url: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where the live content of a project, or of one of its sites, is to be copied. Without a site it is about the
    project's pins and all of its sites."""

    project_id: ProjectId
    site_id: SiteId | None
    providers: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One root at one provider. ``turn`` counts its runs, ``attempts`` failures in a row; ``unwanted_at`` is when the
    last policy or name let it go. ``blocks_proved`` were read back and checked at ``proved_at``."""

    id: CopyId
    project_id: ProjectId
    root: CID
    name: str
    provider: str
    state: CopyState
    receipt: Receipt | None
    cost: Cost | None
    car_bytes: int
    attempts: int
    turn: int
    error: str
    blocks_proved: int
    proved_at: datetime | None
    unwanted_at: datetime | None
    due_at: datetime
    created_at: datetime
    updated_at: datetime


class Finding(StrEnum):
    """What a source of content was found to have."""

    WHOLE = "whole"
    """Every block that was asked for came, and is what its CID says."""
    MISSING = "missing"
    WRONG = "wrong"
    """It gave bytes that are not the block's."""
    UNREACHABLE = "unreachable"
    UNPROVABLE = "unprovable"
    """The service does not give content out, so nobody can check it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCheck:
    """One source's answer to `verify`: of ``asked`` blocks ``right`` were right."""

    source: str
    finding: Finding
    asked: int
    right: int
    detail: str = ""
