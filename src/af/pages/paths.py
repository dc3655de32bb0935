"""Which paths are pages. Apart from the pages themselves, so that a process that only serves content loads none."""

from __future__ import annotations

from af import auth

ASSETS = "/assets/pages/"
_EXACT = ("/login", "/settings", "/auth/email/link")
_ON = "/auth/oauth/continue"
"""No page: it hands a sign-in on to the app that asked for it (`af.auth.service.exchange`)."""
_UNDER = ("/login/", "/settings/", "/invitations/", ASSETS)


def is_page(path: str) -> bool:
    """Whether the path is a page or a file of one; these exist only on the platform's own host names."""
    return path in _EXACT or path.startswith(_UNDER)


def safe_return(text: str) -> str:
    """Where to go after a sign-in, if it is a page of ours; else ""."""
    path = auth.redirects.safe_return(text).partition("?")[0]
    return text if path in ("/", _ON) or is_page(path) else ""
