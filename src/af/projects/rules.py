"""Who may do what, as plain functions and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from af import auth
from af.projects.errors import InvalidAvatar, InvalidOrganizationName, InvalidProjectName, RoleTooLow
from af.projects.models import OrganizationRole, Role

SLUG_LENGTH_MAX = 40
SLUG_TRIES_MAX = 100
MEMBERS_MAX = 1_000
PROJECTS_PER_USER_MAX = 1_000
ORGANIZATIONS_PER_USER_MAX = 50
INVITATIONS_PENDING_MAX = 100
INVITATION_LIFE = timedelta(days=7)

_RANK = {role: rank for rank, role in enumerate(Role)}
_ORGANIZATION_RANK = {role: rank for rank, role in enumerate(OrganizationRole)}

# --- projects -------------------------------------------------------------------------------------------------------

_SEES = frozenset({"projects:read", "members:read", "sites:read", "storage:read"})
_OWN_TOKENS = frozenset({"tokens:read", "tokens:write"})
"""Everybody's tokens are their own and can do no more than they can."""

_VIEWER = _SEES | _OWN_TOKENS
_MEMBER = _VIEWER | {"sites:write", "storage:write"}
_ADMIN = _MEMBER | {"projects:write", "members:write", "audit:read"}

ALLOWED: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {"projects:admin"},
}
"""What each role may do in a project. What is not here is refused."""

PROJECT_ACTIONS = ALLOWED[Role.OWNER]


def allows(role: Role, action: str) -> bool:
    return action in ALLOWED[role]


def lowest_role(action: str) -> Role:
    """The weakest role that may do it, to tell people."""
    return next(role for role in Role if action in ALLOWED[role])


def check_role_change(own: Role, *, before: Role | None, after: Role | None) -> None:
    """Owners are made, changed and removed by owners only. ``None``: is not a member before, or after.

    :raises RoleTooLow: the acting member is not an owner.
    """
    if Role.OWNER in (before, after) and own is not Role.OWNER:
        raise RoleTooLow("Only an owner can make, change or remove an owner.")


# --- organizations --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gives:
    """The role that a place in an organization gives in its projects: ``everywhere``, or in those that the member has
    access to."""

    role: Role | None
    everywhere: bool


GIVES: Mapping[OrganizationRole, Gives] = {
    OrganizationRole.OWNER: Gives(Role.OWNER, everywhere=True),
    OrganizationRole.ADMIN: Gives(Role.ADMIN, everywhere=True),
    OrganizationRole.MEMBER: Gives(Role.MEMBER, everywhere=False),
    OrganizationRole.VIEWER: Gives(Role.VIEWER, everywhere=False),
    OrganizationRole.BILLING: Gives(None, everywhere=False),
}

_IN_VIEWER = frozenset({"organizations:read", "members:read"})
_IN_MEMBER = _IN_VIEWER | {"projects:write"}
_IN_ADMIN = _IN_MEMBER | {"organizations:write", "members:write", "audit:read", "billing:read"}

ORGANIZATION_ALLOWED: Mapping[OrganizationRole, frozenset[str]] = {
    OrganizationRole.BILLING: frozenset({"organizations:read", "billing:read", "billing:write"}),
    OrganizationRole.VIEWER: _IN_VIEWER,
    OrganizationRole.MEMBER: _IN_MEMBER,
    OrganizationRole.ADMIN: _IN_ADMIN,
    OrganizationRole.OWNER: _IN_ADMIN | {"organizations:admin", "billing:write"},
}
"""What each role may do with the organization itself; ``projects:write`` is making a project in it."""

ORGANIZATION_ACTIONS = ORGANIZATION_ALLOWED[OrganizationRole.OWNER]


def organization_allows(role: OrganizationRole, action: str) -> bool:
    return action in ORGANIZATION_ALLOWED[role]


def effective_role(own: Role | None, organization_role: OrganizationRole | None, *, sees_project: bool) -> Role | None:
    """The stronger of the direct role in a project and what the organization gives; `None` for neither.

    ``sees_project``: the member has access to all projects, or to this one.
    """
    given = None if organization_role is None else GIVES[organization_role]
    from_organization = given.role if given is not None and (given.everywhere or sees_project) else None
    found = [role for role in (own, from_organization) if role is not None]
    return max(found, key=_RANK.__getitem__, default=None)


def check_place_change(
    own: OrganizationRole, *, before: OrganizationRole | None, after: OrganizationRole | None
) -> None:
    """Owners are the business of owners; nobody gives more than they have. ``None``: is not a member before, or after.

    :raises RoleTooLow: the acting member may not.
    """
    if OrganizationRole.OWNER in (before, after) and own is not OrganizationRole.OWNER:
        raise RoleTooLow("Only an owner can make, change or remove an owner.")
    if after is not None and _ORGANIZATION_RANK[after] > _ORGANIZATION_RANK[own]:
        raise RoleTooLow("Nobody can give a role above their own.")


def check_organization_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidOrganizationName("An organization's name has 1 to 100 characters on one line.", field="name")
    return name


def masked_email(email: str) -> str:
    """Enough to recognise one's own: ``a•••@e•••.org``."""
    name, _, host = email.rpartition("@")
    label, _, rest = host.partition(".")
    return f"{name[:1]}•••@{label[:1]}•••.{rest.rpartition('.')[2]}"


# --- names ----------------------------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidProjectName("A project's name has 1 to 100 characters on one line.", field="name")
    return name


def check_avatar(avatar: str) -> str:
    if not auth.is_picture(avatar):
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
