"""What the sign-in messages of all chains share (CAIP-122, https://chainagnostic.org/CAIPs/caip-122).

A `Message` is the text that a wallet shows and signs, taken apart. `af.protocols.siwe` and `af.protocols.siws` read and
write it in the form of their chain. Times stay the texts that were signed; `check` compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from ipaddress import IPv6Address

MESSAGE_CHARACTERS_MAX = 8192
CHAIN_ID_CHARACTERS_MAX = 32  # CAIP-2: a reference has at most so many


class InvalidMessage(ValueError):
    """Not a sign-in message of that chain. ``field`` is where it stops being one."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field.replace('_', ' ')}: {rule}")
        self.field = field


class Mismatch(ValueError):
    """A message that is well-formed but not the one expected, or not at this time. ``field`` is what differs."""

    def __init__(self, field: str, found: object, expected: object) -> None:
        super().__init__(f"{field.replace('_', ' ')} is {found!r}, expected {expected!r}")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The fields, as signed. `None` is a line that is not there; empty ``resources`` are a heading with no lines."""

    domain: str
    address: str
    scheme: str | None = None
    statement: str | None = None
    uri: str | None = None
    version: str | None = None
    chain_id: str | None = None
    nonce: str | None = None
    issued_at: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None


TAGS = {
    "uri": "URI: ",
    "version": "Version: ",
    "chain_id": "Chain ID: ",
    "nonce": "Nonce: ",
    "issued_at": "Issued At: ",
    "expiration_time": "Expiration Time: ",
    "not_before": "Not Before: ",
    "request_id": "Request ID: ",
}
"""Field -> how its line begins, in the order of the lines."""
RESOURCES = "Resources:"

# RFC 3986, appendix A. Each repetition has one way to match a text, so matching is linear.
# Texts, compiled at first use (re remembers them): a process in which nobody signs in does not pay for them.
_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_USER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*"
_LITERAL = r"\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
_AUTHORITY = rf"(?:{_USER}@)?(?:{_LITERAL}|{_NAME}*)(?::[0-9]*)?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+\-.]*"
_PATH = rf"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?|{_PCHAR}+(?:/{_PCHAR}*)*|)"
_QUERY = rf"(?:{_PCHAR}|[/?])*"
_URI = rf"{_SCHEME}:{_PATH}(?:\?{_QUERY})?(?:#{_QUERY})?"
_DATE_TIME = r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_FORMS = {
    "scheme": (_SCHEME, "must be a URI scheme (RFC 3986)"),
    "domain": (_AUTHORITY, "must be host[:port] (RFC 3986 authority)"),
    "statement": (r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]+", "must be one line of URI characters"),
    "uri": (_URI, "must be a URI (RFC 3986)"),
    "version": ("1", "must be 1"),
    "nonce": (r"[A-Za-z0-9]{8,}", "must be at least 8 letters and digits"),
    "request_id": (rf"{_PCHAR}*", "must have characters of a URI path only"),
}
_TIMES = ("issued_at", "expiration_time", "not_before")
_LITERAL_HOST = r"\[([0-9A-Fa-f:.]+)\]"
_NONCE_LINE = r"(?m)^Nonce: ([A-Za-z0-9]{8,96})$"


def header(domain: str, chain: str) -> str:
    """The first line. ``chain`` is the name that wallets show: ``Ethereum``."""
    return f"{domain} wants you to sign in with your {chain} account:"


def open_header(line: str, chain: str) -> tuple[str | None, str]:
    """(scheme, domain) of a first line. :raises InvalidMessage: it is another line."""
    ending = header("", chain)
    if not line.endswith(ending):
        raise InvalidMessage("domain", f"the first line must end with {ending.strip()!r}")
    before = line.removesuffix(ending)
    scheme, separator, domain = before.partition("://")
    return (scheme, domain) if separator else (None, before)


def open_lines(lines: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """The fields from ``URI:`` to ``Resources:``, each at most once and in order.

    :raises InvalidMessage: a line that is none of them, or out of order.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    remaining = list(lines)
    for name, tag in TAGS.items():
        if remaining and remaining[0].startswith(tag):
            found[name] = remaining.pop(0).removeprefix(tag)
    if remaining and remaining[0] == RESOURCES:
        if not all(line.startswith("- ") for line in remaining[1:]):
            raise InvalidMessage("resources", "each must be a line that begins with '- '")
        found["resources"] = tuple(line.removeprefix("- ") for line in remaining[1:])
        remaining = []
    if remaining:
        raise InvalidMessage("layout", f"no field may stand here: {remaining[0][:40]!r}")
    return found


def lines_of(message: Message) -> Iterator[str]:
    """The inverse of `open_lines`."""
    for name, tag in TAGS.items():
        value = getattr(message, name)
        if value is not None:
            yield tag + value
    if message.resources is not None:
        yield RESOURCES
        yield from (f"- {resource}" for resource in message.resources)


def check_forms(message: Message) -> None:
    """Each field has the form of its grammar; address and chain id are up to the chain.

    :raises InvalidMessage: the first that has not.
    """
    for name, (form, rule) in _FORMS.items():
        value = getattr(message, name)
        if value is not None and not re.fullmatch(form, value):
            raise InvalidMessage(name, rule)
    if not message.domain:
        raise InvalidMessage("domain", "must not be empty")
    for resource in message.resources or ():
        if not re.fullmatch(_URI, resource):
            raise InvalidMessage("resources", "each must be a URI (RFC 3986)")
    for name in _TIMES:
        if (text := getattr(message, name)) is not None:
            _time(name, text)
    for text in (message.domain, message.uri or "", *(message.resources or ())):
        _check_literal_hosts(text)


def check(message: Message, *, domain: str, uri: str, chain_id: str, nonce: str, now: datetime) -> None:
    """The message is for us, about this question, and in its time. :raises Mismatch: the first thing that is not so."""
    expected = {"domain": domain, "uri": uri, "chain_id": chain_id, "nonce": nonce}
    for name, value in expected.items():
        if getattr(message, name) != value:
            raise Mismatch(name, getattr(message, name), value)
    if message.expiration_time is not None and now >= _time("expiration_time", message.expiration_time):
        raise Mismatch("expiration_time", message.expiration_time, f"later than {now.isoformat()}")
    if message.not_before is not None and now < _time("not_before", message.not_before):
        raise Mismatch("not_before", message.not_before, f"not later than {now.isoformat()}")


def differences(one: Message, other: Message) -> tuple[str, ...]:
    """Names of the fields in which two messages differ."""
    names = (field.name for field in fields(Message))
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))


def nonce_of(text: str) -> str | None:
    """The nonce of a message that nobody has checked, to find the question that it answers."""
    found = re.search(_NONCE_LINE, text[:MESSAGE_CHARACTERS_MAX])
    return found[1] if found else None


def _time(name: str, text: str) -> datetime:
    """RFC 3339. A leap second is the second after the 59th."""
    parts = re.fullmatch(_DATE_TIME, text)
    try:
        if parts is None:
            raise ValueError
        day, minute, second, fraction, zone = parts.groups()
        leap = second == "60"
        micros = (fraction or ".0")[1:7].ljust(6, "0")
        offset = "+00:00" if zone in "Zz" else zone
        read = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}.{micros}{offset}")
        return read + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        raise InvalidMessage(name, "must be a date and time (RFC 3339)") from None


def _check_literal_hosts(text: str) -> None:
    for literal in re.findall(_LITERAL_HOST, text.partition("?")[0]):
        try:
            IPv6Address(literal)
        except ValueError:
            raise InvalidMessage("domain", f"[{literal[:50]}] is not an IPv6 address") from None
