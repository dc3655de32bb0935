"""Copies of content on networks that are not ours: where they are wanted, how they are made, proved by reading them
back, and repaired.

Not here: our own blocks (`af.storage`), names that point at content (`af.names`).
"""

from af.replication.backends.configured import Providers
from af.replication.models import Copy, CopyState, Finding, Policy, SourceCheck
from af.replication.service import (
    delete_policy,
    figures,
    list_copies,
    list_policies,
    list_providers,
    look_again,
    set_policy,
    verify,
)

__all__ = [
    "Copy",
    "CopyState",
    "Finding",
    "Policy",
    "Providers",
    "SourceCheck",
    "delete_policy",
    "figures",
    "list_copies",
    "list_policies",
    "list_providers",
    "look_again",
    "set_policy",
    "verify",
]
