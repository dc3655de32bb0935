"""Names of content: IPNS keys and records, DNSLinks.

An IPNS name is a public key; a record is a signed, dated pointer that whoever holds the private key can move. Keys are
kept sealed here, records are signed and renewed here, or signed elsewhere and put here (`put_record`). A name is
resolved (`resolve`) through records kept here and DNSLinks (``AF_DNSLINK_MAP``, DNS) until an ``/ipfs/`` path is
reached. What is at that path is `af.storage`'s business. `record` and `resolve` answer everybody and only read.
"""

from __future__ import annotations

from af.names.backends import DnsLinks, Link, RecordCache
from af.names.errors import (
    DnsFailed,
    DnsOff,
    InvalidIpnsRecord,
    IpnsRecordNotFound,
    IpnsRecordOutdated,
    NameInvalid,
    NameNotFound,
    NoIpnsKey,
)
from af.names.models import DnsLink, IpnsName, Resolution
from af.names.service import (
    create,
    delete,
    dnslink,
    export_key,
    find,
    import_key,
    lead_site,
    leave_site,
    list_names,
    names_of_sites,
    publish,
    put_record,
    record,
    resolve,
    rotate,
)

__all__ = [
    "DnsFailed",
    "DnsLink",
    "DnsLinks",
    "DnsOff",
    "InvalidIpnsRecord",
    "IpnsName",
    "IpnsRecordNotFound",
    "IpnsRecordOutdated",
    "Link",
    "NameInvalid",
    "NameNotFound",
    "NoIpnsKey",
    "RecordCache",
    "Resolution",
    "create",
    "delete",
    "dnslink",
    "export_key",
    "find",
    "import_key",
    "lead_site",
    "leave_site",
    "list_names",
    "names_of_sites",
    "publish",
    "put_record",
    "record",
    "resolve",
    "rotate",
]
