"""Clients for the hostile sign-in tests: each with a network address and cookies of its own, and a mailbox to read."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any

from tests.e2e.platform import Running
from tests.support.processes import wait_until

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
SESSION = "__Host-af_session"
FLOW = "__Host-af_flow"


@dataclass(frozen=True)
class Answer:
    """``cookies`` are the lines of Set-Cookie."""

    status: int
    headers: dict[str, str]
    cookies: tuple[str, ...]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json().get("code", ""))

    def sets(self, name: str) -> bool:
        """Whether the cookie is given (not taken away)."""
        return any(line.startswith(f"{name}=") and "Max-Age=0" not in line for line in self.cookies)


@dataclass
class Client:
    """A browser (``cookies``) or a program at ``address``: any of 127.0.0.0/8, as if it were another machine."""

    port: int
    address: str = "127.0.0.1"
    token: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    @cached_property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = JSON,
        origin: str | None = "own",
        host: str = "localhost",
        **headers: str,
    ) -> Answer:
        """One request. ``origin``: ours for ``own``, none for None."""
        sent = {"Host": f"{host}:{self.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            sent["Content-Type"] = kind
        if method not in ("GET", "HEAD") and origin is not None:
            sent["Origin"] = self.origin if origin == "own" else origin
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(self.address, 0))
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            pairs = response.getheaders()
            given = tuple(value for name, value in pairs if name.lower() == "set-cookie")
            answer = Answer(response.status, {n.lower(): v for n, v in pairs}, given, response.read())
        finally:
            connection.close()
        self._keep(given)
        return answer

    def get(self, path: str, **headers: Any) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, values: Any = None, **options: Any) -> Answer:
        return self.ask("POST", path, json.dumps({} if values is None else values).encode(), **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.ask("DELETE", path, **options)

    def graphql(self, query: str, **variables: Any) -> Any:
        return self.post("/graphql", {"query": query, "variables": variables}).json()

    def _keep(self, given: tuple[str, ...]) -> None:
        for line in given:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.coded_value


@dataclass(frozen=True, slots=True)
class Letter:
    code: str
    link: str
    text: str


def letters(platform: Running, to: str) -> list[Letter]:
    """What a platform without a mail server has logged instead of sending, the newest last."""
    found = []
    for line in platform.process.output().splitlines():
        if '"text":' in line and f'"to": "{to}"' in line:
            text = json.loads(line)["text"]
            code, link = re.search(r"^ {4}(\d{6})$", text, re.M), re.search(r"https?://\S+", text)
            found.append(Letter(code[1] if code else "", link[0] if link else "", text))
    return found


def letter(platform: Running, to: str, count: int = 1) -> Letter:
    """The newest message to an address, when ``count`` have come."""

    def look() -> list[Letter] | None:
        found = letters(platform, to)
        return found if len(found) >= count else None

    return wait_until(look, seconds=10, what=f"{count} messages to {to}")[-1]


def sign_in(platform: Running, email: str, address: str = "127.0.0.1", *, cookie: bool = False) -> Client:
    """Somebody who is signed in by a code: with tokens, or as a browser. ``refresh`` is in ``cookies`` of neither."""
    client = Client(platform.port, address)
    before = len(letters(platform, email))
    asked = client.post("/auth/email/request", {"email": email})
    assert asked.status == 200, asked.body
    code = letter(platform, email, before + 1).code
    values = {"email": email, "code": code, **({"session": "cookie"} if cookie else {})}
    done = client.post("/auth/email/verify", values)
    assert done.status == 200, done.body
    if not cookie:
        client.cookies.clear()
        client.token = done.json()["accessToken"]
    return client


def tokens(platform: Running, email: str, address: str = "127.0.0.1") -> tuple[str, str]:
    """The access and refresh token of a new sign-in."""
    client = Client(platform.port, address)
    before = len(letters(platform, email))
    assert client.post("/auth/email/request", {"email": email}).status == 200
    done = client.post("/auth/email/verify", {"code": letter(platform, email, before + 1).code}).json()
    return done["accessToken"], done["refreshToken"]
