"""Who signs in, in `test_login_methods`: one kind of actor per method, with what such a person really holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from af.auth.backends import Backend, Opening
from af.auth.backends.email import Email
from af.auth.backends.oauth import OAuth
from af.auth.backends.oauth.providers import read_issuers
from af.auth.backends.sms import Sms
from af.core.http import Client
from tests.conformance.wallet_actors import ethereum, solana
from tests.support import oidc

Values = Mapping[str, Any]


class Holder(Protocol):
    """Somebody who can answer. ``registered_*`` are what the platform knows of a passkey; "" and {} otherwise."""

    backend: Backend
    claim: Mapping[str, str]
    registered_subject: str
    registered_data: Mapping[str, Any]
    impossible_claims: tuple[Mapping[str, str], ...]

    async def answer(self, opening: Opening) -> Values: ...

    def spoiled(self, answer: Values) -> Iterator[Values]: ...

    def hidden(self, opening: Opening) -> Iterator[str]: ...

    def other(self) -> AbstractAsyncContextManager[Holder]: ...


class CodeReader:
    """Reads the message that was sent to the address."""

    registered_subject = ""
    registered_data: Mapping[str, Any] = {}

    def __init__(self, backend: Backend, field: str, address: str, other: str) -> None:
        self.backend = backend
        self.claim: Mapping[str, str] = {field: address}
        self._field, self._other = field, other
        self.impossible_claims: tuple[Mapping[str, str], ...] = ({}, {field: ""}, {field: "?"}, {field: "a\r\nb@c.d"})

    async def answer(self, opening: Opening) -> Values:
        assert opening.message is not None
        assert opening.message.to == self.claim[self._field]
        return {"code": opening.message.values["code"]}

    def spoiled(self, answer: Values) -> Iterator[Values]:
        code = answer["code"]
        yield {"code": code[:-1]}
        yield {"code": code + "0"}
        yield {"code": f"{(int(code) + 1) % 1_000_000:06}"}

    def hidden(self, opening: Opening) -> Iterator[str]:
        assert opening.message is not None
        yield opening.message.values["code"]

    @asynccontextmanager
    async def other(self) -> AsyncIterator[Holder]:
        yield CodeReader(self.backend, self._field, self._other, self.claim[self._field])


@asynccontextmanager
async def _email() -> AsyncIterator[Holder]:
    yield CodeReader(Email(), "email", "ada@example.org", "eve@example.org")


@asynccontextmanager
async def _sms() -> AsyncIterator[Holder]:
    yield CodeReader(Sms(), "phone", "+4915112345678", "+4915112345679")


class AccountHolder:
    """Goes to a provider (a real one, which checks PKCE), is let in there and brings back what it says."""

    claim: Mapping[str, str] = {}
    registered_subject = ""
    registered_data: Mapping[str, Any] = {}
    impossible_claims: tuple[Mapping[str, str], ...] = ()

    def __init__(self, backend: OAuth, provider: oidc.Provider, person: str, *, at: datetime) -> None:
        self.backend: Backend = backend
        moment = int(at.timestamp())
        self._arguments = (backend, provider)
        self._at = at
        provider.alter(
            claims={"sub": person, "iat": moment, "exp": moment + 300, "nbf": moment}, userinfo={"sub": person}
        )

    async def answer(self, opening: Opening) -> Values:
        values = await oidc.visit(opening.shown["redirect"])
        assert values.pop("state") == opening.lookup
        return values

    def spoiled(self, answer: Values) -> Iterator[Values]:
        yield {**answer, "code": answer["code"] + "x"}
        yield {**answer, "iss": "https://elsewhere.example"}
        yield {**answer, "error": "access_denied"}

    def hidden(self, opening: Opening) -> Iterator[str]:
        yield opening.secret["verifier"]

    @asynccontextmanager
    async def other(self) -> AsyncIterator[Holder]:
        yield AccountHolder(*self._arguments, "eve", at=self._at)


@asynccontextmanager
async def _openid() -> AsyncIterator[Holder]:
    with oidc.running() as provider:
        (configured,) = read_issuers(oidc.settings_of(provider.issuer))
        yield AccountHolder(OAuth(configured, Client()), provider, "ada", at=datetime(2026, 1, 1, 12, tzinfo=UTC))


ACTORS: dict[str, Callable[[], AbstractAsyncContextManager[Holder]]] = {
    "email": _email,
    "sms": _sms,
    "ethereum": ethereum,
    "solana": solana,
    "openid": _openid,
}
