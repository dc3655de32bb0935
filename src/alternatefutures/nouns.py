"""What `Client` has below it: one object for each noun, imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alternatefutures.arweave import Arweave
    from alternatefutures.ens import Ens
    from alternatefutures.files import Files
    from alternatefutures.gateways import Gateways
    from alternatefutures.ipns import Ipns
    from alternatefutures.machines import Machines
    from alternatefutures.pins import PinRequests
    from alternatefutures.replication import Replication
    from alternatefutures.teams import Teams
    from alternatefutures.transport import Transport


class Nouns:
    """A part of `Client`."""

    transport: Transport

    def _select_project(self) -> str:
        raise NotImplementedError

    @property
    def arweave(self) -> Arweave:
        """Content put on Arweave, file by file."""
        from alternatefutures.arweave import Arweave

        return Arweave(self.transport)

    @property
    def gateways(self) -> Gateways:
        """Private gateways: hosts for the project's content."""
        from alternatefutures.gateways import Gateways

        return Gateways(self.transport)

    @property
    def files(self) -> Files:
        """Content by CID: folders listed, files and folders fetched and checked, CARs written."""
        from alternatefutures.files import Files

        return Files(self.transport, self._select_project)

    @property
    def teams(self) -> Teams:
        """Organizations, members, invitations and the audit log."""
        from alternatefutures.teams import Teams

        return Teams(self.transport)

    @property
    def machines(self) -> Machines:
        """Service accounts and trust rules."""
        from alternatefutures.machines import Machines

        return Machines(self.transport)

    @property
    def ens(self) -> Ens:
        """Names of ENS, and what they point at."""
        from alternatefutures.ens import Ens

        return Ens(self.transport)

    @property
    def ipns(self) -> Ipns:
        """IPNS names: keys, records, publishing."""
        from alternatefutures.ipns import Ipns

        return Ipns(self.transport)

    @property
    def pin_requests(self) -> PinRequests:
        """Content to be fetched from elsewhere and kept."""
        from alternatefutures.pins import PinRequests

        return PinRequests(self.transport)

    @property
    def replication(self) -> Replication:
        """Copies of content at other providers."""
        from alternatefutures.replication import Replication

        return Replication(self.transport)
