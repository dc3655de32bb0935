"""Who may do what, as plain functions and one table."""

from __future__ import annotations

import re

from af.projects.errors import InvalidAvatar, InvalidProjectName, RoleTooLow
from af.projects.models import Role

SLUG_LENGTH_MAX = 40
SLUG_TRIES_MAX = 100
MEMBERS_MAX = 1_000
PROJECTS_PER_USER_MAX = 1_000

_RANK = {role: rank for rank, role in enumerate(Role)}

LOWEST_ROLE = {
    "projects:read": Role.VIEWER,
    "projects:write": Role.ADMIN,
    "projects:admin": Role.OWNER,
    "members:read": Role.VIEWER,
    "members:write": Role.ADMIN,
    "tokens:read": Role.VIEWER,  # everybody's tokens are their own and can do no more than they can
    "tokens:write": Role.VIEWER,
    "sites:read": Role.VIEWER,
    "sites:write": Role.MEMBER,
    "storage:read": Role.VIEWER,
    "storage:write": Role.MEMBER,
}
"""The lowest role that may do each action. An action that is not here does not exist."""


def allows(role: Role, action: str) -> bool:
    return _RANK[role] >= _RANK[LOWEST_ROLE[action]]


def check_role_change(own: Role, *, before: Role | None, after: Role | None) -> None:
    """Owners are made, changed and removed by owners only. ``None``: is not a member before, or after.

    :raises RoleTooLow: the acting member is not an owner.
    """
    if Role.OWNER in (before, after) and own is not Role.OWNER:
        raise RoleTooLow("Only an owner can make, change or remove an owner.")


def check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidProjectName("A project's name has 1 to 100 characters on one line.", field="name")
    return name


def check_avatar(avatar: str) -> str:
    if len(avatar) > 2_000 or not re.fullmatch(r"(https|ipfs)://[^\s\"'<>\\]+", avatar):
        raise InvalidAvatar("An avatar is an https:// or ipfs:// address.", field="avatar")
    return avatar


def slug_from_name(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:SLUG_LENGTH_MAX].strip("-")
    return slug or "project"


def slug_candidate(slug: str, attempt: int) -> str:
    """``slug``, then ``slug-2`` … ``slug-100``, never longer than a slug may be."""
    if attempt == 1:
        return slug
    ending = f"-{attempt}"
    return slug[: SLUG_LENGTH_MAX - len(ending)].rstrip("-") + ending
