"""What names do, by use: keys, publishing, resolving, renewal, what follows sites and projects; ENS."""

from __future__ import annotations

from af.names.service.announce import announce, to_announce
from af.names.service.ens import (
    create_ens,
    delete_ens,
    ens_of_ipns,
    find_ens,
    ipns_of_ens,
    list_ens,
    prepare_ens,
    resolve_ens,
    verify_ens,
)
from af.names.service.ens_send import ens_due, look_after_ens, send_ens
from af.names.service.keys import create, delete, export_key, import_key, rotate
from af.names.service.lists import find, list_names, names_of_sites
from af.names.service.publish import publish, put_record
from af.names.service.renew import (
    due,
    forget_project,
    lead_site,
    leave_site,
    postpone,
    projects_to_forget,
    renew,
)
from af.names.service.resolve import dnslink, record, resolve

__all__ = [
    "announce",
    "create",
    "create_ens",
    "delete",
    "delete_ens",
    "dnslink",
    "due",
    "ens_due",
    "ens_of_ipns",
    "export_key",
    "find",
    "find_ens",
    "forget_project",
    "import_key",
    "ipns_of_ens",
    "lead_site",
    "leave_site",
    "list_ens",
    "list_names",
    "look_after_ens",
    "names_of_sites",
    "postpone",
    "prepare_ens",
    "projects_to_forget",
    "publish",
    "put_record",
    "record",
    "renew",
    "resolve",
    "to_announce",
    "resolve_ens",
    "rotate",
    "send_ens",
    "verify_ens",
]
