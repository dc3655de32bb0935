"""Where a browser may be sent after a sign-in: to our own pages, to web apps that the settings name, to a program on
the person's own machine. Anything else is an open redirect, which lends our name to a stranger's page.

Plain functions of plain values; property tests hold them to what browsers do (the URL standard, not RFC 3986).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode, urlsplit

from af.auth.errors import RedirectRefused

LENGTH_MAX = 2048
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+")
_HIDDEN = re.compile(r"%(2f|5c|[01][0-9a-f]|7f|(?![0-9a-f]{2}))", re.IGNORECASE)
"""A slash, a backslash or a control character in disguise, or half an escape: proxies differ about them."""
_LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}")
_ADDED = frozenset({"code", "error"})


def safe_return(text: str) -> str:
    """The path (with its query) if it can lead nowhere but to our own origin; else "".

    Browsers read ``//host``, ``/\\host`` and a path with a tab in it as another host.
    """
    if len(text) > LENGTH_MAX or not all("!" <= c <= "~" and c not in "\\#" for c in text):
        return ""
    path = text.partition("?")[0]
    if _PATH.fullmatch(path) is None or "//" in path or _HIDDEN.search(path):
        return ""
    return "" if {".", ".."} & set(path.lower().replace("%2e", ".").split("/")) else text


def own_path(text: str, own_origin: str) -> str:
    """`safe_return`, also of an absolute address of our own origin."""
    rest = text[len(own_origin) :]
    return safe_return(rest if text.startswith(own_origin) and rest.startswith("/") else text)


def check_target(text: str, *, allowed: Collection[str], code_challenge: str) -> str:
    """The address of another app that may get a one-time code: its origin is in ``allowed``, or it is http on loopback
    by number at any port (RFC 8252 §7.3) and brings a PKCE challenge, as another program may listen there.

    :raises RedirectRefused: any other.
    """
    refused = RedirectRefused(
        "After signing in, this address cannot be gone to.",
        hint="The operator names the origins of web apps in AF_ALLOWED_REDIRECT_ORIGINS.",
        field="redirect_url",
    )
    if len(text) > LENGTH_MAX or not all("!" <= c <= "~" and c not in '\\#"<>' for c in text):
        raise refused
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for one that cannot be
        names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50)}
    except ValueError as error:
        raise refused from error
    if parts.username is not None or parts.password is not None or names & _ADDED:
        raise refused
    if f"{parts.scheme}://{parts.netloc}".lower() in allowed:
        return text
    if is_own_machine(text):
        if not code_challenge:
            raise RedirectRefused(
                "A program on your machine must send a PKCE challenge.",
                hint="Add code_challenge (S256 of RFC 7636) to the address.",
                field="code_challenge",
            )
        return text
    raise refused


def is_own_machine(url: str) -> bool:
    """Whether it is http to this machine by number, at a port (RFC 8252 §7.3; ``localhost`` may be something else).

    The whole authority is compared: parsers read ``[::1]evil:9`` as ``::1``.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for one that cannot be
    except ValueError:
        return False
    return parts.scheme == "http" and _LOOPBACK.fullmatch(parts.netloc) is not None


def with_values(address: str, values: dict[str, str]) -> str:
    """The address with more in its query."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"
