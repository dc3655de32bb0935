"""How a user is shown to themselves in REST; ``GET /auth/me`` is served by `af.projects`, which knows organizations."""

from __future__ import annotations

from datetime import datetime

from af.auth.models import User
from af.core.clock import iso


def shown_user(user: User) -> dict[str, object]:
    """A user as ``GET /auth/me`` shows it; an address is only ever kept when it was proven."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "emailVerified": user.email is not None,
        "displayName": user.display_name,
        "avatarUrl": user.avatar_url,
        "operator": user.operator,
        "createdAt": _moment(user.created_at),
        "lastLoginAt": _moment(user.last_login_at),
        "deletesAt": _moment(user.deletes_at),
    }


def _moment(value: datetime | None) -> str | None:
    return None if value is None else iso(value)
