"""The providers that we know by name, and any OpenID Connect issuer that the settings name.

Addresses and scopes are those of the providers' own documentation (2026-11); each is plain data, so that tests put a
loopback server in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

import msgspec

from af.auth.backends.oauth import discovery
from af.core.settings import InvalidSetting, Settings

PROVIDERS_MAX = 20
RESERVED = frozenset(
    {"email", "sms", "ethereum", "solana", "passkey", "wallet", "totp", "link", "token", "exchange", "second-factor"}
    | {"google", "github", "twitter", "discord", "providers", "callback", "continue", "device", "oauth", "oidc"}
)
"""Names of other methods and words in our addresses."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,18}[a-z0-9]")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749 §3.3


class Profile(Enum):
    """How a provider that issues no identity tokens is asked who somebody is."""

    OPENID = "openid"
    GITHUB = "github"
    TWITTER = "twitter"
    DISCORD = "discord"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is and who we are to it. ``issuer`` is for OpenID Connect only, and then the addresses come from
    its discovery document. ``secret_in_body``: our secret goes into the form, not into the Authorization header."""

    name: str
    title: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    profile: Profile = Profile.OPENID
    issuer: str = ""
    issuer_aliases: tuple[str, ...] = ()
    authorize_url: str = ""
    token_url: str = ""
    profile_url: str = ""
    emails_url: str = ""
    secret_in_body: bool = False
    names_issuer_in_subject: bool = False
    """The settings may give the name to another issuer one day, whose subjects are other people."""
    allow_private: bool = False
    """The address is from our own settings and may be in our own network."""


def google(client_id: str, client_secret: str) -> Provider:
    return Provider(
        name="google",
        title="Google",
        client_id=client_id,
        client_secret=client_secret,
        scopes=("openid", "email", "profile"),
        issuer="https://accounts.google.com",
        issuer_aliases=("accounts.google.com",),  # both are documented
    )


def github(client_id: str, client_secret: str) -> Provider:
    return Provider(
        name="github",
        title="GitHub",
        client_id=client_id,
        client_secret=client_secret,
        scopes=("read:user", "user:email"),
        profile=Profile.GITHUB,
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        profile_url="https://api.github.com/user",
        emails_url="https://api.github.com/user/emails",
        secret_in_body=True,
    )


def twitter(client_id: str, client_secret: str) -> Provider:
    return Provider(
        name="twitter",
        title="X (Twitter)",
        client_id=client_id,
        client_secret=client_secret,
        scopes=("tweet.read", "users.read"),
        profile=Profile.TWITTER,
        authorize_url="https://x.com/i/oauth2/authorize",
        token_url="https://api.x.com/2/oauth2/token",
        profile_url="https://api.x.com/2/users/me?user.fields=profile_image_url",
    )


def discord(client_id: str, client_secret: str) -> Provider:
    return Provider(
        name="discord",
        title="Discord",
        client_id=client_id,
        client_secret=client_secret,
        scopes=("identify", "email"),
        profile=Profile.DISCORD,
        authorize_url="https://discord.com/oauth2/authorize",
        token_url="https://discord.com/api/oauth2/token",
        profile_url="https://discord.com/api/users/@me",
    )


_KNOWN = {"google": google, "github": github, "twitter": twitter, "discord": discord}


def from_settings(settings: Settings) -> tuple[list[Provider], Mapping[str, str]]:
    """The providers that are configured, and for the others which settings they miss.

    :raises InvalidSetting: half of a pair is there, or AF_OIDC_PROVIDERS cannot be read; the message says where.
    """
    found: list[Provider] = []
    absent: dict[str, str] = {}
    for name, make in _KNOWN.items():
        client_id: str = getattr(settings, f"oauth_{name}_client_id")
        client_secret: str = getattr(settings, f"oauth_{name}_client_secret")
        names = f"AF_OAUTH_{name.upper()}_CLIENT_ID", f"AF_OAUTH_{name.upper()}_CLIENT_SECRET"
        if bool(client_id) != bool(client_secret):
            missing = names[1] if client_id else names[0]
            raise InvalidSetting(
                f"{missing} is not set, but its other half is.", hint="Set both or none.", field=missing
            )
        if client_id:
            found.append(make(client_id, client_secret))
        else:
            absent[name] = " and ".join(names)
    return found + read_issuers(settings.oidc_providers), absent


class _Entry(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: list[str] | None = None


def read_issuers(text: str) -> list[Provider]:
    """AF_OIDC_PROVIDERS: a JSON list of ``{"name", "title", "issuer", "clientId", "clientSecret"?, "scopes"?}``.

    :raises InvalidSetting: not that; the message names the entry and the rule, and holds no secret.
    """
    if not text:
        return []
    try:
        entries = msgspec.json.decode(text, type=list[_Entry])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        hint = 'Write [{"name": "work", "title": "Work", "issuer": "https://…", "clientId": "…", "clientSecret": "…"}].'
        raise InvalidSetting(f"AF_OIDC_PROVIDERS cannot be read: {error}.", hint=hint) from error
    if len(entries) > PROVIDERS_MAX:
        raise InvalidSetting(f"AF_OIDC_PROVIDERS has more than {PROVIDERS_MAX} providers.")
    names = [entry.name for entry in entries]
    for place, entry in enumerate(entries):
        problem = "the name is there twice" if names.count(entry.name) > 1 else _problem(entry)
        if problem:
            raise InvalidSetting(f"AF_OIDC_PROVIDERS, provider {place + 1} ({entry.name[:40]!r}): {problem}.")
    return [
        Provider(
            name=entry.name,
            title=entry.title,
            client_id=entry.client_id,
            client_secret=entry.client_secret,
            scopes=tuple(entry.scopes) if entry.scopes is not None else ("openid", "email", "profile"),
            issuer=entry.issuer,
            names_issuer_in_subject=True,
            allow_private=True,
        )
        for entry in entries
    ]


def _problem(entry: _Entry) -> str:
    """What is wrong with an entry; empty if nothing is."""
    if _NAME.fullmatch(entry.name) is None:
        return "a name has 2 to 20 lower-case letters, digits and hyphens"
    if entry.name in RESERVED:
        return "the name is that of another way to sign in"
    if not 1 <= len(entry.title) <= 40 or not entry.title.isprintable():
        return "a title has 1 to 40 characters"
    if not entry.client_id or not entry.client_id.isprintable() or not entry.client_secret.isprintable():
        return "clientId is empty or has control characters"
    if not discovery.is_safe(entry.issuer):
        return "the issuer must be an https:// address (http:// only on this machine)"
    parts = urlsplit(entry.issuer)
    if parts.query or parts.fragment or parts.username or parts.password or not entry.issuer.isprintable():
        return "the issuer must not have a query, a fragment or a password"
    if entry.scopes is not None and ("openid" not in entry.scopes or len(entry.scopes) > 20):
        return "scopes must have openid, and at most 20"
    if not all(_SCOPE.fullmatch(scope) for scope in entry.scopes or ()):
        return "a scope has a character that it cannot have"
    return ""
