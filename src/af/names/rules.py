"""What a name may lead to, how long it lasts, and how links of names are followed; plain functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from af.core.errors import InvalidInput
from af.names.errors import NameInvalid
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns
from af.protocols.ipfs.errors import InvalidCid, InvalidName

NAMES_PER_PROJECT_MAX = 1_000
HOPS_MAX = 32
PATH_BYTES_MAX = 2_048
LIFETIME_SECONDS = 48 * 3600
"""Kubo's default, like the next."""
TTL_SECONDS = 300.0
LIFETIMES = range(60, 10 * 366 * 86_400)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_REFUSED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, halves of characters
_DNS_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")

Kind = Literal["ipfs", "ipns"]


@dataclass(frozen=True, slots=True)
class Target:
    """A content path in its parts: ``/<kind>/<name><rest>``; ``rest`` is empty or begins with a slash."""

    kind: Kind
    name: str
    rest: str

    @property
    def path(self) -> str:
        return f"/{self.kind}/{self.name}{self.rest}"


def read_target(text: str) -> Target:
    """Reads ``/ipfs/<cid>/…``, ``/ipns/<name or domain>/…``, or a CID alone. :raises NameInvalid:"""
    if len(text.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX or _REFUSED.search(text):
        raise NameInvalid(f"A path has at most {PATH_BYTES_MAX:,} bytes, and no control characters.")
    if not text.startswith("/"):
        text = f"/ipfs/{text}"
    _, kind, name, *rest = [*text.split("/", 3), ""][:4]
    tail = f"/{rest[0]}" if rest and rest[0] else ""
    if kind == "ipfs":
        return Target("ipfs", _checked_cid(name), tail)
    if kind == "ipns":
        return Target("ipns", _checked_name(name), tail)
    raise NameInvalid(f"{text[:80]!r} is no /ipfs/ or /ipns/ path.")


def _checked_cid(name: str) -> str:
    try:
        cids.parse(name)
    except InvalidCid as error:
        raise NameInvalid(f"{name[:80]!r} is not a CID.", detail=str(error)) from error
    return name


def _checked_name(name: str) -> str:
    ipns_name = as_ipns_name(name)
    return domain_of(name) if ipns_name is None else ipns.to_text(ipns_name)


def as_ipns_name(text: str) -> ipns.Name | None:
    """The IPNS name that the text is; `None` if it is none (then it may be a domain)."""
    try:
        return ipns.parse_name(text)
    except InvalidName:
        return None


def domain_of(text: str) -> str:
    """The domain in lower case, without a dot at its end. :raises NameInvalid: it is none."""
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 240 or len(labels) < 2 or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        raise NameInvalid(f"{text[:80]!r} is neither an IPNS name nor a domain.")
    return name


def joined(target: Target, rest: str) -> Target:
    """``target`` with what was asked for below the name that led to it."""
    return Target(target.kind, target.name, target.rest.rstrip("/") + rest if rest else target.rest)


def check_label(label: str) -> str:
    if not _LABEL.fullmatch(label) or as_ipns_name(label) is not None:
        raise InvalidInput(
            "A label has 1 to 63 letters, digits, dots, dashes and underscores, and is no IPNS name.", field="label"
        )
    return label


def check_times(lifetime_seconds: int, ttl_seconds: float) -> None:
    if lifetime_seconds not in LIFETIMES:
        raise InvalidInput("A record is valid for one minute to ten years.", field="lifetime")
    if not 0 <= ttl_seconds <= LIFETIMES.stop:
        raise InvalidInput("The time to live is between 0 and ten years.", field="ttl")


def next_signing(now: datetime, lifetime_seconds: int) -> datetime:
    """At half of the life: a worker may then be away for the other half, and no reader ever sees it end."""
    return now + timedelta(seconds=lifetime_seconds / 2)
