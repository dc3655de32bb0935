"""Decisions about credentials: what they look like, what they may do, which of them may make which others."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from af.auth.errors import InvalidClaim, InvalidExpiry, InvalidScope, InvalidTokenName, ScopeMissing, TokenPowerExceeded
from af.auth.models import SessionKind
from af.core.ids import ProjectId
from af.core.messages import addresses
from af.core.messages.errors import InvalidAddress

TOKEN_PREFIX = "af_live_"
REFRESH_PREFIX = "af_ref_"
TOKEN_RANDOM_LENGTH = 32
TOKEN_CHECK_LENGTH = 6
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN_LIFE_MAX = timedelta(days=3653)
TOKENS_IDLE_MAX = timedelta(days=7)
REPLAY_WINDOW = timedelta(seconds=15)
"""How long a refresh token that was used gets the same answer again: parallel tabs, a lost response."""
TOKENS_PER_DAY_MAX = 50
TOKENS_ACTIVE_MAX = 500

ALL = "all"
NOUNS = ("organizations", "projects", "members", "tokens", "sites", "storage", "billing")
VERBS = ("read", "write", "admin")
"""Each includes those before it. ``admin`` of a project or organization is to delete it, hand it over."""
SCOPES = (
    *(f"{noun}:{verb}" for noun in NOUNS for verb in ("read", "write")),
    *("organizations:admin", "projects:admin", "audit:read"),
)

_TOKEN = re.compile(TOKEN_PREFIX + f"[0-9A-Za-z]{{{TOKEN_RANDOM_LENGTH + TOKEN_CHECK_LENGTH}}}")
_REFRESH = re.compile(REFRESH_PREFIX + f"[0-9A-Za-z]{{{TOKEN_RANDOM_LENGTH + TOKEN_CHECK_LENGTH}}}")
_TOKEN_NAME = re.compile(r"[A-Za-z0-9 \-_.]{1,100}")


def token_text(random: str) -> str:
    """``af_live_`` + 32 random base62 characters + 6 that check them, so that scanners and we can tell a typo."""
    assert len(random) == TOKEN_RANDOM_LENGTH
    return TOKEN_PREFIX + random + _check(random)


def is_token_text(text: str) -> bool:
    """Whether ``text`` has the shape and the right check characters; costs no look-up."""
    if _TOKEN.fullmatch(text) is None:
        return False
    body = text[len(TOKEN_PREFIX) :]
    return _check(body[:TOKEN_RANDOM_LENGTH]) == body[TOKEN_RANDOM_LENGTH:]


def refresh_text(random: str) -> str:
    """The text of a refresh token, ``af_ref_…``, checked like an access token's."""
    assert len(random) == TOKEN_RANDOM_LENGTH
    return REFRESH_PREFIX + random + _check(random)


def is_refresh_text(text: str) -> bool:
    """Whether ``text`` has the shape and the right check characters; costs no look-up."""
    if _REFRESH.fullmatch(text) is None:
        return False
    body = text[len(REFRESH_PREFIX) :]
    return _check(body[:TOKEN_RANDOM_LENGTH]) == body[TOKEN_RANDOM_LENGTH:]


def session_end(kind: SessionKind, created_at: datetime, seen_at: datetime, life: timedelta) -> datetime:
    """When a session ends that was last used at ``seen_at``: never longer than ``life``; one that lives by its tokens
    also after a week without use."""
    ends = created_at + life
    return ends if kind is SessionKind.BROWSER else min(ends, seen_at + TOKENS_IDLE_MAX)


def _check(random: str) -> str:
    number = zlib.crc32(random.encode())
    digits = []
    for _ in range(TOKEN_CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def masked(text: str) -> str:
    """What may be shown of a token."""
    return f"{TOKEN_PREFIX}…{text[-4:]}"


def digest(text: str) -> str:
    """What is stored instead of a credential. The credentials have ≥ 190 random bits, so one round is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_token_name(name: str) -> str:
    name = name.strip()
    if _TOKEN_NAME.fullmatch(name) is None:
        raise InvalidTokenName("A token's name has 1 to 100 letters, digits, spaces and any of - _ .", field="name")
    return name


def check_scopes(scopes: Iterable[str] | None) -> frozenset[str] | None:
    """The scopes of a token, `None` for all. Nothing given means all, as in the original."""
    given = None if scopes is None else frozenset(scopes)
    if given is None or given == {ALL}:
        return None
    if not given:
        raise InvalidScope("A token needs at least one scope.", hint="Use all for everything.", field="scopes")
    for scope in sorted(given):
        if scope not in SCOPES:
            hint = "all must stand alone." if scope == ALL else f"Known: all, {', '.join(SCOPES)}."
            raise InvalidScope(f"There is no scope {scope[:60]!r} to give.", hint=hint, field="scopes")
    return given


def covers(scopes: frozenset[str] | None, action: str) -> bool:
    """Whether a token with these scopes may do ``action`` (``sites:write``); a stronger verb includes a weaker."""
    if scopes is None:
        return True
    noun, _, verb = action.partition(":")
    return any(f"{noun}:{stronger}" in scopes for stronger in VERBS[VERBS.index(verb) :])


def require_scope(scopes: frozenset[str] | None, action: str) -> None:
    """:raises ScopeMissing: a token with these scopes may not do ``action``."""
    if not covers(scopes, action):
        raise ScopeMissing(
            f"The token lacks the scope {action}.", hint=f"Make one: af tokens create --name NAME --scope {action}"
        )


def check_expiry(expires_at: datetime | None, now: datetime, creator_expires_at: datetime | None) -> datetime | None:
    """When the new token ends: never later than the token that makes it."""
    if expires_at is None:
        return creator_expires_at
    if not now < expires_at <= now + TOKEN_LIFE_MAX:
        raise InvalidExpiry("A token must expire in the future, within ten years.", field="expiresAt")
    if creator_expires_at is not None and expires_at > creator_expires_at:
        raise InvalidExpiry("A token cannot outlive the token that makes it.", field="expiresAt")
    return expires_at


def check_power(
    scopes: frozenset[str] | None,
    project_id: ProjectId | None,
    *,
    own_scopes: frozenset[str] | None,
    own_project_id: ProjectId | None,
) -> None:
    """:raises TokenPowerExceeded: the new token could do something that its maker cannot."""
    if own_project_id is not None and project_id != own_project_id:
        raise TokenPowerExceeded("This token is limited to a project and can only make tokens for that project.")
    if own_scopes is None:
        return
    extra = ["all"] if scopes is None else sorted(scope for scope in scopes if not covers(own_scopes, scope))
    if extra:
        raise TokenPowerExceeded(f"This token cannot give what it does not have: {', '.join(extra)}.", field="scopes")


def username_from(text: str) -> str:
    """A valid user name made of any text; may be taken already."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return name or "user"


def normal_email(text: str) -> str:
    """The one form of an e-mail address that accounts are known by (`addresses.email_key`). Two addresses that look
    alike must not be one account, nor one account two.

    :raises InvalidClaim: it is not one plain address.
    """
    try:
        return addresses.email_key(text)
    except InvalidAddress as error:
        raise InvalidClaim("This is not an e-mail address that can be used here.", field="email") from error


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` is what ``pattern`` says, ``*`` standing for any text, also none. Nothing else is special."""
    head, *rest = pattern.split("*")
    if not rest:
        return text == head
    *middle, tail = rest
    if not text.startswith(head) or not text.endswith(tail) or len(text) < len(head) + len(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def is_picture(address: str) -> bool:
    """Whether it can stand for a person or a project: an https or ipfs address, fit to be put into a page."""
    return len(address) <= 2_000 and re.fullmatch(r"(https|ipfs)://[^\s\"'<>\\]+", address) is not None
