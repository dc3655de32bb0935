"""What replication does: `policies` say where copies are wanted, `copies` makes, proves and repairs them, `verify` asks
every place, and `arweave` puts a folder's files on Arweave one by one."""

from af.replication.service.arweave import estimate_site, site_standing, store_site
from af.replication.service.copies import (
    align_all,
    copies_due,
    copy_failed,
    figures,
    list_copies,
    look_again,
    tend_copy,
)
from af.replication.service.deals import filecoin_deals
from af.replication.service.policies import delete_policy, list_policies, list_providers, set_policy
from af.replication.service.verify import verify

__all__ = [
    "align_all",
    "copies_due",
    "copy_failed",
    "delete_policy",
    "estimate_site",
    "figures",
    "filecoin_deals",
    "list_copies",
    "list_policies",
    "list_providers",
    "look_again",
    "set_policy",
    "site_standing",
    "store_site",
    "tend_copy",
    "verify",
]
