"""What can go wrong with host names. Numbers 50xx."""

from __future__ import annotations

from af.core.errors import Conflict


class HostTaken(Conflict):
    """The host name leads to another site."""

    code = "host_taken"
    number = 5001
    explain = "Another site uses this host name. Choose another name, or remove it from that site first."
