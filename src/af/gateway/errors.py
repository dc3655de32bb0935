"""What can go wrong on the way to content. Each is rendered as a small page or one line of text (`pages`)."""

from __future__ import annotations

from af.core.errors import Forbidden, InvalidInput, NotFound, TooLarge, Unavailable, Upstream


class SiteUnknown(NotFound):
    """No site answers at this host name."""

    code = "site_unknown"
    number = 5101
    explain = "No site or deployment has this address. `af sites list` shows the addresses of yours."


class ContentNotFound(NotFound):
    """The path leads nowhere, or its blocks are not public here."""

    code = "content_not_found"
    number = 5102
    explain = (
        "The site or CID has no file at this path, or this server does not hold it as public content. "
        "Content becomes public when a deployment or a public pin reaches it."
    )


class ContentUnavailable(Unavailable):
    """A site's own block is missing or damaged."""

    code = "content_unavailable"
    number = 5103
    explain = (
        "A block of this site could not be read. `af storage scrub` finds what is missing; deploying again heals it."
    )


class InvalidAddress(InvalidInput):
    """The host or the path of the request is malformed."""

    code = "invalid_address"
    number = 5104
    explain = "The address is malformed: bad percent-encoding, `.` or `..` segments, control characters, or not a CID."


class SiteSuspended(Forbidden):
    """The site exists but is switched off."""

    code = "site_suspended"
    number = 5105
    explain = "The site's project is suspended, by its owner or for an unpaid invoice. Its content is kept."


class NotAcceptable(InvalidInput):
    """The representation asked for is not one that we make."""

    code = "not_acceptable"
    number = 5106
    http_status = 406
    explain = (
        "The gateway gives content in its own form and never converts one codec into another: dag-cbor is no dag-json, "
        "files are neither. `?format=raw` and `?format=car` always work; `tar` where names and symlinks stay inside."
    )


class MethodNotAllowed(InvalidInput):
    """Content is read-only."""

    code = "method_not_allowed"
    number = 5107
    http_status = 405
    explain = "Sites and content answer GET, HEAD and OPTIONS only."


class AddressTooLong(TooLarge):
    """The path has too many characters or segments."""

    code = "address_too_long"
    number = 5108
    http_status = 414
    explain = "The path is longer than 8 KiB or deeper than 128 segments."


class PreconditionFailed(InvalidInput):
    """``If-Match`` names another version."""

    code = "precondition_failed"
    number = 5109
    http_status = 412
    explain = "The request asked for one version of the content (If-Match) and another is current."


class RedirectsInvalid(Unavailable):
    """The ``_redirects`` file of a public tree cannot be followed."""

    code = "redirects_invalid"
    number = 5110
    http_status = 500  # the specification's
    retryable = False
    explain = (
        "The content has a _redirects file with a line that is no rule, or one larger than 64 KiB "
        "(https://specs.ipfs.tech/http-gateways/web-redirects-file/). Paths that exist are served all the same."
    )


class NotCached(InvalidInput):
    """``Cache-Control: only-if-cached``, and it is not here."""

    code = "not_cached"
    number = 5111
    http_status = 412
    explain = "The request asked for what this server already has (only-if-cached), and it does not have this content."


class NameUnresolved(Upstream):
    """An IPNS name or DNSLink that leads nowhere for now."""

    code = "name_unresolved"
    number = 5112
    explain = (
        "No valid record of this IPNS name is known here, or the domain has no DNSLink. "
        "`af ipns put NAME FILE` takes a record; AF_DNSLINK_MAP and the DNS name `_dnslink.<domain>` give DNSLinks."
    )


class InsideBlock(Unavailable):
    """The path ends inside of a block, which this form cannot show."""

    code = "inside_block"
    number = 5113
    http_status = 501
    retryable = False
    explain = (
        "The path leads into a dag-cbor or dag-json block. Ask for the whole block: leave out what is behind its CID."
    )
