"""Which hosts are the platform's own, where a session cookie may be set and counts (design §3.1)."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection

from af.auth.errors import CrossOrigin
from af.core.settings import Settings

COOKIE = "__Host-af_session"
_OWN_PREFIXES = ("", "app.", "auth.")  # where pages are shown


def host_name(host: str) -> str:
    """The name in a ``Host`` header, lower case, without port: ``localhost:8787`` → ``localhost``."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def is_ip_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host_name(host))
    except ValueError:
        return False
    return True


def is_own_host(settings: Settings, host: str) -> bool:
    """Whether the ``Host`` header names the platform itself, not an address, a user's host or a stranger's name."""
    name = host_name(host)
    return not is_ip_literal(host) and any(
        name == prefix + domain for domain in {settings.domain, "localhost"} for prefix in _OWN_PREFIXES
    )


def own_origin(settings: Settings, host: str) -> str:
    """The ``Origin`` that the platform's own page at this ``Host`` has."""
    return f"{settings.scheme}://{host.strip().lower()}"


def require_own_page(settings: Settings, request: HTTPConnection) -> None:
    """A form of another origin could sign a visitor in to a stranger's account, or out.

    :raises CrossOrigin: the request does not come from a page of ours.
    """
    host = request.headers.get("host", "")
    if not is_own_host(settings, host) or request.headers.get("origin") != own_origin(settings, host):
        raise CrossOrigin("This form must be sent by the platform's own page.")
