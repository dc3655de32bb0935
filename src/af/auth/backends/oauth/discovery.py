"""What an OpenID Connect issuer says of itself: its endpoints and its public keys, fetched and kept for a while.

OpenID Connect Discovery 1.0, RFC 8414 and RFC 7517. Used by signing in and by the token exchange of pipelines. One
memory per HTTP client (that is, per process), so that all who ask share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from af.auth.errors import IssuerFailed
from af.core.errors import Error
from af.core.http import Client, is_loopback

FRESH_FOR = timedelta(hours=1)
STALE_FOR = timedelta(hours=24)
"""How long what was fetched may be used while the issuer does not answer."""
REFETCH_AFTER = timedelta(seconds=60)
"""A key that nobody knows makes us ask again at most this often: tokens are hostile and may name any key."""
RETRY_AFTER = timedelta(seconds=10)
ISSUERS_MAX = 256
KEYS_MAX = 100
DOCUMENT_BYTES_MAX = 256 << 10
TIMEOUT_SECONDS = 10.0
RSA_BITS_MIN = 2048

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class Metadata:
    """The parts of a discovery document that we use. ``userinfo_url`` is empty when there is none."""

    issuer: str
    authorize_url: str
    token_url: str
    userinfo_url: str
    keys_url: str
    token_auth_methods: tuple[str, ...]
    names_itself: bool
    """It puts ``iss`` into its answers at the redirect address (RFC 9207)."""


@dataclass(slots=True)
class _Kept:
    """Something fetched. ``failed_at``: when the last try went wrong, with ``failure``."""

    value: Any = None
    fetched_at: datetime | None = None
    failed_at: datetime | None = None
    failure: Error | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_younger(self, age: timedelta, now: datetime) -> bool:
        return self.fetched_at is not None and self.fetched_at <= now < self.fetched_at + age


class Issuers:
    """Remembers what issuers say. Use `of`: one per client."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, bool], _Kept] = {}

    async def metadata(self, client: Client, issuer: str, *, now: datetime, allow_private: bool = False) -> Metadata:
        """What ``issuer`` says of itself. :raises IssuerFailed: it does not answer, or not as itself."""

        async def fetch() -> Metadata:
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            return _read_metadata(issuer, await _document(client, url, allow_private))

        kept = self._entry("metadata", issuer, allow_private)
        found: Metadata = await _current(kept, fetch, now, FRESH_FOR)
        return found

    async def keys(
        self, client: Client, issuer: str, *, kid: str | None, now: datetime, allow_private: bool = False
    ) -> list[PublicKey]:
        """The issuer's keys that are called ``kid``, all of them when that is `None`; maybe none.

        An unknown one makes us ask again, at most once in `REFETCH_AFTER`. :raises IssuerFailed: see `metadata`.
        """
        about = await self.metadata(client, issuer, now=now, allow_private=allow_private)

        async def fetch() -> list[PublicKey]:
            return _read_keys(issuer, await _document(client, about.keys_url, allow_private))

        kept = self._entry("keys", issuer, allow_private)
        found = _named(await _current(kept, fetch, now, FRESH_FOR), kid)
        if not found:
            found = _named(await _current(kept, fetch, now, REFETCH_AFTER), kid)
        return found

    def _entry(self, what: str, issuer: str, allow_private: bool) -> _Kept:
        key = (what, issuer, allow_private)
        kept = self._kept.pop(key, None) or _Kept()
        while len(self._kept) >= 2 * ISSUERS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = kept  # at the end: the first is the one that was used longest ago
        return kept


_issuers: WeakKeyDictionary[Client, Issuers] = WeakKeyDictionary()


def of(client: Client) -> Issuers:
    """The memory that belongs to ``client``."""
    return _issuers.setdefault(client, Issuers())


def is_safe(url: str) -> bool:
    """Whether secrets may go there: https, or this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


async def _current(kept: _Kept, fetch: Callable[[], Awaitable[Any]], now: datetime, age: timedelta) -> Any:
    """The value, fetched again when it is older than ``age``. While the issuer fails, an older one will do for a time,
    and it is not asked again at once: many may be waiting here."""
    if kept.is_younger(age, now):
        return kept.value
    async with kept.lock:
        if kept.is_younger(age, now):
            return kept.value
        if kept.failed_at is None or not kept.failed_at <= now < kept.failed_at + RETRY_AFTER:
            try:
                kept.value, kept.fetched_at, kept.failure = await fetch(), now, None
                return kept.value
            except Error as error:
                kept.failed_at, kept.failure = now, error
        if kept.is_younger(STALE_FOR, now):
            return kept.value
        assert kept.failure is not None
        raise IssuerFailed(kept.failure.message, hint=kept.failure.hint, detail=kept.failure.detail)


async def _document(client: Client, url: str, allow_private: bool) -> Mapping[str, Any]:
    reply = await client.request(
        "GET",
        url,
        headers={"Accept": "application/json"},
        limit_bytes=DOCUMENT_BYTES_MAX,
        timeout_seconds=TIMEOUT_SECONDS,
        allow_private=allow_private,
    )
    if reply.status != 200:
        raise IssuerFailed(f"{url} answers with status {reply.status}.", hint="Check the address of the issuer.")
    if not is_safe(reply.url):
        raise IssuerFailed(f"{url} leads to an address without https.")
    try:
        found = msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IssuerFailed(f"{url} does not answer with JSON.", detail=str(error)) from error
    if not isinstance(found, dict):
        raise IssuerFailed(f"{url} does not answer with a JSON object.")
    return found


def _read_metadata(issuer: str, document: Mapping[str, Any]) -> Metadata:
    """:raises IssuerFailed: it speaks for another issuer (OpenID Connect Discovery §4.3) or leaves something out."""
    if document.get("issuer") != issuer:
        raise IssuerFailed(
            f"The issuer at {issuer} calls itself {str(document.get('issuer'))[:200]!r}.",
            hint="Write the issuer's address exactly as its discovery document does, including a slash at the end.",
        )
    addresses = {}
    for name, needed in (
        ("authorization_endpoint", False),
        ("token_endpoint", False),
        ("userinfo_endpoint", False),
        ("jwks_uri", True),
    ):
        url = document.get(name) or ""
        if (needed and not url) or (url and not (isinstance(url, str) and is_safe(url))):
            raise IssuerFailed(f"The issuer {issuer} has no usable {name}.", detail=str(url)[:200])
        addresses[name] = url
    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        authorize_url=addresses["authorization_endpoint"],
        token_url=addresses["token_endpoint"],
        userinfo_url=addresses["userinfo_endpoint"],
        keys_url=addresses["jwks_uri"],
        token_auth_methods=tuple(str(name) for name in methods) if isinstance(methods, list) else (),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _read_keys(issuer: str, document: Mapping[str, Any]) -> list[PublicKey]:
    """The keys that can check signatures; others (for encryption, of unknown kinds, too short) are passed over."""
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise IssuerFailed(f"The keys of {issuer} cannot be read.")
    keys: list[PublicKey] = []
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP") or "d" in entry:
            continue
        if entry.get("use", "sig") != "sig" or _is_short(entry):
            continue
        try:
            key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, (RSAKey, ECKey, OKPKey)):
            keys.append(key)
    return keys


def _is_short(entry: Mapping[str, Any]) -> bool:
    """Whether it is an RSA key that can be broken; told from the length of its modulus in base64url."""
    return entry.get("kty") == "RSA" and len(str(entry.get("n", ""))) * 6 < RSA_BITS_MIN


def _named(keys: list[PublicKey], kid: str | None) -> list[PublicKey]:
    return keys if kid is None else [key for key in keys if key.kid == kid]
