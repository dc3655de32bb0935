"""What storage tells the rest of the platform: receipts, summaries, pins and figures. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from af.core.ids import PinId, PinRequestId, ProjectId
from af.protocols.ipfs.cid import CID

RootKind = Literal["deployment", "pin", "upload"]
"""Why content is kept. `upload` is a lease: it ends by itself, and covers the time from "all there" to "held"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarReceipt:
    """What a CAR held. ``new_blocks`` counts blocks that the project could not see before."""

    roots: tuple[CID, ...]
    blocks: int
    new_blocks: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReceipt:
    """A CAR taken in for keeping. ``complete``: all blocks below every root are there (then the roots are pinned)."""

    receipt: CarReceipt
    complete: bool
    missing: tuple[CID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DagSummary:
    """A DAG that is wholly there. ``files`` counts paths (a file linked twice counts twice), ``bytes`` their content as
    the links claim it, ``blocks`` distinct blocks."""

    root: CID
    files: int
    bytes: int
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Content that a project keeps, by CID."""

    id: PinId
    project_id: ProjectId
    cid: CID
    name: str
    size: int
    folder: str
    created_at: datetime
    updated_at: datetime

    @property
    def filename(self) -> str:
        """The name without its last extension."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def extension(self) -> str:
        """What follows the last dot of the name; empty for none (a leading dot is not an extension)."""
        stem, _, extension = self.name.rpartition(".")
        return extension if stem else ""


class CopyState(StrEnum):
    """How far the Kubo node is with a public root: see `service.network`."""

    WANTED = "wanted"
    PINNED = "pinned"
    ANNOUNCED = "announced"
    LEAVING = "leaving"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class KuboCopy:
    """The copy of one root. ``attempts`` failed in a row, the last one with ``error``; ``turn`` counts changes."""

    root: CID
    state: CopyState
    attempts: int
    turn: int
    error: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyChanges:
    """Public roots without a copy, copies taken back whose root is public again, copies whose root is not any more."""

    fresh: tuple[CID, ...]
    again: tuple[CID, ...]
    unheld: tuple[CID, ...]

    def __bool__(self) -> bool:
        return bool(self.fresh or self.again or self.unheld)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStats:
    """The whole store. ``dead_bytes`` are in segments but belong to no block any more."""

    blocks: int
    bytes: int
    public_blocks: int
    corrupt_blocks: int
    segments: int
    dead_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStats:
    """What one project keeps. ``bytes`` sums the pins' sizes."""

    pins: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Blocks that went (or, dry, would go); ``freed_bytes`` is what compaction gave back to the disk."""

    blocks: int
    bytes: int
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One garbage collection. ``blocked`` names kept roots with an unreadable node: then nothing was swept, because
    what that node links to cannot be told from garbage."""

    dry_run: bool
    roots: int
    swept: Swept
    blocked: tuple[CID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """Every block re-hashed. ``corrupt`` lists blocks whose bytes no longer match; they are no longer served."""

    blocks: int
    bytes: int
    corrupt: tuple[CID, ...] = field(default=())


class PinState(StrEnum):
    """Where a pin request stands (Pinning Service API, `Status`)."""

    QUEUED = "queued"
    PINNING = "pinning"
    PINNED = "pinned"
    FAILED = "failed"


class TextMatch(StrEnum):
    """How a name is compared (Pinning Service API, `TextMatchingStrategy`)."""

    EXACT = "exact"
    IEXACT = "iexact"
    PARTIAL = "partial"
    IPARTIAL = "ipartial"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPin:
    """What somebody asks to be fetched and kept (Pinning Service API, `Pin`)."""

    cid: CID
    name: str = ""
    origins: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing in a folder. ``kind`` is ``file``, ``folder``, ``symlink``, ``data`` (no UnixFS), ``missing`` (its block
    is not here) or ``damaged``. ``size_bytes`` is a file's content; else what all blocks below take, as its maker said.
    """

    name: bytes
    cid: CID
    kind: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What is at a path: ``entry`` (its name is empty at the root), and a page of what a folder has, by name."""

    entry: Entry
    entries: tuple[Entry, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRequest:
    """A wish to fetch and keep content. ``created_at`` has whole milliseconds and no twin in its project: lists are
    paged by it. ``reason`` says why the last attempt failed; ``blocks`` and ``bytes`` are what has come so far.
    ``made_pin``: the project's pin of the CID is there because of requests, so it goes with the last of them."""

    id: PinRequestId
    project_id: ProjectId
    pin: WantedPin
    state: PinState
    created_at: datetime
    updated_at: datetime
    reason: str = ""
    blocks: int = 0
    bytes: int = 0
    made_pin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PinFilter:
    """Which pin requests a list shows; the newest first."""

    cids: tuple[CID, ...] = ()
    name: str | None = None
    match: TextMatch = TextMatch.EXACT
    states: tuple[PinState, ...] = (PinState.PINNED,)
    before: datetime | None = None
    after: datetime | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    limit: int = 10
