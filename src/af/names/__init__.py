"""Names of content: IPNS keys and records, DNSLinks, ENS.

An IPNS name is a public key; a record is a signed, dated pointer that whoever holds the private key can move. Keys are
kept sealed here, records are signed and renewed here, or signed elsewhere and put here (`put_record`). A name is
resolved (`resolve`) through records kept here and DNSLinks (``AF_DNSLINK_MAP``, DNS) until an ``/ipfs/`` path is
reached. What is at that path is `af.storage`'s business. `record` and `resolve` answer everybody and only read.

An ENS record is the wish that a name on Ethereum points at some content; what is so, only the chain says. The name's
owner signs the change with a wallet of their own (`prepare_ens`), or the operator with the platform's key (`send_ens`).
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
from af.names.errors_ens import (
    ChainFailed,
    EnsContentInvalid,
    EnsFeeTooHigh,
    EnsKeyMissing,
    EnsNameAbsent,
    EnsNameInvalid,
    EnsNotConfigured,
    EnsOffchain,
    EnsRecordNotFound,
    EnsRecordTaken,
    EnsRefused,
    TooManyEnsRecords,
)
from af.names.models import DnsLink, IpnsName, Resolution
from af.names.models_ens import EnsRecord, EnsResolution, EnsStatus, UnsignedTransaction
from af.names.service import (
    create,
    create_ens,
    delete,
    delete_ens,
    dnslink,
    ens_of_ipns,
    export_key,
    find,
    find_ens,
    import_key,
    lead_site,
    leave_site,
    list_ens,
    list_names,
    names_of_sites,
    prepare_ens,
    publish,
    put_record,
    record,
    resolve,
    resolve_ens,
    rotate,
    send_ens,
    verify_ens,
)

__all__ = [
    "ChainFailed",
    "DnsFailed",
    "DnsLink",
    "DnsLinks",
    "DnsOff",
    "EnsContentInvalid",
    "EnsFeeTooHigh",
    "EnsKeyMissing",
    "EnsNameAbsent",
    "EnsNameInvalid",
    "EnsNotConfigured",
    "EnsOffchain",
    "EnsRecord",
    "EnsRecordNotFound",
    "EnsRecordTaken",
    "EnsRefused",
    "EnsResolution",
    "EnsStatus",
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
    "TooManyEnsRecords",
    "UnsignedTransaction",
    "create",
    "create_ens",
    "delete",
    "delete_ens",
    "dnslink",
    "ens_of_ipns",
    "export_key",
    "find",
    "find_ens",
    "import_key",
    "lead_site",
    "leave_site",
    "list_ens",
    "list_names",
    "names_of_sites",
    "prepare_ens",
    "publish",
    "put_record",
    "record",
    "resolve",
    "resolve_ens",
    "rotate",
    "send_ens",
    "verify_ens",
]
