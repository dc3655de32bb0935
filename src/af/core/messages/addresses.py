"""E-mail addresses and phone numbers in the one form that they are kept and sent to in.

An address becomes a line of SMTP and of a header, so what is not plainly an address is refused, never repaired: no
display names, no lists, no comments or quoted parts (RFC 5321 §4.1.2 warns of them), no IP literals, no control
characters. The part before the @ is ASCII (RFC 5322 atoms): half of the mail servers do not speak SMTPUTF8 (RFC 6531),
and letters of other scripts that look alike would make two accounts look like one. Domains of other scripts are kept in
their ASCII form (IDNA 2008, UTS 46).
"""

from __future__ import annotations

import re

from af.core.messages.errors import InvalidAddress

EMAIL_CHARS_MAX = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
LOCAL_CHARS_MAX = 64  # §4.5.3.1.1
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164: at most 15 digits


def email(text: str) -> str:
    """The address as it is sent to: outer blanks gone, the domain in lower-case ASCII, the part before the @ as given
    (who compares addresses takes `email_key`).

    :raises InvalidAddress: it is not one plain address.
    """
    address = text.strip(" ")
    local, at, domain = address.rpartition("@")
    if not at or len(address) > EMAIL_CHARS_MAX or len(local) > LOCAL_CHARS_MAX or not _LOCAL.fullmatch(local):
        raise _not_an_email()
    name = _ascii_domain(domain)
    if len(local) + 1 + len(name) > EMAIL_CHARS_MAX:
        raise _not_an_email()
    return f"{local}@{name}"


def email_key(text: str) -> str:
    """The address as accounts and invitations are known by: `email` in lower case. Nothing is dropped that a server may
    distinguish (dots, ``+tags``). :raises InvalidAddress: it is not one plain address.
    """
    return email(text).lower()


def phone(text: str) -> str:
    """The number as ``+`` and 7 to 15 digits (E.164); blanks, dots, hyphens and brackets that people write are dropped.

    :raises InvalidAddress: it is not an international number.
    """
    number = re.sub(r"[ ().\-]", "", text) if len(text) <= 40 else ""
    if number.startswith("00"):
        number = "+" + number[2:]
    if not _PHONE.fullmatch(number):
        raise InvalidAddress(
            "That is not a phone number.", hint="Write it with its country: +49 151 12345678.", field="phone"
        )
    return number


def _ascii_domain(domain: str) -> str:
    import idna

    try:
        name = idna.encode(domain, uts46=True).decode() if not domain.isascii() else domain.lower()
    except idna.IDNAError:
        raise _not_an_email() from None
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _not_an_email()
    if labels[-1].isdigit():  # an IPv4 address
        raise _not_an_email()
    return name


def _not_an_email() -> InvalidAddress:
    return InvalidAddress(
        "That is not an e-mail address.",
        hint="Write one plain address such as name@example.org.",
        field="email",
    )
