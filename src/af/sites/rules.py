"""Decisions about sites and deployments, as plain functions: names, slugs, states, rule files and their differences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from af.core.ids import SiteId, label
from af.protocols import headers, redirects
from af.sites.errors import InvalidName, InvalidSlug, NotDeployable
from af.sites.models import (
    Deployment,
    DeploymentStatus,
    RejectedRule,
    Routes,
)

SLUG_LENGTH_MAX = 40  # <16-character label>--<slug> must stay within a DNS label's 63
NAME_LENGTH_MAX = 100
MESSAGE_LENGTH_MAX = 1_000
REDIRECTS_FILE = "_redirects"
HEADERS_FILE = "_headers"
RULE_FILES = (REDIRECTS_FILE, HEADERS_FILE)
NO_ROUTES = Routes({"redirects": [], "headers": []}, ())

RESERVED_SLUGS = frozenset(
    {
        "account", "admin", "agent", "agents", "api", "app", "auth", "autoconfig", "autodiscover", "billing",
        "cdn", "dashboard", "dns", "docs", "email", "fn", "ftp", "functions", "gateway", "imap", "ipfs", "ipns",
        "localhost", "login", "logout", "mail", "mcp", "metrics", "mx", "ns", "ns1", "ns2", "ns3", "ns4", "oauth",
        "pins", "platform", "pop", "pop3", "postmaster", "registry", "root", "smtp", "sso", "status", "system",
        "upload", "uploads", "webhooks", "webmail", "wpad", "www",
    }
)  # fmt: skip
"""Names under a sites domain that belong to the platform, that mail and proxy discovery look up, or that would pass for
the platform's own pages."""

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
FINAL = frozenset({DeploymentStatus.SUCCESS, DeploymentStatus.FAILED, DeploymentStatus.CANCELED})
_NEXT: Mapping[DeploymentStatus, frozenset[DeploymentStatus]] = {
    DeploymentStatus.PENDING: frozenset(
        {DeploymentStatus.BUILDING, DeploymentStatus.UPLOADING, DeploymentStatus.FAILED, DeploymentStatus.CANCELED}
    ),
    DeploymentStatus.BUILDING: frozenset(
        {DeploymentStatus.UPLOADING, DeploymentStatus.FAILED, DeploymentStatus.CANCELED}
    ),
    DeploymentStatus.UPLOADING: frozenset(
        {
            DeploymentStatus.UPLOADING,  # the worker died and begins again
            DeploymentStatus.SUCCESS,
            DeploymentStatus.FAILED,
            DeploymentStatus.CANCELED,
        }
    ),
}


# --- names ---------------------------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    """The name without surrounding space.

    :raises InvalidName: empty, too long, or with characters that cannot be seen.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= NAME_LENGTH_MAX or not trimmed.isprintable():
        raise InvalidName(f"A site's name has 1 to {NAME_LENGTH_MAX} visible characters.", field="name")
    return trimmed


def check_slug(slug: str) -> str:
    """The slug, if it can be a host name of ours.

    :raises InvalidSlug: it cannot; the message says why.
    """
    why = _why_not(slug)
    if why:
        hint = "Choose another (af deploy takes it as --site)."
        raise InvalidSlug(f"The slug {slug[: SLUG_LENGTH_MAX + 1]!r} {why}.", hint=hint, field="slug")
    return slug


def is_valid_slug(slug: str) -> bool:
    return not _why_not(slug)


def slug_from_name(name: str) -> str:
    """``Mein Café 2`` → ``mein-cafe-2``.

    :raises InvalidName: nothing is left of it.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH_MAX].rstrip("-")
    if not slug:
        raise InvalidName("The name has no letter or digit to make a slug of: give a slug too.", field="name")
    return f"{slug}-site"[:SLUG_LENGTH_MAX] if slug in RESERVED_SLUGS else slug


def slug_beside(slug: str, site_id: SiteId) -> str:
    """A slug for a site whose own choice is taken by a stranger: the same with five characters of its id."""
    ending = "-" + label(site_id)[:5]
    return slug[: SLUG_LENGTH_MAX - len(ending)].rstrip("-") + ending


def preview_host(deployment_id: str, slug: str) -> str:
    """The name, in the sites zone, that always leads to this deployment."""
    return f"{label(deployment_id)}--{slug}"


def check_message(message: str) -> str:
    """The message of a deployment, cut to its limit and freed of control characters (it is shown in terminals)."""
    kept = "".join(character for character in message if character.isprintable() or character in "\n\t")
    return kept[:MESSAGE_LENGTH_MAX].strip()


def _why_not(slug: str) -> str:
    if not 1 <= len(slug) <= SLUG_LENGTH_MAX:
        return f"must have 1 to {SLUG_LENGTH_MAX} characters"
    if not _SLUG.fullmatch(slug):
        return "may hold only a-z, 0-9 and single hyphens inside"
    if "--" in slug:
        return "may not hold two hyphens in a row"
    if slug in RESERVED_SLUGS:
        return "is reserved"
    return ""


# --- states --------------------------------------------------------------------------------------------------------


def may_become(status: DeploymentStatus, wanted: DeploymentStatus) -> bool:
    """Whether a deployment may go from one status to another. Final ones never change."""
    return wanted in _NEXT.get(status, frozenset())


def check_can_go_live(deployment: Deployment) -> None:
    """:raises NotDeployable: the deployment is not ready."""
    if deployment.status is not DeploymentStatus.SUCCESS:
        raise NotDeployable(
            f"Deployment {deployment.id} is {shown_status(deployment.status)}; only ready deployments can go live.",
            field="deploymentId",
        )


def check_can_cancel(deployment: Deployment) -> None:
    """:raises NotDeployable: the deployment has ended."""
    if deployment.status in FINAL:
        raise NotDeployable(f"Deployment {deployment.id} is already {shown_status(deployment.status)}.")


def shown_status(status: DeploymentStatus) -> str:
    """The word that people and the CLI use."""
    return "ready" if status is DeploymentStatus.SUCCESS else status.value.lower()


# --- rule files ----------------------------------------------------------------------------------------------------


def read_rule_files(files: Mapping[str, bytes]) -> Routes:
    """The rules of a deployment from its `RULE_FILES`; an absent file has none."""
    parsed_redirects = redirects.parse(files.get(REDIRECTS_FILE, b""))
    parsed_headers = headers.parse(files.get(HEADERS_FILE, b""))
    rejected = [RejectedRule.of(REDIRECTS_FILE, rule) for rule in parsed_redirects.rejected]
    rejected += [RejectedRule.of(HEADERS_FILE, rule) for rule in parsed_headers.rejected]
    routes = {
        "redirects": redirects.to_json(parsed_redirects.rules),
        "headers": headers.to_json(parsed_headers.rules),
    }
    return Routes(routes, tuple(rejected))


def redirect_lines(routes: Mapping[str, Any]) -> list[str]:
    """The redirect rules of a deployment as lines of a ``_redirects`` file."""
    return [
        " ".join(
            [
                rule.source,
                *(f"{name}={value}" for name, value in rule.query),
                rule.to,
                f"{rule.status}{'!' if rule.forced else ''}",
            ]
        )
        for rule in redirects.from_json(routes.get("redirects", ()))
    ]


def header_lines(routes: Mapping[str, Any]) -> list[str]:
    """The header rules of a deployment, one line for each path and header."""
    return [
        f"{rule.path} ! {name}" if value is None else f"{rule.path} {name}: {value}"
        for rule in headers.from_json(routes.get("headers", ()))
        for name, value in rule.headers
    ]


def only_in(lines: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The lines that are not among the others, in their order."""
    known = set(others)
    return tuple(line for line in lines if line not in known)
