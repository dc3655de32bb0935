"""Which host name leads to which content: the host table, the one thing that the gateway reads of the database.

Control plane and gateway meet in these rows: `sites` binds names to roots in the transaction that makes a deployment
ready, and every gateway follows the table by *change number*, which rises in commit order. A name that goes away leaves
a tombstone (an entry without a root), so that whoever follows the changes learns of it. Custom domains, DNS records and
certificates will live here too; what is served under a name is the gateway's business.
"""

from af.domains.errors import HostTaken
from af.domains.models import CUSTOM_ZONE, SITE_ZONE, HostBinding, HostEntry
from af.domains.service import bind, changed_since, latest_change, live, lookup, move, reap_tombstones, unbind_site

__all__ = [
    "CUSTOM_ZONE",
    "SITE_ZONE",
    "HostBinding",
    "HostEntry",
    "HostTaken",
    "bind",
    "changed_since",
    "latest_change",
    "live",
    "lookup",
    "move",
    "reap_tombstones",
    "unbind_site",
]
