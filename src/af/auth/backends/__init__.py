"""The port of login methods: each backend knows one way to prove who somebody is, and nothing of users or sessions.

A proof is two steps. `Backend.begin` makes what the person must answer (a code, a message to sign, an address to go
to); `af.auth.service.sign_in` keeps the secret part sealed in a challenge row. `Backend.finish` compares the answer
with it. Everything around that is the service's: rate limits, attempts, expiry, single use, browser binding, accounts.
``tests/conformance/test_login_methods.py`` holds every backend to this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from af.auth.models import LoginMethod, Purpose, User
from af.core.messages import Message

Known = Callable[[str], Awaitable[LoginMethod | None]]
"""``await known(subject)``: the login method of this backend with that subject, if somebody has it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody claims, before any proof. ``claim`` is the request's own (``{"email": …}``); it is hostile."""

    claim: Mapping[str, str]
    purpose: Purpose
    now: datetime
    origin: str
    """Where our pages are, ``https://app.example.org``: the audience that a proof must name."""
    user: User | None = None
    """Who is signed in, when a method is being added."""
    methods: tuple[LoginMethod, ...] = ()
    """What ``user`` has already."""
    locale: str = "en"
    place: str = ""
    """Which device asks, and from where, for the message to the owner of the address."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a backend answers to a claim. ``secret`` comes back in `Backend.finish` and is never shown."""

    subject: str
    """Whose proof it will be, normalised; "" when only the proof tells. The account that limits count for."""
    secret: Mapping[str, Any]
    shown: Mapping[str, Any]
    """For the caller's eyes: the message to sign, the address to go to."""
    lookup: str | None = None
    """A random text in the answer that finds the challenge again (state, nonce, the secret of a link)."""
    message: Message | None = None
    """What to deliver to the claimed address; the same work whoever it belongs to."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An answer. ``values`` is the request's own (``{"code": …}``); it is hostile."""

    values: Mapping[str, Any]
    now: datetime
    origin: str
    known: Known


@dataclass(frozen=True, slots=True)
class Identity:
    """Who it is, proven. ``subject`` is unique within the method and never changes hands."""

    subject: str
    label: str
    """What people recognise it by: the address, ``octocat``, the name of the key."""
    display_name: str | None = None
    avatar_url: str | None = None
    email: str | None = None
    """An address that a provider vouches for. Only the e-mail method proves one to us."""
    strong: bool = False
    """Two factors in one: possession and the person's verification (a passkey with user verification)."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Kept with the login method and replaced at each use (a passkey's public key and counter)."""


class Backend(Protocol):
    """One login method."""

    @property
    def name(self) -> str:
        """``email``, ``sms``, ``ethereum``, ``solana``, ``passkey``, ``google``, … as in addresses and in rows."""
        ...

    @property
    def title(self) -> str:
        """As people call it: ``GitHub``."""
        ...

    @property
    def life(self) -> timedelta:
        """How long an answer is awaited."""
        ...

    @property
    def attempts_max(self) -> int:
        """How many wrong answers end the challenge."""
        ...

    @property
    def bound(self) -> bool:
        """Whether the answer must come from the browser that asked. (A wallet's signature names us and a nonce.)"""
        ...

    async def begin(self, asked: Asked) -> Opening:
        """No network call to an address in the claim. :raises InvalidClaim: the claim has no possible form."""
        ...

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        """May call out. :raises WrongProof: the answer does not fit. :raises Upstream: a provider failed."""
        ...


@dataclass(frozen=True, slots=True)
class Methods:
    """The login methods of this platform by name, as configured; a port of the platform's context."""

    backends: Mapping[str, Backend]
    absent: Mapping[str, str] = field(default_factory=dict)
    """Methods that need settings which are not there: name -> which settings, for the error that says so."""
