"""What can go wrong with names. IPNS and DNSLink: numbers 3100-3139; ENS: 3150-3179."""

from __future__ import annotations

from af.core.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unavailable, Upstream


class NameNotFound(NotFound):
    """The name leads nowhere: nobody published here, the record has expired, or there is no DNSLink."""

    code = "name_not_found"
    number = 3100
    explain = (
        "The IPNS name or domain leads to nothing: no record was published here, the last one has expired, or DNS has "
        "no TXT record at _dnslink.<domain>. Publish it (`af ipns publish`), or check the DNS record."
    )


class NameInvalid(InvalidInput):
    """Not a name, or one whose record leads somewhere that cannot be."""

    code = "name_invalid"
    number = 3101
    explain = (
        "That is neither an IPNS name (k51…, 12D3KooW…) nor a domain, or what it leads to is no /ipfs/ or /ipns/ path, "
        "or it leads through more than 32 other names or in a circle."
    )


class IpnsRecordNotFound(NotFound):
    """The project keeps no such name."""

    code = "ipns_record_not_found"
    number = 3102
    explain = "Your project has no such IPNS name. `af ipns list` shows what it has."


class InvalidIpnsRecord(InvalidInput):
    """A record that does not verify."""

    code = "invalid_ipns_record"
    number = 3103
    http_status = 422
    explain = (
        "The bytes are no IPNS record of that name: signed by another key, without a version 2 signature, changed, "
        "cut, or larger than 10 KiB."
    )


class IpnsRecordOutdated(Conflict):
    """A genuine record that has expired, or that a newer one has replaced."""

    code = "ipns_record_outdated"
    number = 3104
    explain = (
        "The IPNS record is genuine but has expired, or a newer one (a higher sequence, then a later end) is here "
        "already. Publish again with a higher sequence."
    )


class InvalidIpnsKey(InvalidInput):
    """Not a private key that can sign records."""

    code = "invalid_ipns_key"
    number = 3105
    http_status = 422
    explain = (
        "The file is no private key in one of the formats of `ipfs key export` (libp2p-protobuf-cleartext, "
        "pem-pkcs8-cleartext), or of a type other than Ed25519, RSA (2,048 to 8,192 bits), secp256k1 and ECDSA."
    )


class NoIpnsKey(Conflict):
    """The name's key is not here, so nothing can be signed with it."""

    code = "no_ipns_key"
    number = 3106
    explain = (
        "The platform holds a record of this name but not its private key, so it can neither publish nor rotate it. "
        "Import the key (`af ipns import`), or sign elsewhere and send the record (`af ipns put`)."
    )


class IpnsNameTaken(Conflict):
    """The project has a key of that label, or that key, already."""

    code = "ipns_name_taken"
    number = 3107
    explain = "Your project has an IPNS key with this label, or this very key, already. `af ipns list` shows them."


class TooManyIpnsNames(QuotaExceeded):
    """A project has so many names and no more."""

    code = "too_many_ipns_names"
    number = 3108
    explain = "A project may have 1,000 IPNS names. Delete those that are no longer needed."


class AlreadyRotated(Conflict):
    """The name has handed over to another one."""

    code = "ipns_already_rotated"
    number = 3109
    explain = "The key was rotated before: its name leads to the newer one. Rotate or publish that one."


class DnsFailed(Upstream):
    """The name servers did not answer, or said that they failed."""

    code = "dns_failed"
    number = 3110
    explain = (
        "The name servers did not answer the question for _dnslink.<domain>, or failed. Try again, or check "
        "AF_DNS_RESOLVERS."
    )


class DnsOff(Unavailable):
    """Looking up DNSLinks is turned off."""

    code = "dns_off"
    number = 3111
    retryable = False
    explain = (
        "AF_DNS_RESOLVERS is off, so only the domains of AF_DNSLINK_MAP resolve. Set it to name servers, or unset it."
    )
