"""OpenID Connect providers for tests: a real one (oauth2-mock-server, which refuses a wrong PKCE verifier) and an
issuer whose every answer the test signs itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey

from af.core.http import Client
from tests.support import answering, node

PACKAGE = "oauth2-mock-server@8.2.3"
SUBJECT = "johndoe"
"""Whom the provider lets in, unless it is told to name another."""
STOP_SECONDS = 10


class Provider:
    """A running provider. `alter` says what it answers differently from now on; ``None`` as a value removes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.issuer = self._line()

    def alter(self, **changes: Mapping[str, Any]) -> None:
        """``claims`` of tokens, ``userinfo``, the ``token`` response, the ``answer`` at the redirect address."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(changes) + "\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the provider ended"
        return line


@contextmanager
def running() -> Iterator[Provider]:
    """Skips without the npm registry."""
    folder = node.npm_install(PACKAGE)
    script = Path(__file__).with_name("oidc_provider.mjs")
    with subprocess.Popen(
        [node.node(), script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Provider(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def settings_of(issuer: str, name: str = "work") -> str:
    """AF_OIDC_PROVIDERS with this issuer."""
    entry = {"name": name, "title": "Work", "issuer": issuer, "clientId": "platform", "clientSecret": "s3cret & more"}
    return json.dumps([entry])


async def visit(address: str) -> dict[str, str]:
    """What the provider puts into the redirect address, as the person's browser brings it back."""
    reply = await Client().request("GET", address, allow_private=True, follow_redirects=False)
    assert reply.status == 302, (reply.status, reply.body)
    return dict(parse_qsl(urlsplit(reply.headers["location"]).query))


@dataclass
class Issuer:
    """An issuer on loopback with keys of its own. ``document`` and ``keys`` are what it serves and may be changed."""

    server: answering.Server
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "first"}))
    keys: list[dict[str, Any]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    others: dict[str, answering.Answer] = field(default_factory=dict)
    """Answers at other paths."""

    def __post_init__(self) -> None:
        self.url = self.server.url
        self.keys = [dict(self.key.as_dict(private=False))]
        self.document = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }
        self.server.answers = [self._answer]

    def sign(self, claims: Mapping[str, Any], key: Any = None, **header: Any) -> str:
        key = key or self.key
        full = {"alg": "ES256", "kid": key.kid, **header}
        return jws.serialize_compact(full, json.dumps(claims), key, algorithms=[full["alg"]])

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        with self.server.lock:
            return sum(urlsplit(each.path).path == path for each in self.server.requests)

    def _answer(self, handler: answering.Handler, asked: answering.Asked) -> None:
        path = urlsplit(asked.path).path
        if path == "/.well-known/openid-configuration":
            answer = answering.json_reply(self.document)
        elif path == "/jwks":
            answer = answering.json_reply({"keys": self.keys})
        else:
            answer = self.others.get(path, answering.reply(404))
        answer(handler, asked)


@contextmanager
def issuer() -> Iterator[Issuer]:
    with answering.running() as server:
        yield Issuer(server)
