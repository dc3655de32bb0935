"""What names do, by use: keys, publishing, resolving, renewal, and what follows sites and projects."""

from __future__ import annotations

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
    "create",
    "delete",
    "dnslink",
    "due",
    "export_key",
    "find",
    "forget_project",
    "import_key",
    "lead_site",
    "leave_site",
    "list_names",
    "names_of_sites",
    "postpone",
    "projects_to_forget",
    "publish",
    "put_record",
    "record",
    "renew",
    "resolve",
    "rotate",
]
