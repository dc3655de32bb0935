"""Which messages there are, what goes into each, and by which channel it is sent. The texts are in ``templates/``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from af.core.messages import Channel, Message

LINK_CHARS_MAX = 2000
TEXT_CHARS_MAX = 200
"""Longer texts (a browser's name for itself, a name that somebody chose) are shortened."""
_LINK = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Kind(Enum):
    """What a value is."""

    TEXT = "text"
    """Ours, or a fact: a time, an address of the network, a code."""
    NAME = "name"
    """Chosen by somebody: written so that mail programs make no link of it, or invitations would carry spam."""
    LINK = "link"
    """An address of ours."""


@dataclass(frozen=True, slots=True)
class Template:
    channel: Channel
    values: Mapping[str, Kind]


def _template(channel: Channel, *, text: str = "", name: str = "", link: str = "") -> Template:
    kinds = ((Kind.TEXT, text), (Kind.NAME, name), (Kind.LINK, link))
    return Template(channel, {value: kind for kind, values in kinds for value in values.split()})


TEMPLATES: Mapping[str, Template] = {
    # ``place``: from where, "Firefox on Linux, 203.0.113.7"; ``when``: a moment, "2026-01-31 14:05 UTC".
    # ``link`` leads to where the person can do something about it.
    "sign_in": _template(Channel.EMAIL, text="code minutes", name="place", link="link"),
    "sms_code": _template(Channel.SMS, text="code minutes"),
    "email_change": _template(Channel.EMAIL, text="code minutes", name="place", link="link"),
    "email_changed": _template(Channel.EMAIL, text="new_email when", name="place", link="link"),
    "invitation": _template(Channel.EMAIL, text="role days", name="inviter organization", link="link"),
    "new_sign_in": _template(Channel.EMAIL, text="method when", name="place", link="link"),
    "session_reuse": _template(Channel.EMAIL, text="when", name="place", link="link"),
    "method_added": _template(Channel.EMAIL, text="method when", name="label place", link="link"),
    "method_removed": _template(Channel.EMAIL, text="method when", name="label place", link="link"),
    "account_deletion": _template(Channel.EMAIL, text="date days", link="link"),
    "recovery_code_used": _template(Channel.EMAIL, text="when remaining", name="place", link="link"),
}


def checked_values(message: Message) -> dict[str, str]:
    """The message's values as they may be put into its template: one line each, of bounded length.

    A message with other values than its template takes, or on another channel, is a bug of the caller's.
    """
    template = TEMPLATES[message.template]
    assert message.channel is template.channel, f"{message.template} is for {template.channel.value}"
    assert set(message.values) == set(template.values), (
        f"{message.template} takes {sorted(template.values)}, not {sorted(message.values)}"
    )
    return {name: _checked(message.values[name], kind) for name, kind in template.values.items()}


def _checked(value: str, kind: Kind) -> str:
    if kind is Kind.LINK:
        assert len(value) <= LINK_CHARS_MAX, "links have a bounded length"
        assert _LINK.fullmatch(value), "links are http(s) addresses of ours"
        return value
    line = " ".join("".join(_printable(char) for char in value[: 10 * TEXT_CHARS_MAX]).split())
    if len(line) > TEXT_CHARS_MAX:
        line = line[: TEXT_CHARS_MAX - 1] + "…"
    return _unlinked(line) if kind is Kind.NAME else line


def _printable(char: str) -> str:
    """A blank for what ends a line or turns the direction of writing: with it a name could show as another one."""
    return " " if char in _DIRECTIONS or unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs", "Co", "Cn") else char


def _unlinked(line: str) -> str:
    """With a word joiner (U+2060, invisible) after each dot, colon and @ inside of a word; numbers stay as they are."""
    return re.sub(r"([.:/@])(?=[^\W\d_])", "\\1\u2060", line)
