"""Who signs in, in `test_login_methods`: one kind of actor per method, with what such a person really holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from af.auth.backends import Backend, Opening
from af.auth.backends.email import Email
from af.auth.backends.sms import Sms

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


ACTORS: dict[str, Callable[[], AbstractAsyncContextManager[Holder]]] = {"email": _email, "sms": _sms}
