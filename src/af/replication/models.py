"""What a copy of content elsewhere is. Sizes are bytes; money is in the provider's smallest unit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

from af.protocols.ipfs.cid import CID


class CopyState(StrEnum):
    """Where a copy is. `WAITING` → `STORED` → `FINAL`; `LOST` and `FAILED` want a new attempt."""

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
