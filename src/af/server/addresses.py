"""Which of our own addresses a Host is (DESIGN §3.1). Pure; the dispatch in `targets` acts on it, and asks the gateway
about everything that is not one of ours."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum

from af import pages

PAGE_PREFIX = "/page/"
SERVICES = frozenset({"api", "app", "auth", "gateway", "uploads"})


class Kind(Enum):
    MAIN = "main"
    """``localhost`` or AF_DOMAIN: pages, cookies and everything by path."""
    LITERAL = "literal"
    """An IP address: everything by path, but never a page or a cookie."""
    SERVICE = "service"
    """``api.`` and so on, before AF_DOMAIN or ``localhost``."""
    OTHER = "other"
    """What users publish, a custom domain, or a name that somebody points at us."""


@dataclass(frozen=True, slots=True)
class Address:
    kind: Kind
    service: str = ""

    @property
    def shows_pages(self) -> bool:
        """Whether pages may be shown and cookies set here: only where user content is never served."""
        return self.kind is Kind.MAIN or self.service in ("app", "auth")


def is_page(path: str) -> bool:
    """Whether the path belongs to a page, which only addresses with ``shows_pages`` have."""
    return path == "/" or path.startswith(PAGE_PREFIX) or pages.is_page(path)


def host_name(header: str) -> str:
    """The Host header without port, brackets and final dot, in lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def classify(host: str, domain: str) -> Address:
    """``host`` as `host_name` returns it; ``domain`` is AF_DOMAIN."""
    if host in ("localhost", domain):
        return Address(Kind.MAIN)
    if _is_literal(host):
        return Address(Kind.LITERAL)
    for parent in (domain, "localhost"):
        service = host.removesuffix(f".{parent}")
        if service != host and service in SERVICES:
            return Address(Kind.SERVICE, service)
    return Address(Kind.OTHER)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
