"""What a provider says of a person, in one form.

Everything here was written by strangers: lengths and kinds are checked, and an address counts only where the provider
says that it verified it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from af.auth.backends import Identity
from af.auth.backends.oauth.providers import Profile
from af.auth.errors import IssuerFailed

NAME_LENGTH_MAX = 100
URL_LENGTH_MAX = 1000
EMAIL_LENGTH_MAX = 254
EMAILS_MAX = 100
_HASH = re.compile(r"[A-Za-z0-9_]{1,64}")


def from_claims(claims: Mapping[str, Any], subject: str) -> Identity:
    """OpenID Connect Core §5.1. Some issuers write ``email_verified`` as text."""
    email = _email(claims.get("email")) if claims.get("email_verified") in (True, "true") else None
    name = _text(claims.get("name"))
    return Identity(
        subject=subject,
        label=email or _text(claims.get("preferred_username")) or name or claims["sub"],
        display_name=name,
        avatar_url=_picture(claims.get("picture")),
        email=email,
    )


def from_vendor(profile: Profile, document: Any) -> Identity:
    """The answer of a provider's own interface. :raises IssuerFailed: it does not say who it is."""
    return {Profile.GITHUB: _github, Profile.TWITTER: _twitter, Profile.DISCORD: _discord}[profile](_object(document))


def primary_email(document: Any) -> str | None:
    """GitHub's list of addresses: the primary one, if it was verified."""
    for entry in document[:EMAILS_MAX] if isinstance(document, list) else []:
        if isinstance(entry, dict) and entry.get("primary") is True and entry.get("verified") is True:
            return _email(entry.get("email"))
    return None


def _github(user: Mapping[str, Any]) -> Identity:
    # The address in this document is the public one, which says nothing of being verified.
    return Identity(
        subject=_number(user.get("id")),
        label=_text(user.get("login")) or str(user["id"]),
        display_name=_text(user.get("name")),
        avatar_url=_picture(user.get("avatar_url")),
    )


def _twitter(document: Mapping[str, Any]) -> Identity:
    user = _object(document.get("data"))
    login = _text(user.get("username"))
    return Identity(
        subject=_number(user.get("id")),
        label=f"@{login}" if login else str(user["id"]),
        display_name=_text(user.get("name")),
        avatar_url=_picture(user.get("profile_image_url")),
    )


def _discord(user: Mapping[str, Any]) -> Identity:
    subject, picture = _number(user.get("id")), user.get("avatar")
    avatar = f"https://cdn.discordapp.com/avatars/{subject}/{picture}.png"
    return Identity(
        subject=subject,
        label=_text(user.get("username")) or subject,
        display_name=_text(user.get("global_name")),
        avatar_url=avatar if isinstance(picture, str) and _HASH.fullmatch(picture) else None,
        email=_email(user.get("email")) if user.get("verified") is True else None,
    )


def _object(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise IssuerFailed(
            "The provider did not say who you are.", detail=f"a {type(document).__name__}, not an object"
        )
    return document


def _number(value: Any) -> str:
    """An id that these providers never give to another account: a number, written as one or as text."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not 0 < len(text) <= 32:
        raise IssuerFailed("The provider did not say who you are.", detail="no numeric id")
    return text


def _text(value: Any) -> str | None:
    """One line of a person's own choice: printable, trimmed, cut; `None` if nothing is left."""
    if not isinstance(value, str):
        return None
    return "".join(c for c in value[: 2 * NAME_LENGTH_MAX] if c.isprintable()).strip()[:NAME_LENGTH_MAX] or None


def _email(value: Any) -> str | None:
    """An address as the provider wrote it; `af.auth.rules.normal_email` judges it where it counts."""
    if not isinstance(value, str) or len(value) > EMAIL_LENGTH_MAX or not value.isprintable():
        return None
    local, _, domain = value.rpartition("@")
    return value if local and domain and " " not in value else None


def _picture(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > URL_LENGTH_MAX or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme == "https" and parts.hostname and not parts.username else None
