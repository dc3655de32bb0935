"""The port for places that hold copies: pinning services, Kubo nodes, Arweave, Filecoin.

Adapters say what happened at the provider and believe nothing else: that bytes are right is for the caller, who checks
every block that `read` gives against its CID.
"""

from __future__ import annotations

from typing import Protocol

from af.protocols.ipfs.cid import CID
from af.replication.models import Cost, Receipt, Source


class Provider(Protocol):
    """One configured place. Every method is idempotent as far as the network allows, and may be called by many tasks.

    :raises ProviderRefused: it said no (credentials, plan, size); what to configure is in the hint. Not retried.
    :raises ProviderFailed: it did not answer, or not sensibly. Retried with backoff.
    """

    @property
    def name(self) -> str:
        """How policies call it: ``pinata``, ``arweave``, …"""
        ...

    async def estimate(self, source: Source) -> Cost | None:
        """What a copy would cost; `None` when the provider does not say (a plan, a node of our own)."""
        ...

    async def store(self, source: Source) -> Receipt:
        """Make a copy, or find the one that is there already."""
        ...

    async def status(self, root: CID, ref: str) -> Receipt:
        """How the copy is now."""
        ...

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        """The block ``cid`` of the copy, from the provider itself (not through a cache of ours), unverified."""
        ...

    async def remove(self, root: CID, ref: str) -> None:
        """Stop keeping the copy; nothing happens where a network keeps it for ever."""
        ...
